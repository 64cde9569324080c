// Fuzzes every parser that an Ethernet frame can reach. Needs sluice_wire (and sluice_base).
//
// Each parser gets a heap copy of exactly its bytes, so that the address sanitizer sees any step beyond them.
// What parses as a value must survive emit and parse.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "wire/arp.hh"
#include "wire/ethernet.hh"
#include "wire/fragment.hh"
#include "wire/icmp4.hh"
#include "wire/icmp6.hh"
#include "wire/ipv4.hh"
#include "wire/ipv4_options.hh"
#include "wire/ipv6.hh"
#include "wire/ipv6_extensions.hh"
#include "wire/nd.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace {

using namespace sluice;
using namespace sluice::wire;

void require(bool truth) {
    if (!truth) {
        __builtin_trap();
    }
}

// A copy with nothing behind it.
class Exact {
  public:
    explicit Exact(Bytes bytes) : data_(std::make_unique<uint8_t[]>(bytes.size())), size_(bytes.size()) {
        copy_bytes(data_.get(), bytes);
    }
    [[nodiscard]] MutableBytes bytes() const { return {data_.get(), size_}; }

  private:
    std::unique_ptr<uint8_t[]> data_;
    size_t size_;
};

void udp(Bytes bytes) {
    const Exact copy(bytes);
    const auto view = UdpView::checked(copy.bytes());
    if (!view) {
        return;
    }
    require(view->payload().size() + kUdpHeaderSize == view->length());
    static_cast<void>(view->checksum_verifies(Checksum{}, Family::ip6));
    const auto header = UdpHeader::parse(*view);
    std::vector<uint8_t> out(view->length());
    require(header.emit(out) == kUdpHeaderSize);
    require(UdpHeader::parse(UdpView::checked(out).value()) == header);
}

void tcp(Bytes bytes) {
    const Exact copy(bytes);
    const auto view = TcpView::checked(copy.bytes());
    if (!view) {
        return;
    }
    require(view->header_length() + view->payload().size() == copy.bytes().size());
    static_cast<void>(view->checksum_verifies(Checksum{}));
    const auto header = TcpHeader::parse(*view);
    std::vector<uint8_t> out(kTcpMaxHeaderSize);
    const size_t size = header.emit(out);
    // Options may hold the same kind twice, but each is written once, so that they always fit.
    require(size != 0 && size <= view->header_length() + 3);
    require(TcpHeader::parse(TcpView::checked(Bytes(out).first(size)).value()) == header);
}

void ipv4(Bytes bytes);
void ipv6(Bytes bytes);

void icmp4(Bytes bytes) {
    const Exact copy(bytes);
    static_cast<void>(Icmp4View::checked(copy.bytes()));
    const auto view = Icmp4View::checked_shape(copy.bytes());
    if (!view) {
        return;
    }
    const auto message = Icmp4Message::parse(*view);
    std::vector<uint8_t> out(message.size());
    require(message.emit(out) == out.size());
    require(Icmp4Message::parse(Icmp4View::checked(out).value()) == message);
    make_echo_reply(out);
    require(Icmp4View::checked(out).has_value());
    if (kind_of(view->type()) == IcmpKind::error && view->body().size() < bytes.size()) {
        ipv4(view->body());
    }
}

template <typename Value>
void discovery(const NdPacket& packet) {
    const auto value = Value::parse(packet);
    if (!value) {
        return;
    }
    std::vector<uint8_t> out(value->size());
    require(value->emit(out, packet.source, packet.destination) == out.size());
    const auto again = Value::parse({packet.source, packet.destination, packet.hop_limit, out});
    require(again && *again == *value);
}

void icmp6(Bytes bytes, Ipv6View ip) {
    const Exact copy(bytes);
    const auto source = ip.source();
    const auto destination = ip.destination();
    static_cast<void>(Icmp6View::checked(copy.bytes(), source, destination));
    const auto view = Icmp6View::checked_shape(copy.bytes());
    if (!view) {
        return;
    }
    const auto message = Icmp6Message::parse(*view);
    std::vector<uint8_t> out(message.size());
    require(message.emit(out, source, destination) == out.size());
    require(Icmp6Message::parse(Icmp6View::checked(out, source, destination).value()) == message);
    if (is_error(view->type()) && view->body().size() < bytes.size()) {
        ipv6(view->body());
    }
    // A fuzzer does not find right checksums by itself.
    set_icmp6_checksum(copy.bytes(), source, destination);
    const NdPacket packet{source, destination, kNdHopLimit, copy.bytes()};
    discovery<NeighbourSolicitation>(packet);
    discovery<NeighbourAdvertisement>(packet);
    discovery<RouterSolicitation>(packet);
    discovery<RouterAdvertisement>(packet);
    discovery<Redirect>(packet);
}

