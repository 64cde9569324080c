// Packets and a worker's tracker for tests.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "conntrack/tracker.hh"
#include "wire/checksum.hh"
#include "wire/icmp4.hh"
#include "wire/icmp6.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::conntrack {

using namespace std::chrono_literals;
using Bytes = std::vector<uint8_t>;

inline IpAddress ip(std::string_view text) {
    return *IpAddress::parse(text);
}

// An IP header of either family before a transport that has no checksum yet, which is filled in.
inline Bytes packet(const IpAddress& source, const IpAddress& destination, wire::IpProtocol protocol,
                    const Bytes& upper) {
    const bool ip4 = source.is_ip4();
    const size_t header = ip4 ? 20 : 40;
    Bytes result(header + upper.size());
    if (ip4) {
        result[0] = 0x45;
        wire::write16(result.data() + 2, static_cast<uint16_t>(result.size()));
        result[8] = 64;
        result[9] = static_cast<uint8_t>(protocol);
        source.ip4().store(result.data() + 12);
        destination.ip4().store(result.data() + 16);
        wire::Checksum().add(wire::Bytes(result).first(20)).finish().store(result.data() + 10);
    } else {
        result[0] = 0x60;
        wire::write16(result.data() + 4, static_cast<uint16_t>(upper.size()));
        result[6] = static_cast<uint8_t>(protocol);
        result[7] = 64;
        source.ip6().store(result.data() + 8);
        destination.ip6().store(result.data() + 24);
    }
    std::copy(upper.begin(), upper.end(), result.begin() + static_cast<ptrdiff_t>(header));
    const auto body = wire::MutableBytes(result).subspan(header);
    const auto length = static_cast<uint32_t>(upper.size());
    const auto pseudo =
        ip4 ? wire::pseudo_header(source.ip4(), destination.ip4(), protocol, static_cast<uint16_t>(length))
            : wire::pseudo_header(source.ip6(), destination.ip6(), protocol, length);
    if (protocol == wire::IpProtocol::tcp)
        wire::set_tcp_checksum(body, pseudo);
    else if (protocol == wire::IpProtocol::udp)
        wire::set_udp_checksum(body, pseudo);
    else if (protocol == wire::IpProtocol::icmp)
        wire::Checksum().add(body).finish().store(body.data() + 2);
    else if (protocol == wire::IpProtocol::icmpv6)
        wire::set_icmp6_checksum(body, source.ip6(), destination.ip6());
    return result;
}

inline Bytes udp(const IpAddress& source, uint16_t sport, const IpAddress& destination, uint16_t dport,
                 std::string_view payload = "x") {
    Bytes upper(8);
    wire::UdpHeader{
        .source_port = sport, .destination_port = dport, .length = static_cast<uint16_t>(8 + payload.size())}
        .emit(upper);
    upper.insert(upper.end(), payload.begin(), payload.end());
    return packet(source, destination, wire::IpProtocol::udp, upper);
}

inline Bytes tcp(const IpAddress& source, uint16_t sport, const IpAddress& destination, uint16_t dport,
                 wire::TcpFlags flags, uint32_t sequence, uint32_t ack, std::string_view payload = "") {
    Bytes upper(20);
    wire::TcpHeader{.source_port = sport,
                    .destination_port = dport,
                    .sequence = sequence,
                    .acknowledgment = ack,
                    .flags = flags,
                    .window = 65535}
        .emit(upper);
    upper.insert(upper.end(), payload.begin(), payload.end());
    return packet(source, destination, wire::IpProtocol::tcp, upper);
}

// A message of ICMP, or of ICMPv6 between IPv6 addresses.
inline Bytes icmp(const IpAddress& source, const IpAddress& destination, uint8_t type, uint8_t code,
                  uint32_t word, wire::Bytes body = {}) {
    Bytes upper(8);
    upper[0] = type;
    upper[1] = code;
    wire::write32(upper.data() + 4, word);
    upper.insert(upper.end(), body.begin(), body.end());
    return packet(source, destination, source.is_ip4() ? wire::IpProtocol::icmp : wire::IpProtocol::icmpv6,
                  upper);
}

inline wire::IpPacket view(const Bytes& bytes) {
    return bytes[0] >> 4 == 4 ? wire::IpPacket::of(wire::Ipv4View::unchecked(bytes.data()))
                              : wire::IpPacket::of(wire::Ipv6View::unchecked(bytes.data()));
}

inline constexpr InterfaceId kLan{0};
inline constexpr InterfaceId kWan{1};

// A worker that lets every packet pass, unless told otherwise.
class TrackerTest : public testing::Test {
  protected:
    void make(size_t max = 100, const Settings& with = Settings::of(Profile::linux)) {
        limits.max = max;
        settings = with;
        make_again();
    }
    void make_again() { tracker = std::make_unique<Tracker>(limits, settings, random, counters); }

    Tracked track(const Bytes& bytes, InterfaceId in = kLan, bool own = false) {
        return tracker->track(view(bytes), in, own, now);
    }
    // Tracks and confirms.
    Tracked pass(const Bytes& bytes, InterfaceId in = kLan, bool own = false) {
        auto tracked = track(bytes, in, own);
        announced.reset();
        const bool leaves = tracker->help(tracked, view(bytes), now, announced) &&
                            tracker->confirm(tracked, view(bytes), now);
        EXPECT_EQ(leaves, tracked.refusal == Refusal::none);
        return tracked;
    }
    void advance(Duration by) {
        now += by;
        while (!tracker->expire(now, 1000)) {
        }
    }
    [[nodiscard]] size_t flows() const { return tracker->table().size(); }
    [[nodiscard]] uint64_t count(Count which) const { return counters.read(which); }
    // What must hold at any time between packets.
    void check() const {
        const auto& table = tracker->table();
        EXPECT_EQ(table.index_entries(), 2 * table.size());
        EXPECT_EQ(table.timers(), table.size());
    }

    const IpAddress a = ip("10.0.0.1");
    const IpAddress b = ip("192.0.2.2");
    const IpAddress router = ip("198.51.100.1");
    const IpAddress a6 = ip("2001:db8::1");
    const IpAddress b6 = ip("2001:db8:1::2");
    Limits limits;
    Settings settings;
    Random random{42};
    Counters counters;
    std::optional<Announcement> announced;  // by the last packet that passed
    std::unique_ptr<Tracker> tracker;
    Instant now{1'700'000'000s};
};

}  // namespace sluice::conntrack
