#include "routing/ip4_options.hh"

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

#include "wire/checksum.hh"

namespace sluice::routing {
namespace {

using Packet = std::vector<uint8_t>;
using Options = std::initializer_list<uint8_t>;

constexpr Ip4Address kBox = Ip4Address::from_host(0x0a000001);
constexpr Ip4Address kBack = Ip4Address::from_host(0x0a000005);
constexpr uint32_t kTime = 0x80000102;

const SourceFilter& own() {
    static const std::vector<InterfaceAddress> addresses{InterfaceAddress::parse("10.0.0.1/24").value()};
    static const SourceFilter filter(addresses);
    return filter;
}

OptionStamp stamp() {
    return {.out = kBox, .back = kBack, .time = kTime, .own = own()};
}

Packet datagram(Options options) {
    wire::Ipv4Header header{.protocol = wire::IpProtocol::udp,
                            .source = Ip4Address::from_host(0xc0000201),
                            .destination = Ip4Address::from_host(0xc0000202),
                            .options_length = static_cast<uint8_t>(options.size())};
    wire::copy_bytes(header.options.data(), options);
    Packet bytes(header.header_size());
    EXPECT_EQ(header.emit(bytes), bytes.size());
    return bytes;
}

wire::Ipv4View view(const Packet& packet) {
    return wire::Ipv4View::checked(packet).value();
}

// The options of a datagram that the box has passed on.
Packet passed(Options options) {
    Packet packet = datagram(options);
    stamp_options(packet, stamp());
    const auto after = view(packet).options();  // the checksum verifies
    return {after.begin(), after.end()};
}

std::optional<Packet> answered(Options options) {
    const Packet packet = datagram(options);
    const auto answer = answer_options(view(packet), stamp());
    if (!answer)
        return std::nullopt;
    return Packet(answer->bytes.begin(), answer->bytes.begin() + answer->length);
}

std::optional<uint8_t> fault(Options options) {
    const Packet packet = datagram(options);
    return option_fault(view(packet));
}

// R1812-5.3.13.5: an address for each router, until the room is used up.
TEST(RecordRoute, GetsTheAddressAtThePointer) {
    EXPECT_EQ(passed({7, 11, 4, 0, 0, 0, 0, 9, 9, 9, 9, 0}), (Packet{7, 11, 8, 10, 0, 0, 1, 9, 9, 9, 9, 0}));
    EXPECT_EQ(passed({1, 7, 11, 8, 9, 9, 9, 9, 0, 0, 0, 0}), (Packet{1, 7, 11, 12, 9, 9, 9, 9, 10, 0, 0, 1}));
}

TEST(RecordRoute, ThatIsFullStays) {
    EXPECT_EQ(passed({7, 7, 8, 9, 9, 9, 9, 0}), (Packet{7, 7, 8, 9, 9, 9, 9, 0}));
    EXPECT_EQ(passed({7, 3, 4, 0}), (Packet{7, 3, 4, 0}));
}

// R1812-5.3.13.6, RFC 791 3.1: times alone, with addresses, at addresses that the sender names.
TEST(TimestampOption, GetsTheTimeItsFlagAsksFor) {
    EXPECT_EQ(passed({68, 8, 5, 0, 0, 0, 0, 0}), (Packet{68, 8, 9, 0, 0x80, 0, 1, 2}));
    EXPECT_EQ(passed({68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0}),
              (Packet{68, 12, 13, 1, 10, 0, 0, 5, 0x80, 0, 1, 2}));
    EXPECT_EQ(passed({68, 12, 5, 3, 10, 0, 0, 1, 0, 0, 0, 0}),
              (Packet{68, 12, 13, 3, 10, 0, 0, 1, 0x80, 0, 1, 2}));
    EXPECT_EQ(passed({68, 12, 5, 3, 10, 0, 0, 2, 0, 0, 0, 0}),
              (Packet{68, 12, 5, 3, 10, 0, 0, 2, 0, 0, 0, 0}))
        << "another's turn";
    EXPECT_EQ(passed({68, 12, 5, 3, 0, 0, 0, 0, 0, 0, 0, 0}),
              (Packet{68, 12, 13, 3, 0, 0, 0, 0, 0x80, 0, 1, 2}))
        << "nobody's turn";
    EXPECT_EQ(passed({68, 12, 5, 3, 0, 0, 0, 1, 0, 0, 0, 0}), (Packet{68, 12, 5, 3, 0, 0, 0, 1, 0, 0, 0, 0}));
    EXPECT_EQ(passed({68, 8, 5, 2, 0, 0, 0, 0}), (Packet{68, 8, 5, 2, 0, 0, 0, 0})) << "no such flag";
}

TEST(TimestampOption, CountsWhoFoundNoRoom) {
    EXPECT_EQ(passed({68, 8, 9, 0x00, 1, 2, 3, 4}), (Packet{68, 8, 9, 0x10, 1, 2, 3, 4}));
    EXPECT_EQ(passed({68, 4, 5, 0xe1}), (Packet{68, 4, 5, 0xf1}));
    EXPECT_EQ(passed({68, 4, 5, 0x13}), (Packet{68, 4, 5, 0x13})) << "nobody was left out";
}

TEST(Ip4Options, OthersPassAsTheyAre) {
    EXPECT_EQ(passed({148, 4, 0, 0, 1, 130, 3, 9}), (Packet{148, 4, 0, 0, 1, 130, 3, 9}));
    EXPECT_EQ(passed({1, 1, 0, 7, 7, 4, 1, 1}), (Packet{1, 1, 0, 0, 0, 0, 0, 0}))
        << "nothing is behind the end";
}

// R1812-5.2.4: the pointer names the octet that is wrong.
TEST(Ip4Options, FaultsAreFoundWhereTheyAre) {
    EXPECT_EQ(fault({7, 7, 4, 0, 0, 0, 0, 0}), std::nullopt);
    EXPECT_EQ(fault({1, 7, 2, 0}), 22) << "no pointer";
    EXPECT_EQ(fault({7, 7, 3, 0, 0, 0, 0, 0}), 22) << "the pointer points into the option's head";
    EXPECT_EQ(fault({7, 7, 5, 0, 0, 0, 0, 0}), 22) << "an entry would not fit";
    EXPECT_EQ(fault({7, 3, 4, 7, 3, 4, 0, 0}), 23) << "a second one";
    EXPECT_EQ(fault({68, 3, 5, 0}), 21) << "no flags";
    EXPECT_EQ(fault({68, 4, 4, 0}), 22);
    EXPECT_EQ(fault({68, 8, 5, 1, 0, 0, 0, 0}), 22) << "room for a time, not for an address";
    EXPECT_EQ(fault({68, 8, 5, 3, 0, 0, 0, 0}), 22);
    EXPECT_EQ(fault({68, 4, 5, 0xf0}), 23) << "the counter is full";
    EXPECT_EQ(fault({68, 4, 5, 0xf3}), std::nullopt);
    EXPECT_EQ(fault({68, 4, 5, 0, 68, 4, 5, 0}), 24);
    EXPECT_EQ(fault({148, 3, 0, 0}), 21);
    EXPECT_EQ(fault({1, 1, 1, 7}), 23) << "no length";
    EXPECT_EQ(fault({130, 1, 0, 0}), 20);
    EXPECT_EQ(fault({130, 5, 0, 0}), 20) << "beyond the header";
    EXPECT_EQ(fault({0, 7, 1, 1}), std::nullopt) << "behind the end";
}

TEST(Ip4Options, SourceRoutesAreSeen) {
    EXPECT_TRUE(has_source_route(view(datagram({1, 131, 3, 4}))));
    EXPECT_TRUE(has_source_route(view(datagram({7, 3, 4, 137, 3, 4, 0, 0}))));
    EXPECT_FALSE(has_source_route(view(datagram({7, 3, 4, 0}))));
}

// As Linux: the box stands in the answer for the way here and for the way back.
TEST(AnswerOptions, HaveTheBoxTwice) {
    EXPECT_EQ(answered({7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
              (Packet{7, 11, 12, 10, 0, 0, 1, 10, 0, 0, 1, 0}));
    EXPECT_EQ(answered({7, 7, 4, 0, 0, 0, 0, 0}), (Packet{7, 7, 8, 10, 0, 0, 1, 0}));
    EXPECT_EQ(answered({68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
              (Packet{68, 12, 13, 0, 0x80, 0, 1, 2, 0x80, 0, 1, 2}));
    EXPECT_EQ(answered({68, 8, 9, 0, 1, 2, 3, 4}), (Packet{68, 8, 9, 0x10, 1, 2, 3, 4})) << "counted once";
    EXPECT_EQ(answered({68, 20, 5, 3, 10, 0, 0, 1, 0, 0, 0, 0, 9, 9, 9, 9, 0, 0, 0, 0}),
              (Packet{68, 20, 13, 3, 10, 0, 0, 1, 0x80, 0, 1, 2, 9, 9, 9, 9, 0, 0, 0, 0}));
}

TEST(AnswerOptions, AreThoseTwoAlone) {
    EXPECT_EQ(answered({}), Packet{});
    EXPECT_EQ(answered({148, 4, 0, 0}), Packet{});
    EXPECT_EQ(answered({1, 68, 4, 5, 0, 131, 3, 4, 7, 3, 4, 1}), (Packet{7, 3, 4, 68, 4, 5, 0x10, 0}))
        << "in this order, padded";
    EXPECT_EQ(answered({7, 3, 4, 130, 1, 0, 0, 0}), (Packet{7, 3, 4, 0})) << "up to the first that is wrong";
}

TEST(AnswerOptions, EndWhereNoEntryFits) {
    EXPECT_EQ(answered({7, 8, 4, 0, 0, 0, 0, 0}), std::nullopt);
    EXPECT_EQ(answered({68, 16, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), std::nullopt);
    EXPECT_EQ(answered({68, 16, 5, 3, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}),
              (Packet{68, 16, 13, 3, 10, 0, 0, 1, 0x80, 0, 1, 2, 0, 0, 0, 0}));
}

TEST(OptionTime, CountsMillisecondsOfNoUniversalTime) {
    EXPECT_EQ(option_time(Instant(std::chrono::microseconds(258'999))), kTime);
    EXPECT_EQ(option_time(Instant(std::chrono::milliseconds(0x1'8000'0001LL))), 0x80000001);
}

}  // namespace
}  // namespace sluice::routing
