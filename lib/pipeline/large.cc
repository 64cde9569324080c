#include "pipeline/large.hh"

#include <cstring>

#include "pipeline/drops.hh"
#include "wire/ethernet.hh"
#include "wire/ip_packet.hh"
#include "wire/udp.hh"

namespace sluice::pipeline {
namespace {

// Of a part of a burst. One more large frame may come on top.
constexpr uint32_t kSegmentsAtOnce = Egress::kCapacity / 4;
static_assert(kSegmentsAtOnce + kMaxSegments <= 2 * Egress::kCapacity);

struct Transport {
    uint16_t offset = 0;  // from the IP header on; 0: there is no TCP
    uint32_t ip_length = 0;
};

// `header`: as much of the packet as lies in the first buffer.
Transport find_tcp(wire::Bytes header, uint32_t whole) {
    if (header.size() < wire::kIpv4HeaderSize)
        return {};
    if (header[0] >> 4 == 4) {
        const auto view = wire::Ipv4View::checked_shape({header.data(), whole});
        if (!view || view->protocol() != wire::IpProtocol::tcp || view->is_fragment())
            return {};
        return {static_cast<uint16_t>(view->header_length()), view->total_length()};
    }
    if (header[0] >> 4 != 6 || header.size() < wire::kIpv6HeaderSize)
        return {};
    const auto view = wire::Ipv6View::unchecked(header.data());
    auto protocol = view.next_header();
    size_t at = wire::kIpv6HeaderSize;
    while (wire::is_extension_header(protocol) && protocol != wire::IpProtocol::fragment &&
           protocol != wire::IpProtocol::routing && at + 2 <= header.size()) {
        const auto here = header.subspan(at);
        at += wire::extension_header_size(protocol, here);
        protocol = wire::IpProtocol{here[0]};
    }
    if (protocol != wire::IpProtocol::tcp)
        return {};
    return {static_cast<uint16_t>(at), static_cast<uint32_t>(view.total_length())};
}

wire::Checksum pseudo_header_of(const wire::IpPacket& packet, size_t length) {
    if (packet.family() == Family::ip4)
        return wire::pseudo_header(packet.ip4().source(), packet.ip4().destination(), packet.protocol(),
                                   static_cast<uint16_t>(length));
    return wire::pseudo_header(packet.ip6().source(), packet.ip6().destination(), packet.protocol(),
                               static_cast<uint32_t>(length));
}

}  // namespace

std::optional<LargeFrame> LargeFrame::find(const dpdk::Packet* packet, uint16_t ip) {
    const auto first = dpdk::bytes(packet);
    if (first.size() <= ip)
        return std::nullopt;
    const uint32_t whole = dpdk::total_length(packet) - ip;
    const auto header = first.subspan(ip);
    const Transport transport = find_tcp(header, whole);
    if (transport.offset == 0 || transport.ip_length != whole || whole > UINT16_MAX ||
        transport.offset >= header.size())
        return std::nullopt;
    const auto tcp = wire::TcpView::checked(header.subspan(transport.offset));
    if (!tcp)
        return std::nullopt;
    const size_t headers = ip + transport.offset + tcp->header_length();
    const LargeFrame large{.ip = ip,
                           .tcp = static_cast<uint16_t>(ip + transport.offset),
                           .headers = static_cast<uint16_t>(headers),
                           .segment_size = dpdk::segment_size(packet),
                           .payload = static_cast<uint32_t>(dpdk::total_length(packet) - headers)};
    if (large.payload == 0 || large.segments() > kMaxSegments)
        return std::nullopt;
    return large;
}

uint16_t ip_offset(const dpdk::Packet* frame) {
    const auto bytes = dpdk::bytes(frame);
    const bool is_tagged =
        bytes.size() >= kEthernetHeader && wire::is_vlan(wire::EthernetView::unchecked(bytes).ether_type());
    return is_tagged ? kEthernetHeader + kVlanTag : kEthernetHeader;
}

LargeFrameCutter::LargeFrameCutter(Worker& worker, dpdk::PacketOwner large, uint16_t ip, InterfaceId charged,
                                   Origin origin)
    : worker_(worker),
      large_(std::move(large)),
      parts_(LargeFrame::of(large_.get(), ip)),
      segmentation_(dpdk::bytes(static_cast<const dpdk::Packet*>(large_.get())).first(parts_.headers),
                    parts_.ip, parts_.tcp, parts_.payload, parts_.segment_size),
      charged_(charged),
      origin_(origin),
      buffer_(large_.get()),
      at_(parts_.headers) {
    if (origin == Origin::received)
        worker.counters.originated.add(segmentation_.count() - 1);
}

dpdk::Packet* LargeFrameCutter::next() {
    while (segment_ < segmentation_.count()) {
        const uint32_t segment = segment_++;
        const uint32_t size = segmentation_.size(segment);
        const uint32_t length = parts_.headers + size;
        dpdk::Packet* packet = worker_.pool.allocate();
        if (packet == nullptr || length > dpdk::room(packet)) [[unlikely]] {
            rte_pktmbuf_free(packet);
            worker_.counters.drop(charged_, packet == nullptr ? drops::no_buffer : drops::frame_too_long,
                                  length);
            if (origin_ == Origin::device)
                worker_.counters.received.add(1);
            skip_data(size);
            continue;
        }
        dpdk::set_length(packet, static_cast<uint16_t>(length));
        copy_data(dpdk::data(packet) + parts_.headers, size);
        segmentation_.emit(segment, dpdk::bytes(packet));
        return packet;
    }
    return nullptr;
}

void LargeFrameCutter::copy_data(uint8_t* to, uint32_t size) {
    while (size != 0) {
        const uint32_t here = std::min<uint32_t>(size, dpdk::length(buffer_) - at_);
        std::memcpy(to, dpdk::data(buffer_) + at_, here);
        to += here;
        size -= here;
        at_ += here;
        if (at_ == dpdk::length(buffer_) && buffer_->next != nullptr) {
            buffer_ = buffer_->next;
            at_ = 0;
        }
    }
}

void LargeFrameCutter::skip_data(uint32_t size) {
    while (size != 0) {
        const uint32_t here = std::min<uint32_t>(size, dpdk::length(buffer_) - at_);
        size -= here;
        at_ += here;
        if (at_ == dpdk::length(buffer_) && buffer_->next != nullptr) {
            buffer_ = buffer_->next;
            at_ = 0;
        }
    }
}

void complete_transport_checksum(wire::MutableBytes bytes) {
    const auto packet = bytes[0] >> 4 == 4 ? wire::IpPacket::of(wire::Ipv4View::unchecked(bytes.data()))
                                           : wire::IpPacket::of(wire::Ipv6View::unchecked(bytes.data()));
    if (packet.is_fragment() || packet.has_broken_chain())
        return;
    const auto upper = bytes.subspan(packet.upper_offset());
    if (packet.protocol() == wire::IpProtocol::tcp && upper.size() >= wire::kTcpHeaderSize) {
        wire::set_tcp_checksum(upper, pseudo_header_of(packet, upper.size()));
    } else if (packet.protocol() == wire::IpProtocol::udp && upper.size() >= wire::kUdpHeaderSize &&
               wire::UdpView::unchecked(upper.data()).length() == upper.size()) {
        wire::write16(upper.data() + 6, 0);
        pseudo_header_of(packet, upper.size()).add(upper).finish_udp().store(upper.data() + 6);
    }
}

bool BurstParts::next(Burst& part) {
    part.count = 0;
    uint32_t segments = 0;
    while (part.count < kMaxBurst && segments < kSegmentsAtOnce) {
        if (cutter_) {
            if (dpdk::Packet* segment = cutter_->next()) {
                part.packets[part.count++] = segment;
                ++segments;
                continue;
            }
            cutter_.reset();
        }
        if (place_ == burst_.count)
            break;
        dpdk::Packet* packet = burst_.packets[place_];
        if (!dpdk::is_large(packet)) {
            ++segments;
        } else if (const auto large = LargeFrame::find(packet, ip_offset(packet)); large && cut_) {
            cutter_.emplace(worker_, dpdk::PacketOwner(packet), large->ip, device_,
                            LargeFrameCutter::Origin::device);
            ++place_;
            continue;
        } else {
            segments += large ? large->segments() : 1;
        }
        part.packets[part.count] = packet;
        part.meta[part.count] = burst_.meta[place_];
        ++part.count;
        ++place_;
    }
    return part.count != 0;
}

}  // namespace sluice::pipeline
