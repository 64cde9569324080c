#include "table/reassembly.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/random.hh"
#include "table/reassembly_test_support.hh"

namespace sluice::table {
namespace {

using Refusal = FragmentRefusal;

// Every order of `count` fragments, in both families, with one arriving twice: the datagram comes out once.
void expect_all_orders(size_t count) {
    for (const Family family : {Family::ip4, Family::ip6}) {
        const Buffer payload = numbered(count * 24 - 5);
        std::vector<Buffer> fragments;
        for (size_t number = 0; number < count; ++number) {
            const size_t size = std::min<size_t>(24, payload.size() - number * 24);
            fragments.push_back(fragment(family, payload, number * 24, size, number + 1 < count));
        }
        std::vector<size_t> order(count);
        std::iota(order.begin(), order.end(), 0);
        do {
            for (size_t twice = 0; twice + 1 < count; ++twice) {
                Reassembler reassembler({}, 1);
                for (size_t at = 0; at + 1 < count; ++at) {
                    ASSERT_EQ(add(reassembler, fragments[order[at]]).outcome, FragmentOutcome::stored);
                    if (at == twice) {
                        ASSERT_EQ(add(reassembler, fragments[order[at]]).refusal, Refusal::duplicate);
                    }
                }
                const auto result = add(reassembler, fragments[order[count - 1]]);
                ASSERT_EQ(result.outcome, FragmentOutcome::complete);
                ASSERT_EQ(Buffer(result.datagram.begin(), result.datagram.end()), whole(family, payload));
                ASSERT_EQ(reassembler.datagrams(), 0U);
                ASSERT_EQ(reassembler.bytes(), 0U);
            }
        } while (std::next_permutation(order.begin(), order.end()));
    }
}

TEST(Reassembly, AllOrdersOfThree) {
    expect_all_orders(3);
}

TEST(Reassembly, AllOrdersOfFour) {
    expect_all_orders(4);
}

TEST(Reassembly, TheLongestDatagrams) {
    for (const Family family : {Family::ip4, Family::ip6}) {
        const Buffer payload = numbered(family == Family::ip4 ? 65515 : 65535);
        Reassembler reassembler({}, 1);
        FragmentResult result;
        for (size_t at = 0; at < payload.size(); at += 1400) {
            const size_t size = std::min<size_t>(1400, payload.size() - at);
            result = add(reassembler, fragment(family, payload, at, size, at + size < payload.size()));
        }
        ASSERT_EQ(result.outcome, FragmentOutcome::complete);
        EXPECT_EQ(Buffer(result.datagram.begin(), result.datagram.end()), whole(family, payload));
    }
}

TEST(Reassembly, KeepsDatagramsApart) {
    const Buffer payload = numbered(48);
    for (const Family family : {Family::ip4, Family::ip6}) {
        Reassembler reassembler({}, 1);
        const auto differing = [&](auto change) {
            Shape shape;
            change(shape);
            return shape;
        };
        const std::vector<Shape> shapes{{},
                                        differing([](Shape& s) { s.id = 2; }),
                                        differing([](Shape& s) { s.source = 9; }),
                                        differing([](Shape& s) { s.destination = 9; }),
                                        differing([](Shape& s) { s.scope = 9; })};
        for (const Shape& shape : shapes) {
            EXPECT_EQ(
                add(reassembler, fragment(family, payload, 0, 24, true, shape), at(0), shape.scope).outcome,
                FragmentOutcome::stored);
        }
        EXPECT_EQ(reassembler.datagrams(), shapes.size());
        for (const Shape& shape : shapes) {
            EXPECT_EQ(
                add(reassembler, fragment(family, payload, 24, 24, false, shape), at(0), shape.scope).outcome,
                FragmentOutcome::complete);
        }
    }
    // IPv4 keeps protocols apart, IPv6 does not: the first fragment's next header counts (RFC 8200 4.5).
    Reassembler reassembler({}, 1);
    const Shape tcp{.protocol = wire::IpProtocol::tcp};
    add(reassembler, fragment(Family::ip4, payload, 0, 24, true));
    EXPECT_EQ(add(reassembler, fragment(Family::ip4, payload, 24, 24, false, tcp)).outcome,
              FragmentOutcome::stored);
    add(reassembler, fragment(Family::ip6, payload, 0, 24, true));
    const auto result = add(reassembler, fragment(Family::ip6, payload, 24, 24, false, tcp));
    ASSERT_EQ(result.outcome, FragmentOutcome::complete);
    EXPECT_EQ(Buffer(result.datagram.begin(), result.datagram.end()), whole(Family::ip6, payload));
}

TEST(Reassembly, Ip4OptionsOfTheFirstFragmentStay) {
    const Buffer payload = numbered(32);
    wire::Ipv4Header header{
        .id = 1, .dont_fragment = true, .more_fragments = true, .payload_length = 16, .options_length = 4};
    header.options = {148, 4, 0, 0};
    Buffer first(24 + 16);
    header.emit(first);
    std::copy(payload.begin(), payload.begin() + 16, first.begin() + 24);
    header.more_fragments = false;
    header.fragment_offset = 16;
    header.options_length = 0;
    header.options = {};
    Buffer second(20 + 16);
    header.emit(second);
    Reassembler reassembler({}, 1);
    add(reassembler, second);
    const auto result = add(reassembler, first);
    ASSERT_EQ(result.outcome, FragmentOutcome::complete);
    const auto view = wire::Ipv4View::checked(result.datagram);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->header_length(), 24U);
    EXPECT_EQ(view->total_length(), 24 + 32);
    EXPECT_FALSE(view->is_fragment());
    EXPECT_TRUE(view->dont_fragment());
}

// R5722 for IPv6; IPv4 drops such datagrams too, as Linux does.
TEST(Reassembly, OverlapsThrowTheDatagramAway) {
    struct Row {
        size_t offset;
        size_t size;
        bool more;
        Refusal refusal;
    };
    const Buffer payload = numbered(200);
    for (const Family family : {Family::ip4, Family::ip6}) {
        // There: 24 to 48 and 96 to 120.
        for (const Row& row :
             {Row{0, 32, true, Refusal::overlap}, Row{40, 16, true, Refusal::overlap},
              Row{24, 32, true, Refusal::overlap}, Row{16, 40, true, Refusal::overlap},
              Row{88, 16, true, Refusal::overlap}, Row{24, 24, false, Refusal::conflicting_end},
              Row{48, 40, false, Refusal::conflicting_end}}) {
            Reassembler reassembler({}, 1);
            add(reassembler, fragment(family, payload, 24, 24, true));
            add(reassembler, fragment(family, payload, 96, 24, true));
            ASSERT_EQ(add(reassembler, fragment(family, payload, row.offset, row.size, row.more)).refusal,
                      row.refusal)
                << row.offset << " + " << row.size;
            EXPECT_EQ(reassembler.bytes(), 0U);
            const auto later = add(reassembler, fragment(family, payload, 0, 24, true));
            if (family == Family::ip6) {
                EXPECT_EQ(later.refusal, Refusal::discarded) << "fragments yet to come go too";
                size_t told = 0;
                EXPECT_EQ(reassembler.expire(at(60), [&](const ExpiredDatagram&) { ++told; }), 1U);
                EXPECT_EQ(told, 0U) << "in silence";
            } else {
                EXPECT_EQ(later.outcome, FragmentOutcome::stored) << "a new datagram";
            }
        }
    }
}

TEST(Reassembly, TheSameBytesTwiceAreNoOverlapButInIp6OthersAre) {
    const Buffer payload = numbered(3000);
    Buffer forged = payload;
    forged[1500] ^= 1;
    for (const Family family : {Family::ip4, Family::ip6}) {
        Reassembler reassembler({}, 1);
        add(reassembler, fragment(family, payload, 8, 2000, true));
        EXPECT_EQ(add(reassembler, fragment(family, payload, 8, 2000, true)).refusal, Refusal::duplicate);
        EXPECT_EQ(add(reassembler, fragment(family, forged, 8, 2000, true)).refusal,
                  family == Family::ip4 ? Refusal::duplicate : Refusal::overlap);
    }
}

// Linux looks at where it lies only; the bytes that came first are those that count.
TEST(Reassembly, WhatLiesWithinWhatCameIsADuplicateInIp4) {
    const Buffer payload = numbered(200);
    struct Row {
        size_t offset;
        size_t size;
        Refusal in_ip4;
    };
    for (const Row& row :
         {Row{24, 16, Refusal::duplicate}, Row{32, 8, Refusal::duplicate}, Row{40, 16, Refusal::duplicate},
          Row{24, 48, Refusal::duplicate}, Row{64, 16, Refusal::overlap}, Row{16, 16, Refusal::overlap}}) {
        for (const Family family : {Family::ip4, Family::ip6}) {
            Reassembler reassembler({}, 1);
            add(reassembler, fragment(family, payload, 24, 24, true));
            add(reassembler, fragment(family, payload, 48, 24, true));
            add(reassembler, fragment(family, payload, 96, 24, true));
            EXPECT_EQ(add(reassembler, fragment(family, payload, row.offset, row.size, true)).refusal,
                      family == Family::ip4 ? row.in_ip4 : Refusal::overlap)
                << row.offset << " + " << row.size;
        }
    }
}

TEST(Reassembly, ThereIsOneEnd) {
    const Buffer payload = numbered(200);
    for (const Family family : {Family::ip4, Family::ip6}) {
        for (const auto& [offset, size, more] :
             {std::tuple{64UL, 8UL, false}, {128UL, 8UL, false}, {128UL, 8UL, true}, {104UL, 8UL, true}}) {
            Reassembler reassembler({}, 1);
            add(reassembler, fragment(family, payload, 96, 5, false));
            EXPECT_EQ(add(reassembler, fragment(family, payload, offset, size, more)).refusal,
                      Refusal::conflicting_end)
                << offset;
        }
        Reassembler reassembler({}, 1);
        add(reassembler, fragment(family, payload, 96, 8, false));
        EXPECT_EQ(add(reassembler, fragment(family, payload, 96, 8, false)).refusal, Refusal::duplicate);
        EXPECT_EQ(add(reassembler, fragment(family, payload, 96, 8, true)).refusal,
                  family == Family::ip4 ? Refusal::duplicate : Refusal::overlap);
    }
}

TEST(Reassembly, RefusesBadLengths) {
    const Buffer payload = numbered(100);
    for (const Family family : {Family::ip4, Family::ip6}) {
        Reassembler reassembler({}, 1);
        const auto odd = add(reassembler, fragment(family, payload, 0, 7, true));
        EXPECT_EQ(odd.refusal, family == Family::ip6 ? Refusal::odd_length : Refusal::empty);
        EXPECT_EQ(odd.pointer, family == Family::ip6 ? 4 : 0) << "the payload length field";
        EXPECT_EQ(add(reassembler, fragment(family, payload, 24, 0, true)).refusal, Refusal::empty);
        EXPECT_EQ(add(reassembler, fragment(family, payload, 24, 0, false)).refusal, Refusal::empty);
        const auto beyond = add(reassembler, fragment_at(family, 65528, Buffer(9), false));
        EXPECT_EQ(beyond.refusal, Refusal::too_long);
        EXPECT_EQ(beyond.pointer, family == Family::ip6 ? 42 : 0) << "the fragment offset field";
        EXPECT_EQ(reassembler.datagrams(), 0U) << "none of them opens a datagram";
    }
    Reassembler reassembler({}, 1);
    EXPECT_EQ(add(reassembler, fragment_at(Family::ip6, 65528, Buffer(7), false)).outcome,
              FragmentOutcome::stored);
    EXPECT_EQ(add(reassembler, fragment_at(Family::ip4, 65496, Buffer(19), false)).outcome,
              FragmentOutcome::stored);
    EXPECT_EQ(add(reassembler, fragment_at(Family::ip4, 65496, Buffer(20), false, {.id = 7})).refusal,
              Refusal::too_long);
}

// As Linux does. What was cut off may come again.
TEST(Reassembly, CutsOddLengthsInIp4) {
    const Buffer payload = numbered(48);
    Reassembler reassembler({}, 1);
    add(reassembler, fragment(Family::ip4, payload, 0, 27, true));
    const auto result = add(reassembler, fragment(Family::ip4, payload, 24, 24, false));
    ASSERT_EQ(result.outcome, FragmentOutcome::complete);
    EXPECT_TRUE(std::ranges::equal(result.datagram.subspan(20), payload));
}

TEST(Reassembly, AnEmptyFragmentThrowsTheDatagramAway) {
    const Buffer payload = numbered(48);
    for (const Family family : {Family::ip4, Family::ip6}) {
        Reassembler reassembler({}, 1);
        add(reassembler, fragment(family, payload, 0, 24, true));
        EXPECT_EQ(add(reassembler, fragment(family, payload, 24, 0, true)).refusal, Refusal::empty);
        EXPECT_EQ(reassembler.bytes(), 0U);
    }
}

// RFC 3168 5.3
TEST(Reassembly, CongestionMarks) {
    const Buffer payload = numbered(48);
    for (const Family family : {Family::ip4, Family::ip6}) {
        for (int first = 0; first < 4; ++first) {
            for (int second = 0; second < 4; ++second) {
                Reassembler reassembler({}, 1);
                const Shape one{.ecn = static_cast<uint8_t>(first)};
                const Shape other{.ecn = static_cast<uint8_t>(second)};
                add(reassembler, fragment(family, payload, 0, 24, true, one));
                const auto result = add(reassembler, fragment(family, payload, 24, 24, false, other));
                if ((first == 0) != (second == 0)) {
                    EXPECT_EQ(result.refusal, Refusal::mixed_ecn);
                    continue;
                }
                ASSERT_EQ(result.outcome, FragmentOutcome::complete);
                const int expected = first == 3 || second == 3 ? 3 : first;
                EXPECT_EQ(family == Family::ip4 ? wire::Ipv4View::checked(result.datagram)->ecn()
                                                : wire::Ipv6View::checked(result.datagram)->ecn(),
                          expected);
            }
        }
    }
}

// 30 seconds for IPv4, 60 for IPv6 (RFC 8200 4.5), and a time exceeded only if the first fragment came.
TEST(Reassembly, TimesOut) {
    const Buffer payload = numbered(3000);
    Reassembler reassembler({}, 1);
    EXPECT_EQ(reassembler.next_expiry(), std::nullopt);
    const Buffer first4 = fragment(Family::ip4, payload, 0, 1480, true);
    const Buffer first6 = fragment(Family::ip6, payload, 0, 1448, true);
    add(reassembler, first6, at(1), 5);
    add(reassembler, first4, at(2));
    add(reassembler, fragment(Family::ip4, payload, 1480, 80, true), at(20));
    add(reassembler, fragment(Family::ip4, payload, 1480, 80, true, {.id = 2}), at(3));
    EXPECT_EQ(reassembler.next_expiry(), at(32)) << "counted from the fragment that came first";
    std::vector<std::pair<uint32_t, Buffer>> told;
    const auto tell = [&](const ExpiredDatagram& expired) {
        told.emplace_back(expired.scope,
                          Buffer(expired.first_fragment.begin(), expired.first_fragment.end()));
    };
    EXPECT_EQ(reassembler.expire(at(31), tell), 0U);
    EXPECT_EQ(reassembler.expire(at(32), tell), 1U);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].second, first4) << "as received";
    EXPECT_EQ(reassembler.expire(at(33), tell), 1U);
    ASSERT_EQ(told.size(), 2U);
    EXPECT_TRUE(told[1].second.empty()) << "its first fragment never came";
    EXPECT_EQ(reassembler.expire(at(60), tell), 0U);
    EXPECT_EQ(reassembler.expire(at(61), tell), 1U);
    ASSERT_EQ(told.size(), 3U);
    EXPECT_EQ(told[2].first, 5U);
    EXPECT_EQ(told[2].second, first6);
    EXPECT_EQ(reassembler.datagrams(), 0U);
    EXPECT_EQ(reassembler.bytes(), 0U);
    EXPECT_EQ(reassembler.next_expiry(), std::nullopt);
}

