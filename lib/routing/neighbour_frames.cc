#include "routing/neighbour_frames.hh"

#include "wire/ethernet.hh"
#include "wire/ipv6.hh"

namespace sluice::routing {
namespace {

// An ND message behind its IPv6 and Ethernet headers.
template <typename Message>
NeighbourFrame nd_frame(InterfaceId out, const wire::EthernetHeader& ethernet, const Ip6Address& source,
                        const Ip6Address& destination, const Message& message) {
    NeighbourFrame frame;
    frame.out = out;
    const wire::MutableBytes bytes(frame.storage);
    size_t at = ethernet.emit(bytes);
    at += wire::Ipv6Header{.payload_length = static_cast<uint16_t>(message.size()),
                           .next_header = wire::IpProtocol::icmpv6,
                           .hop_limit = wire::kNdHopLimit,
                           .source = source,
                           .destination = destination}
              .emit(bytes.subspan(at));
    at += message.emit(bytes.subspan(at), source, destination);
    frame.size = static_cast<uint8_t>(at);
    return frame;
}

}  // namespace

NeighbourFrame arp_frame(InterfaceId out, MacAddress to, const wire::ArpPacket& packet) {
    NeighbourFrame frame;
    frame.out = out;
    const wire::MutableBytes bytes(frame.storage);
    size_t at = wire::EthernetHeader{to, packet.sender_mac, wire::EtherType::arp}.emit(bytes);
    at += packet.emit(bytes.subspan(at));
    frame.size = static_cast<uint8_t>(at);
    return frame;
}

NeighbourFrame solicitation_frame(InterfaceId out, MacAddress own_mac, const Ip6Address& source,
                                  const Ip6Address& target, std::optional<MacAddress> to) {
    const Ip6Address destination = to ? target : target.solicited_node();
    return nd_frame(out, {to.value_or(multicast_mac(destination)), own_mac, wire::EtherType::ipv6}, source,
                    destination, wire::NeighbourSolicitation{target, own_mac});
}

NeighbourFrame advertisement_frame(InterfaceId out, MacAddress own_mac, MacAddress to,
                                   const Ip6Address& source, const Ip6Address& destination,
                                   const wire::NeighbourAdvertisement& advertisement) {
    return nd_frame(out, {to, own_mac, wire::EtherType::ipv6}, source, destination, advertisement);
}

}  // namespace sluice::routing
