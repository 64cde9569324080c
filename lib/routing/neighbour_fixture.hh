// For the tests of the resolver: a box with two interfaces, made-up time, and the words of ARP and ND.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "routing/neighbour_resolver.hh"
#include "wire/arp.hh"
#include "wire/ethernet.hh"
#include "wire/ipv6.hh"
#include "wire/nd.hh"

namespace sluice::routing {

inline constexpr InterfaceId kLan{0};
inline constexpr InterfaceId kWan{1};

inline MacAddress mac(const char* text) {
    return *MacAddress::parse(text);
}
inline IpAddress ip(const char* text) {
    return *IpAddress::parse(text);
}
inline Ip4Address ip4(const char* text) {
    return ip(text).ip4();
}
inline Ip6Address ip6(const char* text) {
    return ip(text).ip6();
}

inline const MacAddress kLanMac = mac("02:00:00:00:01:01");
inline const MacAddress kWanMac = mac("02:00:00:00:02:01");
inline const MacAddress kHostMac = mac("02:00:00:00:00:aa");
inline const MacAddress kOtherMac = mac("02:00:00:00:00:bb");

class NeighbourTest : public testing::Test {
  protected:
    // What an ARP frame said, and to whom it went.
    struct SentArp {
        MacAddress to;
        wire::ArpPacket packet;
    };
    struct SentNd {
        MacAddress to;
        Ip6Address source;
        Ip6Address destination;
        uint8_t hop_limit = 0;
        std::optional<wire::NeighbourSolicitation> solicitation;
        std::optional<wire::NeighbourAdvertisement> advertisement;
    };

    NeighbourTest() { start(NeighbourMode::ask); }

    void start(NeighbourMode mode, const NeighbourLimits& limits = {}, size_t slots = 256) {
        resolver_.reset();
        table_ = std::make_unique<NeighbourTable>(slots);
        resolver_ = std::make_unique<NeighbourResolver>(*table_, grace_, random_, mode, limits);
        resolver_->configure(interfaces(), {}, now_);
        [[maybe_unused]] const auto announcements = resolver_->take_actions();
        clear();
    }
    static std::vector<NeighbourInterface> interfaces() {
        return {{.id = kLan,
                 .name = "lan",
                 .mac = kLanMac,
                 .addresses = {*InterfaceAddress::parse("192.168.1.1/24"),
                               *InterfaceAddress::parse("fd00:1::1/64")}},
                {.id = kWan,
                 .name = "wan",
                 .mac = kWanMac,
                 .addresses = {*InterfaceAddress::parse("203.0.113.2/24")}}};
    }

    // --- Time ---
    void wait(Duration time, Duration step = std::chrono::milliseconds(100)) {
        for (const Instant end = now_ + time; now_ < end;) {
            now_ += step;
            resolver_->tick(now_);
            collect();
        }
    }

    // --- Packets that wait ---
    void resolve(InterfaceId out, const char* address) { resolve(out, ip(address)); }
    void resolve(InterfaceId out, const IpAddress& address) {
        resolver_->resolve(out, address, HeldPacket(new int(++packets_), &free_packet), now_);
        collect();
    }
    static void free_packet(void* packet) noexcept { delete static_cast<int*>(packet); }

    // --- What the resolver wants ---
    void collect() {
        auto fresh = resolver_->take_actions();
        std::ranges::move(fresh.frames, std::back_inserter(actions_.frames));
        std::ranges::move(fresh.released, std::back_inserter(actions_.released));
        std::ranges::move(fresh.dropped, std::back_inserter(actions_.dropped));
        std::ranges::move(fresh.conflicts, std::back_inserter(actions_.conflicts));
    }
    void clear() { actions_ = {}; }
    [[nodiscard]] static std::optional<SentArp> arp_in(const NeighbourFrame& frame) {
        const auto ethernet = wire::EthernetView::unchecked(frame.bytes());
        const auto view = wire::ArpView::checked(ethernet.payload());
        if (ethernet.ether_type() != wire::EtherType::arp || !view)
            return std::nullopt;
        return SentArp{ethernet.destination(), wire::ArpPacket::parse(*view)};
    }
    [[nodiscard]] static std::optional<SentNd> nd_in(const NeighbourFrame& frame) {
        const auto ethernet = wire::EthernetView::unchecked(frame.bytes());
        const auto view = wire::Ipv6View::checked(ethernet.payload());
        if (ethernet.ether_type() != wire::EtherType::ipv6 || !view)
            return std::nullopt;
        const wire::NdPacket packet{view->source(), view->destination(), view->hop_limit(), view->payload()};
        SentNd sent{.to = ethernet.destination(),
                    .source = view->source(),
                    .destination = view->destination(),
                    .hop_limit = view->hop_limit(),
                    .solicitation = {},
                    .advertisement = {}};
        if (const auto message = wire::NeighbourSolicitation::parse(packet))
            sent.solicitation = *message;
        if (const auto message = wire::NeighbourAdvertisement::parse(packet))
            sent.advertisement = *message;
        return sent;
    }
    // The only frame since clear().
    [[nodiscard]] SentArp arp() const {
        EXPECT_EQ(actions_.frames.size(), 1U);
        const auto sent = actions_.frames.empty() ? std::nullopt : arp_in(actions_.frames.back());
        EXPECT_TRUE(sent);
        return sent.value_or(SentArp{});
    }
    [[nodiscard]] SentNd nd() const {
        EXPECT_EQ(actions_.frames.size(), 1U);
        const auto sent = actions_.frames.empty() ? std::nullopt : nd_in(actions_.frames.back());
        EXPECT_TRUE(sent);
        return sent.value_or(SentNd{});
    }

