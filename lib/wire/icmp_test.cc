#include <gtest/gtest.h>

#include "wire/icmp4.hh"
#include "wire/icmp6.hh"
#include "wire/test_bytes.hh"

namespace sluice::wire {
namespace {

const Buffer kEcho4 = from_hex("0800665200770009 61626364656667");
const Buffer kEcho6 = from_hex("8000 31c0 0005 0006 78797a");
const auto kSource = Ip6Address::parse("2001:db8::1").value();
const auto kDestination = Ip6Address::parse("2001:db8::2").value();

TEST(Icmp4, ReadsAndWritesAKnownPacket) {
    const auto view = Icmp4View::checked(kEcho4).value();
    EXPECT_EQ(view.type(), Icmp4Type::echo_request);
    EXPECT_EQ(view.code(), 0);
    EXPECT_EQ(view.identifier(), 0x77);
    EXPECT_EQ(view.sequence(), 9);
    EXPECT_EQ(view.body().size(), 7U);
    EXPECT_EQ(emitted(Icmp4Message::parse(view), kEcho4.size()), kEcho4);
}

TEST(Icmp4, FieldsOfErrors) {
    const Icmp4Message too_big{
        .type = Icmp4Type::destination_unreachable, .code = 4, .word = 1400, .body = {}};
    EXPECT_EQ(Icmp4View::checked(emitted(too_big, 8))->next_hop_mtu(), 1400);
    const Icmp4Message problem{
        .type = Icmp4Type::parameter_problem, .code = 0, .word = 20U << 24, .body = {}};
    EXPECT_EQ(Icmp4View::checked(emitted(problem, 8))->pointer(), 20);
    const Icmp4Message redirect{.type = Icmp4Type::redirect, .code = 1, .word = 0x0a000001, .body = {}};
    EXPECT_EQ(Icmp4View::checked(emitted(redirect, 8))->gateway().to_string(), "10.0.0.1");
}

TEST(Icmp4, Refuses) {
    for (size_t size = 0; size < 8; ++size) {
        EXPECT_EQ(Icmp4View::checked(Bytes(kEcho4).first(size)).error(), IcmpError::too_short);
    }
    EXPECT_EQ(Icmp4View::checked(with(kEcho4, 14, 0)).error(), IcmpError::bad_checksum);
    EXPECT_TRUE(Icmp4View::checked_shape(with(kEcho4, 14, 0)));
}

// R1812-4.3.2.7 rests on this.
TEST(Icmp4, TellsErrorsFromQueries) {
    int errors = 0;
    int queries = 0;
    for (int type = 0; type < 256; ++type) {
        const auto kind = kind_of(Icmp4Type{static_cast<uint8_t>(type)});
        errors += kind == IcmpKind::error ? 1 : 0;
        queries += kind == IcmpKind::query ? 1 : 0;
    }
    EXPECT_EQ(errors, 5);
    EXPECT_EQ(queries, 10);
    EXPECT_EQ(kind_of(Icmp4Type::time_exceeded), IcmpKind::error);
    EXPECT_EQ(kind_of(Icmp4Type::echo_request), IcmpKind::query);
    EXPECT_EQ(kind_of(Icmp4Type{1}), IcmpKind::unknown);
}

TEST(Icmp4, EchoReplyInPlace) {
    Buffer bytes = kEcho4;
    make_echo_reply(bytes);
    const auto reply = Icmp4View::checked(bytes).value();
    EXPECT_EQ(reply.type(), Icmp4Type::echo_reply);
    EXPECT_EQ(reply.identifier(), 0x77);
    EXPECT_TRUE(same_bytes(reply.body(), Bytes(kEcho4).subspan(8)));
}

TEST(Icmp4, EchoReplyOfZerosVerifies) {
    Buffer bytes = from_hex("0800f7ff00000000");
    ASSERT_TRUE(Icmp4View::checked(bytes));
    make_echo_reply(bytes);
    EXPECT_EQ(bytes, from_hex("0000ffff00000000"));
    EXPECT_TRUE(Icmp4View::checked(bytes));
    Buffer wrong = from_hex("0800f7fe00000000");
    make_echo_reply(wrong);
    EXPECT_FALSE(Icmp4View::checked(wrong)) << "damage is not repaired";
}

TEST(Icmp6, ReadsAndWritesAKnownPacket) {
    const auto view = Icmp6View::checked(kEcho6, kSource, kDestination).value();
    EXPECT_EQ(view.type(), Icmp6Type::echo_request);
    EXPECT_EQ(view.identifier(), 5);
    EXPECT_EQ(view.sequence(), 6);
    EXPECT_EQ(emitted(Icmp6Message::parse(view), kEcho6.size(), kSource, kDestination), kEcho6);
}

TEST(Icmp6, Refuses) {
    for (size_t size = 0; size < 8; ++size) {
        EXPECT_EQ(Icmp6View::checked(Bytes(kEcho6).first(size), kSource, kDestination).error(),
                  IcmpError::too_short);
    }
    EXPECT_EQ(Icmp6View::checked(with(kEcho6, 10, 0), kSource, kDestination).error(),
              IcmpError::bad_checksum);
    EXPECT_EQ(Icmp6View::checked(kEcho6, kSource, kSource).error(), IcmpError::bad_checksum)
        << "the addresses are covered";
    EXPECT_TRUE(Icmp6View::checked(kEcho6, kDestination, kSource)) << "their order is not";
}

TEST(Icmp6, EchoReplyInPlace) {
    Buffer bytes = kEcho6;
    make_echo6_reply(bytes);
    const auto reply = Icmp6View::checked(bytes, kDestination, kSource).value();
    EXPECT_EQ(reply.type(), Icmp6Type::echo_reply);
    EXPECT_TRUE(same_bytes(reply.body(), Bytes(kEcho6).subspan(8)));
}

TEST(Icmp6, Classes) {
    EXPECT_TRUE(is_error(Icmp6Type::packet_too_big));
    EXPECT_TRUE(is_error(Icmp6Type{127}));
    EXPECT_FALSE(is_error(Icmp6Type::echo_request));
    EXPECT_FALSE(is_neighbour_discovery(Icmp6Type::mld_done));
    EXPECT_TRUE(is_neighbour_discovery(Icmp6Type::router_solicitation));
    EXPECT_TRUE(is_neighbour_discovery(Icmp6Type::redirect));
    EXPECT_FALSE(is_neighbour_discovery(Icmp6Type::mld2_report));
}

}  // namespace
}  // namespace sluice::wire
