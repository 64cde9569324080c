#include "filter/mss.hh"

#include "filter/packet.hh"
#include "wire/checksum.hh"
#include "wire/ipv6.hh"
#include "wire/tcp.hh"

namespace sluice::filter {
namespace {

constexpr uint16_t kDefaultMss = 536;  // RFC 9293 3.7.1
constexpr size_t kChecksumOffset = 16;
constexpr size_t kMssOptionSize = 4;

// The TCP header with its options; empty if it is not all there.
wire::Bytes tcp_header(const wire::IpPacket& packet) {
    const Transport transport = Transport::of(packet);
    if (!transport.known || transport.later_fragment || transport.protocol != wire::IpProtocol::tcp ||
        transport.offset > packet.length())
        return {};
    const auto segment = wire::TcpView::checked(packet.bytes().subspan(transport.offset));
    return segment ? segment->bytes().first(segment->header_length()) : wire::Bytes{};
}

// Where the option stands in the header; 0 if it is not there or too short. Unlike a TCP endpoint this goes
// on behind an end of options and steps over options without a length, as nftables does.
size_t find_mss(wire::Bytes header) {
    for (size_t at = wire::kTcpHeaderSize; at + 1 < header.size();) {
        const bool is_single = header[at] <= static_cast<uint8_t>(wire::TcpOptionType::no_operation);
        const size_t size = is_single || header[at + 1] == 0 ? 1 : header[at + 1];
        if (wire::TcpOptionType{header[at]} == wire::TcpOptionType::mss)
            return at + size <= header.size() && size >= kMssOptionSize ? at : 0;
        at += size;
    }
    return 0;
}

}  // namespace

uint16_t mss_for_mtu(uint32_t mtu, Family family) {
    const size_t ip = family == Family::ip4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
    const size_t headers = ip + wire::kTcpHeaderSize;
    if (mtu <= headers || mtu > UINT16_MAX)
        return kDefaultMss;
    return static_cast<uint16_t>(mtu - headers);
}

bool lower_mss(const wire::IpPacket& packet, wire::MutableBytes bytes, uint16_t mss) {
    const wire::Bytes header = tcp_header(packet);
    const size_t option = header.empty() ? 0 : find_mss(header);
    if (option == 0 || wire::read16(header.data() + option + 2) <= mss)
        return false;
    uint8_t* const tcp = bytes.data() + (header.data() - packet.bytes().data());
    uint8_t* const value = tcp + option + 2;
    // At an odd place its bytes belong to two words of the checksum, each to the other half of its own.
    const auto as_summed = [is_odd = option % 2 != 0](Be16 number) {
        return is_odd ? Be16::from_wire(__builtin_bswap16(number.wire())) : number;
    };
    const Be16 before = Be16::load(value);
    const Be16 after = Be16::from_host(mss);
    after.store(value);
    wire::ChecksumDelta{}
        .add(as_summed(before), as_summed(after))
        .apply(Be16::load(tcp + kChecksumOffset))
        .store(tcp + kChecksumOffset);
    return true;
}

bool has_tcp_header(const wire::IpPacket& packet) {
    return !tcp_header(packet).empty();
}

}  // namespace sluice::filter
