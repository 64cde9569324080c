#include "nat/rewrite_error.hh"

#include <gtest/gtest.h>

#include "nat/described_packet.hh"
#include "nat/rewrite.hh"

namespace sluice::nat {
namespace {

using conntrack::Direction;
using conntrack::Tuple;
using enum wire::IpProtocol;

// One flow of an inside host, with its source translated and, where asked for, its destination too. The
// quoted packets are built as each side knows them.
struct Case {
    Endpoint inside;
    Endpoint external;
    Endpoint called;  // where the inside host believes its peer to be
    Endpoint peer;    // where it is
    wire::IpProtocol protocol;

    [[nodiscard]] Family family() const { return inside.address.family(); }
    [[nodiscard]] bool is_icmp() const { return protocol == icmp || protocol == icmpv6; }
    [[nodiscard]] FlowTranslation flow(Direction direction) const {
        const uint16_t request = protocol == icmp ? 8 << 8 : 128 << 8;
        const uint16_t reply = protocol == icmp ? 0 : 129 << 8;
        const Tuple original(inside.address, called.address, protocol, inside.port,
                             is_icmp() ? request : called.port);
        const Tuple answer(peer.address, external.address, protocol, is_icmp() ? external.port : peer.port,
                           is_icmp() ? reply : external.port);
        conntrack::Status status = conntrack::kSnat;
        if (called != peer)
            status.set(conntrack::kDnat);
        return {status, direction, direction == Direction::original ? answer : original};
    }
    [[nodiscard]] DescribedPacket sent(const Endpoint& from, const Endpoint& to,
                                       const Buffer& payload) const {
        DescribedPacket what{.source = from, .destination = to, .protocol = protocol, .payload = payload};
        if (is_icmp())
            what.destination.port = 0;
        what.icmp_type = protocol == icmp ? 8 : 128;
        what.sequence = 0x10203040;
        what.coverage = 8;
        return what;
    }
};

// An error from `source` to `destination` about a packet, of which no more than `quoted` bytes are quoted.
Buffer error_about(const IpAddress& source, const IpAddress& destination, Buffer about, size_t quoted,
                   uint8_t type, const Buffer& extension = {}) {
    about.resize(std::min(quoted, about.size()));
    about.insert(about.end(), extension.begin(), extension.end());
    return build({.source = {source},
                  .destination = {destination},
                  .protocol = source.is_ip4() ? icmp : icmpv6,
                  .payload = about,
                  .icmp_type = type});
}

bool rewrite_both(Buffer& bytes, const FlowTranslation& flow) {
    const auto settings = conntrack::Settings::of(conntrack::Profile::rfc);
    return rewrite_error(view_of(bytes), bytes, settings, flow, Manip::destination) &&
           rewrite_error(view_of(bytes), bytes, settings, flow, Manip::source);
}

class RewriteError : public testing::TestWithParam<std::tuple<Family, wire::IpProtocol, bool>> {
  protected:
    [[nodiscard]] static Case any_case(Random& random) {
        const auto [family, protocol, dnat] = GetParam();
        Case result{any_endpoint(family, random), any_endpoint(family, random), any_endpoint(family, random),
                    any_endpoint(family, random), protocol};
        if (!dnat)
            result.peer = result.called;
        const bool ports = protocol == tcp || protocol == udp || protocol == udplite || protocol == sctp;
        for (Endpoint* end : {&result.inside, &result.external, &result.called, &result.peer})
            if (!ports && !result.is_icmp())
                end->port = 0;
        return result;
    }
    static uint8_t error_type() { return std::get<0>(GetParam()) == Family::ip4 ? 3 : 1; }
    // Quotations as old routers make them, in the middle of headers, and whole.
    [[nodiscard]] static size_t quotation(const Buffer& about, size_t options, Random& random) {
        const auto [family, protocol, dnat] = GetParam();
        const size_t header = (family == Family::ip4 ? 20 : 40) + options;
        const bool briefly = random.below(2) == 0;
        if (protocol == sctp)
            return briefly ? header + 8 : about.size();
        // As in Linux TCP's checksum is updated where the whole header is quoted.
        return header + (briefly ? 8 + random.below(8) : 20 + random.below(48));
    }
};

// R5508-4 R5508-3b R5508-10a: from outside, about what the inside host sent.
TEST_P(RewriteError, ComesInAsIfThereWereNoNat) {
    Random random(4);
    for (int round = 0; round < 300; ++round) {
        const Case flow = any_case(random);
        const Buffer payload = any_bytes(random.below(80), random);
        auto left = flow.sent(flow.external, flow.peer, payload);
        auto sent = flow.sent(flow.inside, flow.called, payload);
        left.options = sent.options = Buffer(size_t{random.below(5)} * 8, 1);
        const size_t quoted = quotation(build(left), left.options.size(), random);
        const bool by_peer = random.below(2) == 0;
        const IpAddress router = any_address(flow.family(), random);
        Buffer error = error_about(by_peer ? flow.peer.address : router, flow.external.address, build(left),
                                   quoted, error_type());
        ASSERT_TRUE(rewrite_both(error, flow.flow(Direction::reply)));
        // A router's own address becomes what the inside host called if its packets' destination was changed,
        // as Linux does.
        const bool dnat = flow.called != flow.peer;
        const IpAddress from = dnat || by_peer ? flow.called.address : router;
        ASSERT_EQ(error, error_about(from, flow.inside.address, build(sent), quoted, error_type()));
    }
}

// R5508-5: from inside, about an answer; it leaves from the sender's own mapping.
TEST_P(RewriteError, GoesOutAsIfThereWereNoNat) {
    Random random(5);
    for (int round = 0; round < 300; ++round) {
        const Case flow = any_case(random);
        const Buffer payload = any_bytes(random.below(80), random);
        auto came = flow.sent(flow.peer, flow.external, payload);
        auto arrived = flow.sent(flow.called, flow.inside, payload);
        if (flow.is_icmp()) {
            came.source.port = flow.external.port;
            arrived.source.port = flow.inside.port;
            came.icmp_type = arrived.icmp_type = flow.protocol == icmp ? 0 : 129;
        }
        const size_t quoted = quotation(build(came), 0, random);
        Buffer error =
            error_about(flow.inside.address, flow.called.address, build(arrived), quoted, error_type());
        ASSERT_TRUE(rewrite_both(error, flow.flow(Direction::original)));
        ASSERT_EQ(error,
                  error_about(flow.external.address, flow.peer.address, build(came), quoted, error_type()));
    }
}

std::string name_of(const testing::TestParamInfo<std::tuple<Family, wire::IpProtocol, bool>>& info) {
    const auto [family, protocol, dnat] = info.param;
    return std::string(to_string(family)) + "_" + std::to_string(static_cast<int>(protocol)) +
           (dnat ? "_both_ends" : "");
}

INSTANTIATE_TEST_SUITE_P(Ip4, RewriteError,
                         testing::Combine(testing::Values(Family::ip4),
                                          testing::Values(tcp, udp, udplite, sctp, icmp, gre, esp),
                                          testing::Bool()),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Ip6, RewriteError,
                         testing::Combine(testing::Values(Family::ip6),
                                          testing::Values(tcp, udp, udplite, sctp, icmpv6, gre, esp),
                                          testing::Bool()),
                         name_of);

const Case kUdpCase{{ip("192.168.1.10"), 5000},
                    {ip("203.0.113.2"), 61000},
                    {ip("198.51.100.1"), 53},
                    {ip("198.51.100.1"), 53},
                    udp};

// R5508-7: an inside host calls another by its external endpoint; both ends of the flow are translated.
TEST(RewriteErrorHairpin, ErrorsComeBackFromTheExternalAddress) {
    const Case flow{{ip("192.168.1.10"), 5000},
                    {ip("203.0.113.2"), 61000},
                    {ip("203.0.113.2"), 62000},
                    {ip("192.168.1.20"), 53},
                    udp};
    Buffer error = error_about(flow.peer.address, flow.external.address,
                               build(flow.sent(flow.external, flow.peer, {1, 2, 3})), 100, 3);
    ASSERT_TRUE(rewrite_both(error, flow.flow(Direction::reply)));
    EXPECT_EQ(error, error_about(ip("203.0.113.2"), ip("192.168.1.10"),
                                 build(flow.sent(flow.inside, flow.called, {1, 2, 3})), 100, 3));
}

// R5508-3d: extensions behind a quotation of 128 bytes stay as they are.
TEST(RewriteErrorExtensions, StayUntouched) {
    const Buffer payload(200, 7);
    const Buffer extension{0x20, 0, 0xdf, 0xff, 0, 8, 1, 1, 1, 2, 3, 4};
    Buffer error =
        error_about(ip("192.0.2.254"), kUdpCase.external.address,
                    build(kUdpCase.sent(kUdpCase.external, kUdpCase.peer, payload)), 128, 11, extension);
    ASSERT_TRUE(rewrite_both(error, kUdpCase.flow(Direction::reply)));
    EXPECT_EQ(error, error_about(ip("192.0.2.254"), kUdpCase.inside.address,
                                 build(kUdpCase.sent(kUdpCase.inside, kUdpCase.called, payload)), 128, 11,
                                 extension));
}

// R5508-3c: a wrong checksum of the quoted transport is no reason to refuse.
TEST(RewriteErrorQuotation, MayHaveAWrongTransportChecksum) {
    auto left = kUdpCase.sent(kUdpCase.external, kUdpCase.peer, {1});
    left.wrong_by = 5;
    Buffer error = error_about(ip("192.0.2.254"), kUdpCase.external.address, build(left), 100, 3);
    EXPECT_TRUE(rewrite_both(error, kUdpCase.flow(Direction::reply)));
    EXPECT_EQ(view_of(error).destination(), kUdpCase.inside.address);
}

TEST(RewriteErrorQuotation, NeedsEightBytesOfTransport) {
    const Buffer left = build(kUdpCase.sent(kUdpCase.external, kUdpCase.peer, {1, 2, 3, 4}));
    for (size_t quoted = 0; quoted <= left.size(); ++quoted) {
        Buffer error = error_about(ip("192.0.2.254"), kUdpCase.external.address, left, quoted, 3);
        EXPECT_EQ(rewrite_both(error, kUdpCase.flow(Direction::reply)), quoted >= 28) << quoted;
    }
}

// R5508-3
TEST(RewriteErrorChecksum, MustBeRight) {
    Buffer error = error_about(ip("192.0.2.254"), kUdpCase.external.address,
                               build(kUdpCase.sent(kUdpCase.external, kUdpCase.peer, {1})), 100, 3);
    error[22] ^= 1;
    EXPECT_FALSE(rewrite_both(error, kUdpCase.flow(Direction::reply)));
}

TEST(RewriteErrorRedirect, OfATranslatedFlowIsRefused) {
    Buffer error = error_about(ip("192.0.2.254"), kUdpCase.external.address,
                               build(kUdpCase.sent(kUdpCase.external, kUdpCase.peer, {1})), 100, 5);
    EXPECT_FALSE(rewrite_both(error, kUdpCase.flow(Direction::reply)));
    auto plain = kUdpCase.flow(Direction::reply);
    plain.status = {};
    const Buffer before = error;
    EXPECT_TRUE(rewrite_both(error, plain));
    EXPECT_EQ(error, before);
}

TEST(FlowTranslation, ChangesOppositeEndsInOppositeDirections) {
    const auto out = kUdpCase.flow(Direction::original);
    EXPECT_TRUE(out.changes(Manip::source));
    EXPECT_FALSE(out.changes(Manip::destination));
    EXPECT_EQ(out.target(Manip::source), kUdpCase.external);
    const auto back = kUdpCase.flow(Direction::reply);
    EXPECT_FALSE(back.changes(Manip::source));
    EXPECT_TRUE(back.changes(Manip::destination));
    EXPECT_EQ(back.target(Manip::destination), kUdpCase.inside);
}

}  // namespace
}  // namespace sluice::nat