void ipv4(Bytes bytes) {
    const Exact copy(bytes);
    const auto view = Ipv4View::checked_shape(copy.bytes());
    if (!view) {
        require(!Ipv4View::checked(copy.bytes()));
        return;
    }
    require(view->payload().size() + view->header_length() == view->total_length());
    Ipv4OptionWalk walk(*view);
    size_t options = 0;
    while (const auto option = walk.next()) {
        options += option->bytes.size();
    }
    require(options <= view->options().size());
    require(summarize_options(*view).malformed == walk.malformed());
    const auto header = Ipv4Header::parse(*view);
    std::vector<uint8_t> out(view->total_length());
    require(header.emit(out) == view->header_length());
    require(Ipv4Header::parse(Ipv4View::checked(out).value()) == header);
    MutableIpv4View::unchecked(out.data()).set_ttl(static_cast<uint8_t>(header.ttl - 1));
    MutableIpv4View::unchecked(out.data()).set_source(header.destination);
    require(Ipv4View::checked(out).has_value());
    if (!view->is_first_fragment()) {
        return;
    }
    switch (view->protocol()) {
        case IpProtocol::udp:
            return udp(view->payload());
        case IpProtocol::tcp:
            return tcp(view->payload());
        case IpProtocol::icmp:
            return icmp4(view->payload());
        default:
            return;
    }
}

void ipv6(Bytes bytes) {
    const Exact copy(bytes);
    const auto view = Ipv6View::checked(copy.bytes());
    if (!view) {
        return;
    }
    const auto header = Ipv6Header::parse(*view);
    std::vector<uint8_t> out(view->total_length());
    require(header.emit(out) == kIpv6HeaderSize);
    require(Ipv6Header::parse(Ipv6View::checked(out).value()) == header);
    const auto chain = walk_extensions(*view);
    require(chain.header_count <= kMaxExtensionHeaders);
    require(chain.upper_offset <= view->total_length() && chain.error_offset < view->total_length());
    require(!chain.cut || !chain.ok());
    for (const uint16_t offset : {chain.hop_by_hop_offset, chain.destination_offset}) {
        if (offset != 0) {
            require(summarize_options(*view, offset, Ipv6OptionsHeader::hop_by_hop).pointer <
                    view->total_length());
        }
    }
    if (chain.fragment_offset != 0) {
        const auto fragment = Ipv6FragmentView::checked(view->bytes().subspan(chain.fragment_offset)).value();
        const auto value = Ipv6FragmentHeader::parse(fragment);
        std::vector<uint8_t> again(kIpv6FragmentHeaderSize);
        require(value.emit(again) == kIpv6FragmentHeaderSize);
        require(Ipv6FragmentHeader::parse(Ipv6FragmentView::checked(again).value()) == value);
        require(view->bytes()[chain.fragment_named_at] == static_cast<uint8_t>(IpProtocol::fragment));
    }
    if (!chain.ok() || chain.non_first_fragment) {
        return;
    }
    require(view->bytes()[chain.upper_named_at] == static_cast<uint8_t>(chain.upper_protocol));
    const Bytes upper = view->bytes().subspan(chain.upper_offset);
    switch (chain.upper_protocol) {
        case IpProtocol::udp:
            return udp(upper);
        case IpProtocol::tcp:
            return tcp(upper);
        case IpProtocol::icmpv6:
            return icmp6(upper, *view);
        default:
            return;
    }
}

void arp(Bytes bytes) {
    const Exact copy(bytes);
    const auto view = ArpView::checked(copy.bytes());
    if (!view) {
        return;
    }
    const auto packet = ArpPacket::parse(*view);
    std::vector<uint8_t> out(kArpSize);
    require(packet.emit(out) == kArpSize);
    require(same_bytes(out, copy.bytes().first(kArpSize)));
}

void frame(Bytes bytes) {
    const Exact copy(bytes);
    const auto view = EthernetView::checked(copy.bytes());
    if (!view) {
        return;
    }
    const auto header = EthernetHeader::parse(*view);
    std::vector<uint8_t> out(kEthernetHeaderSize);
    require(header.emit(out) == kEthernetHeaderSize);
    require(same_bytes(out, copy.bytes().first(kEthernetHeaderSize)));
    EtherType type = view->ether_type();
    Bytes payload = view->payload();
    while (is_vlan(type)) {
        const auto tag = VlanView::checked(payload);
        if (!tag) {
            return;
        }
        std::vector<uint8_t> again(kVlanTagSize);
        require(VlanTag::parse(*tag).emit(again) == kVlanTagSize);
        require(same_bytes(again, payload.first(kVlanTagSize)));
        type = tag->ether_type();
        payload = tag->payload();
    }
    switch (type) {
        case EtherType::arp:
            return arp(payload);
        case EtherType::ipv4:
            return ipv4(payload);
        case EtherType::ipv6:
            return ipv6(payload);
        default:
            return;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    frame({data, size});
    return 0;
}
