#include "pipeline/plain.hh"

#include <cstring>

#include "base/address.hh"
#include "wire/checksum.hh"
#include "wire/ipv4.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::pipeline::plain {
namespace {

constexpr size_t kEthernet = 14;
constexpr size_t kPorts = 8;  // bytes that a packet must have of its upper layer, to have ports

uint64_t word48(const uint8_t* from) {
    uint64_t word = 0;
    std::memcpy(&word, from, 6);
    return word;
}

bool is_ordinary(Ip4Address address) {
    const uint32_t network = address.host() >> 24;
    return network - 1 < 223 && network != 127 && address.host() >> 16 != 0xa9fe;
}

bool is_on_fast_path(const Device& device, wire::Bytes frame) {
    if (frame.size() < kEthernet + wire::kIpv4HeaderSize)
        return false;
    const uint64_t source = word48(frame.data() + 6);
    if (word48(frame.data()) != device.own || (frame[6] & 1) != 0 || source == device.own)
        return false;
    if (wire::read16(frame.data() + 12) != 0x0800)
        return false;
    const auto header = wire::Ipv4View::checked(frame.subspan(kEthernet));
    return header && !header->has_options() && header->ttl() > 1 && is_ordinary(header->source()) &&
           is_ordinary(header->destination());
}

bool is_sound(wire::Ipv4View header, wire::Bytes upper) {
    const auto pseudo = wire::pseudo_header(header.source(), header.destination(), header.protocol(),
                                            static_cast<uint16_t>(upper.size()));
    if (header.protocol() == wire::IpProtocol::udp) {
        const auto udp = wire::UdpView::unchecked(upper.data());
        return udp.length() >= wire::kUdpHeaderSize && udp.length() <= upper.size() &&
               (!udp.has_checksum() || wire::Checksum(pseudo).add(upper).verifies());
    }
    constexpr wire::TcpFlags kOthers = wire::kTcpSyn | wire::kTcpFin | wire::kTcpRst | wire::kTcpUrg;
    const auto tcp = wire::TcpView::checked(upper);
    return tcp && tcp->flags().has(wire::kTcpAck) && !tcp->flags().has_any(kOthers) &&
           tcp->checksum_verifies(pseudo);
}

}  // namespace

Bits parse_singly(const Device& device, const Frames& frames, const Found& found) {
    Bits bits;
    for (size_t at = 0; at < frames.count; ++at) {
        const wire::Bytes frame(frames.start[at], frames.length[at]);
        if (!is_on_fast_path(device, frame))
            continue;
        const uint64_t bit = uint64_t{1} << at;
        const auto header = wire::Ipv4View::unchecked(frame.data() + kEthernet);
        const size_t length = header.total_length();
        found.meta[at] = device.meta | uint64_t{length} << 32;
        bits.ip4_fast |= bit;
        bits.padded |= frame.size() != kEthernet + length ? bit : 0;

        const bool has_ports =
            header.protocol() == wire::IpProtocol::udp || header.protocol() == wire::IpProtocol::tcp;
        const auto upper = frame.subspan(kEthernet).first(length).subspan(wire::kIpv4HeaderSize);
        if (!has_ports || header.is_fragment() || upper.size() < kPorts)
            continue;
        std::memcpy(&found.addresses[at], frame.data() + kEthernet + 12, sizeof found.addresses[at]);
        found.rest[at] = uint64_t{static_cast<uint8_t>(header.protocol())} << 32 |
                         uint64_t{wire::read16(upper.data() + 2)} << 16 | wire::read16(upper.data());
        bits.ports |= bit;
        if (kEthernet + length <= kRead && is_sound(header, upper))
            (header.protocol() == wire::IpProtocol::udp ? bits.datagrams : bits.acks) |= bit;
    }
    return bits;
}

bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

Parse choose() {
    // Processors that came before this extension lower their clock for registers of 512 bits, by more than
    // these save.
    const bool keeps_its_clock = __builtin_cpu_supports("avx512vbmi2");
    return has_avx512() && keeps_its_clock ? parse_avx512 : parse_avx2;
}

}  // namespace sluice::pipeline::plain
