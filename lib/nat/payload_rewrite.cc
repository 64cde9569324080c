#include "nat/payload_rewrite.hh"

#include <cstdint>

#include "wire/checksum.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"
#include "wire/tcp.hh"

namespace sluice::nat {

size_t replace_tcp_payload(const wire::IpPacket& packet, size_t offset, size_t length,
                           wire::Bytes replacement, wire::MutableBytes to) {
    const auto tcp = wire::TcpView::checked(packet.upper());
    if (packet.protocol() != wire::IpProtocol::tcp || packet.is_fragment() || !tcp)
        return 0;
    const wire::Bytes payload = tcp->payload();
    if (offset > payload.size() || length > payload.size() - offset)
        return 0;
    const wire::Bytes tail = payload.subspan(offset + length);
    const size_t head = packet.length() - payload.size() + offset;
    const size_t size = head + replacement.size() + tail.size();
    // Linux lets no packet of either family grow beyond this.
    if (size > UINT16_MAX || size > to.size())
        return 0;
    wire::copy_bytes(to.data(), packet.bytes().first(head));
    wire::copy_bytes(to.data() + head, replacement);
    wire::copy_bytes(to.data() + head + replacement.size(), tail);

    const size_t segment_size = size - packet.upper_offset();
    const auto segment = to.subspan(packet.upper_offset(), segment_size);
    if (packet.family() == Family::ip4) {
        wire::write16(to.data() + 2, static_cast<uint16_t>(size));
        auto ip4 = wire::MutableIpv4View::unchecked(to.data());
        ip4.refresh_checksum();
        wire::set_tcp_checksum(segment,
                               wire::pseudo_header(ip4.source(), ip4.destination(), wire::IpProtocol::tcp,
                                                   static_cast<uint16_t>(segment_size)));
    } else {
        auto ip6 = wire::MutableIpv6View::unchecked(to.data());
        ip6.set_payload_length(static_cast<uint16_t>(size - wire::kIpv6HeaderSize));
        wire::set_tcp_checksum(segment,
                               wire::pseudo_header(ip6.source(), ip6.destination(), wire::IpProtocol::tcp,
                                                   static_cast<uint32_t>(segment_size)));
    }
    return size;
}

}  // namespace sluice::nat