    // --- What others send ---
    NeighbourInput receive_arp(const wire::ArpPacket& packet, MacAddress to = kBroadcastMac,
                               InterfaceId in = kLan) {
        std::array<uint8_t, wire::kArpSize + 18> bytes{};  // padded to the shortest frame
        packet.emit(bytes);
        const auto result = resolver_->on_arp(
            {.in = in, .source = packet.sender_mac, .destination = to, .bytes = bytes}, now_);
        collect();
        return result;
    }
    NeighbourInput arp_request(MacAddress from, const char* sender, const char* target,
                               InterfaceId in = kLan) {
        return receive_arp({wire::ArpOperation::request, from, ip4(sender), {}, ip4(target)}, kBroadcastMac,
                           in);
    }
    NeighbourInput arp_reply(MacAddress from, const char* sender, MacAddress to = kLanMac) {
        return receive_arp({wire::ArpOperation::reply, from, ip4(sender), kLanMac, ip4("192.168.1.1")}, to);
    }
    struct NdFrame {
        MacAddress source_mac = kHostMac;
        Ip6Address source;
        Ip6Address destination;
        uint8_t hop_limit = 255;
    };
    template <typename Message>
    NeighbourInput receive_nd(const NdFrame& frame, const Message& message) {
        std::vector<uint8_t> bytes(wire::kIpv6HeaderSize + message.size());
        wire::Ipv6Header{.payload_length = static_cast<uint16_t>(message.size()),
                         .next_header = wire::IpProtocol::icmpv6,
                         .hop_limit = frame.hop_limit,
                         .source = frame.source,
                         .destination = frame.destination}
            .emit(bytes);
        message.emit(wire::MutableBytes(bytes).subspan(wire::kIpv6HeaderSize), frame.source,
                     frame.destination);
        const auto result = resolver_->on_nd(
            {.in = kLan, .source = frame.source_mac, .destination = kLanMac, .bytes = bytes}, now_);
        collect();
        return result;
    }
    NeighbourInput advertise(const char* target, std::optional<MacAddress> target_mac, bool solicited,
                             bool override_cache) {
        return receive_nd({.source = ip6(target), .destination = solicited ? ip6("fe80::1") : ip6("ff02::1")},
                          wire::NeighbourAdvertisement{.target = ip6(target),
                                                       .router = false,
                                                       .solicited = solicited,
                                                       .override_cache = override_cache,
                                                       .target_mac = target_mac});
    }

    // --- What the resolver knows ---
    [[nodiscard]] std::optional<NeighbourStatus> status(InterfaceId interface, const char* address) const {
        for (const auto& each : resolver_->list(now_)) {
            if (each.key == NeighbourKey{interface, ip(address)})
                return each;
        }
        return std::nullopt;
    }
    [[nodiscard]] NeighbourState state(InterfaceId interface, const char* address) const {
        const auto found = status(interface, address);
        return found ? found->state : NeighbourState::none;
    }
    [[nodiscard]] NeighbourLink link(InterfaceId interface, const char* address) const {
        return table_->find(interface, ip(address)).link;
    }
    void use(InterfaceId interface, const char* address) {
        table_->mark_used(table_->find(interface, ip(address)).index);
    }

    Instant now_{std::chrono::seconds(1000)};
    NoGracePeriod grace_;
    Random random_{1};
    std::unique_ptr<NeighbourTable> table_;
    std::unique_ptr<NeighbourResolver> resolver_;
    NeighbourActions actions_;
    int packets_ = 0;
};

}  // namespace sluice::routing