// What IPv4 cuts off a first fragment of an odd length is not told to anybody as what lay there before.
TEST(Reassembly, TimesOutWithAnOddLength) {
    Reassembler reassembler({}, 1);
    Buffer payload = numbered(3000);
    add(reassembler, fragment(Family::ip4, payload, 0, 1480, true));
    add(reassembler, fragment(Family::ip4, payload, 1480, 80, false));
    const Buffer odd = fragment(Family::ip4, payload, 0, 769, true, {.id = 2});
    add(reassembler, odd);
    Buffer told;
    reassembler.expire(at(100), [&](const ExpiredDatagram& expired) {
        told.assign(expired.first_fragment.begin(), expired.first_fragment.end());
    });
    Buffer expected = odd;
    expected.back() = 0;
    EXPECT_EQ(told, expected);
}

TEST(Reassembly, ForgetsWhatIsAbandoned) {
    const Buffer payload = numbered(64);
    Reassembler reassembler({}, 1);
    const Buffer first = fragment(Family::ip6, payload, 0, 32, true);
    add(reassembler, first);
    add(reassembler, fragment(Family::ip6, payload, 0, 32, true, {.id = 2}));
    const auto view = wire::Ipv6View::checked(first).value();
    reassembler.abandon(view, wire::walk_extensions(view), 0);
    EXPECT_EQ(reassembler.datagrams(), 1U);
    EXPECT_EQ(add(reassembler, fragment(Family::ip6, payload, 32, 32, false)).outcome,
              FragmentOutcome::stored)
        << "of a new datagram";
}

TEST(Reassembly, ExpiryHasABudget) {
    Reassembler reassembler({}, 1);
    for (uint32_t id = 0; id < 10; ++id) {
        add(reassembler, fragment(Family::ip4, numbered(8), 0, 8, true, {.id = id}));
    }
    EXPECT_EQ(reassembler.expire(at(100), [](const ExpiredDatagram&) {}, 4), 4U);
    EXPECT_EQ(reassembler.datagrams(), 6U);
}

}  // namespace
}  // namespace sluice::table
