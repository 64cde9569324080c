// What a flood can do to a reassembler, and the IPv6 rules for headers.
#include <gtest/gtest.h>

#include <vector>

#include "base/random.hh"
#include "table/reassembly_test_support.hh"

namespace sluice::table {
namespace {

using Refusal = FragmentRefusal;

TEST(ReassemblyLimits, Datagrams) {
    Reassembler reassembler({.datagrams = 10, .datagrams_per_source = 10}, 1);
    for (uint32_t id = 0; id < 10; ++id) {
        EXPECT_EQ(add(reassembler, fragment(Family::ip4, numbered(8), 0, 8, true, {.id = id})).refusal,
                  Refusal::none);
    }
    const auto last = [&](uint32_t id) {
        return add(reassembler, fragment(Family::ip4, numbered(16), 8, 8, false, {.id = id})).outcome;
    };
    const auto one_more = add(reassembler, fragment(Family::ip6, numbered(8), 0, 8, true));
    EXPECT_EQ(one_more.refusal, Refusal::none);
    EXPECT_EQ(one_more.evicted.ip4, 1U) << "the oldest";
    EXPECT_EQ(last(3), FragmentOutcome::complete) << "the others go on";
    EXPECT_EQ(reassembler.datagrams(), 9U);
    EXPECT_EQ(last(0), FragmentOutcome::stored) << "what came of it before is gone";
    EXPECT_EQ(add(reassembler, fragment(Family::ip6, numbered(8), 0, 8, true, {.id = 9})).evicted.ip4, 1U);
    EXPECT_EQ(reassembler.datagrams(), 10U);
}

// The oldest go first, whatever their family and however long they still have.
TEST(ReassemblyLimits, TheOldestOfBothFamiliesMakesRoom) {
    Reassembler reassembler({.datagrams = 2, .datagrams_per_source = 2}, 1);
    const auto begin = [&](Family family, uint32_t id, int64_t second) {
        return add(reassembler, fragment(family, numbered(8), 0, 8, true, {.id = id}), at(second)).evicted;
    };
    begin(Family::ip6, 1, 0);
    begin(Family::ip4, 1, 1);
    const auto first = begin(Family::ip4, 2, 2);
    EXPECT_EQ(first.ip6, 1U);
    EXPECT_EQ(first.ip4, 0U);
    const auto second = begin(Family::ip6, 2, 3);
    EXPECT_EQ(second.ip6, 0U);
    EXPECT_EQ(second.ip4, 1U);
}

TEST(ReassemblyLimits, Sources) {
    for (const Family family : {Family::ip4, Family::ip6}) {
        Reassembler reassembler({.datagrams_per_source = 3}, 1);
        for (const uint16_t source : {uint16_t{1}, uint16_t{2}}) {
            for (uint32_t id = 0; id < 5; ++id) {
                const auto result =
                    add(reassembler, fragment(family, numbered(8), 0, 8, true, {.id = id, .source = source}));
                EXPECT_EQ(result.refusal, id < 3 ? Refusal::none : Refusal::too_many_from_source);
            }
        }
        reassembler.expire(at(100), [](const ExpiredDatagram&) {});
        EXPECT_EQ(add(reassembler, fragment(family, numbered(8), 0, 8, true)).refusal, Refusal::none);
    }
}

TEST(ReassemblyLimits, OneIp6NetworkIsOneSource) {
    Reassembler reassembler({.datagrams_per_source = 3}, 1);
    for (uint8_t host = 0; host < 5; ++host) {
        Buffer bytes = fragment(Family::ip6, numbered(8), 0, 8, true);
        bytes[8 + 15] = host;
        EXPECT_EQ(add(reassembler, bytes).refusal, host < 3 ? Refusal::none : Refusal::too_many_from_source);
    }
}

TEST(ReassemblyLimits, Memory) {
    // Eight blocks: a header and 7 KiB of payload.
    for (const Family family : {Family::ip4, Family::ip6}) {
        Reassembler reassembler({.bytes = 8 * 1024 + 100}, 1);
        const Buffer payload = numbered(20000);
        EXPECT_EQ(add(reassembler, fragment(family, payload, 0, 7168, true)).refusal, Refusal::none);
        EXPECT_EQ(reassembler.bytes(), 8192U);
        EXPECT_EQ(add(reassembler, fragment(family, payload, 7168, 8, true)).refusal, Refusal::out_of_memory);
        EXPECT_EQ(reassembler.bytes(), 0U) << "what can never be whole is let go";
    }
    for (const Family family : {Family::ip4, Family::ip6}) {
        Reassembler reassembler({.bytes = 8 * 1024}, 1);
        const Buffer payload = numbered(20000);
        for (uint32_t id = 0; id < 4; ++id)
            EXPECT_EQ(add(reassembler, fragment(family, payload, 2048, 2048, true, {.id = id})).refusal,
                      Refusal::none);
        const auto large = add(reassembler, fragment(family, payload, 4096, 3072, true, {.id = 5}));
        EXPECT_EQ(large.refusal, Refusal::none);
        EXPECT_EQ(large.evicted.ip4 + large.evicted.ip6, 2U) << "as many as it takes";
        EXPECT_EQ(reassembler.datagrams(), 3U);
        EXPECT_EQ(add(reassembler, fragment(family, payload, 4096, 2048, true, {.id = 3})).refusal,
                  Refusal::none)
            << "the youngest is still there, and does not make room for itself";
        EXPECT_LE(reassembler.bytes(), 8192U);
    }
}

TEST(ReassemblyLimits, Fragments) {
    const Buffer payload = numbered(8 * (kMaxFragments + 1));
    for (const Family family : {Family::ip4, Family::ip6}) {
        Reassembler reassembler({}, 1);
        for (size_t number = 0; number < kMaxFragments; ++number) {
            ASSERT_EQ(add(reassembler, fragment(family, payload, number * 8, 8, true)).refusal,
                      Refusal::none);
        }
        EXPECT_EQ(add(reassembler, fragment(family, payload, kMaxFragments * 8, 8, false)).refusal,
                  Refusal::too_many_fragments);
        EXPECT_EQ(reassembler.bytes(), 0U);
    }
}

// A flood of random fragments, with the clock moving: memory stays within the limits, and all of it comes
// back.
TEST(ReassemblyLimits, FloodsKeepMemoryBounded) {
    const ReassemblyLimits limits{.datagrams = 64, .datagrams_per_source = 8, .bytes = 64 * 1024};
    Reassembler reassembler(limits, 7);
    Random random(8);
    const Buffer payload = numbered(4096);
    std::vector<size_t> outcomes(3);
    for (int round = 0; round < 100'000; ++round) {
        const auto now = at(round / 100);
        const Shape shape{.id = random.below(20), .source = static_cast<uint16_t>(random.below(100))};
        const size_t offset = random.below(128) * size_t{8};
        const size_t size = (1 + random.below(100)) * size_t{8};
        const auto family = random.below(2) == 0 ? Family::ip4 : Family::ip6;
        const auto result =
            add(reassembler, fragment(family, payload, offset, size, random.below(4) != 0, shape), now);
        ++outcomes[static_cast<size_t>(result.outcome)];
        if (result.outcome == FragmentOutcome::complete) {
            const size_t header = family == Family::ip4 ? 20 : 40;
            ASSERT_TRUE(wire::same_bytes(result.datagram.subspan(header),
                                         wire::Bytes(payload).first(result.datagram.size() - header)));
        }
        ASSERT_LE(reassembler.datagrams(), limits.datagrams);
        ASSERT_LE(reassembler.bytes(), limits.bytes);
        reassembler.expire(now, [](const ExpiredDatagram&) {}, 4);
    }
    for (const size_t count : outcomes) {
        EXPECT_GT(count, 50U);
    }
    reassembler.expire(at(1'000'000), [](const ExpiredDatagram&) {}, 1000);
    EXPECT_EQ(reassembler.datagrams(), 0U);
    EXPECT_EQ(reassembler.bytes(), 0U);
}

// R6946
TEST(ReassemblyIp6, AtomicFragmentsAreHandledAlone) {
    Reassembler reassembler({}, 1);
    const Buffer payload = numbered(64);
    add(reassembler, fragment(Family::ip6, payload, 0, 32, true));
    const auto atomic = add(reassembler, fragment(Family::ip6, payload, 0, 10, false));
    ASSERT_EQ(atomic.outcome, FragmentOutcome::complete);
    const Buffer ten(payload.begin(), payload.begin() + 10);
    EXPECT_EQ(Buffer(atomic.datagram.begin(), atomic.datagram.end()), whole(Family::ip6, ten));
    EXPECT_EQ(reassembler.datagrams(), 1U) << "the other datagram is not touched";
    EXPECT_EQ(add(reassembler, fragment(Family::ip6, payload, 32, 32, false)).outcome,
              FragmentOutcome::complete);
}

// R7112
TEST(ReassemblyIp6, TheFirstFragmentHoldsTheHeaderChain) {
    struct Row {
        wire::IpProtocol protocol;
        size_t least;
    };
    for (const Row& row : {Row{wire::IpProtocol::tcp, 24}, Row{wire::IpProtocol::udp, 8},
                           Row{wire::IpProtocol::icmpv6, 8}, Row{wire::IpProtocol::gre, 8}}) {
        for (const size_t size : {0UL, 8UL, 16UL, 24UL}) {
            Reassembler reassembler({}, 1);
            const auto result = add(
                reassembler, fragment(Family::ip6, numbered(24), 0, size, true, {.protocol = row.protocol}));
            EXPECT_EQ(result.refusal, size < row.least ? Refusal::incomplete_first_fragment : Refusal::none)
                << size << " bytes of protocol " << static_cast<int>(row.protocol);
            EXPECT_EQ(
                add(reassembler, fragment(Family::ip6, numbered(48), 24, 8, true, {.protocol = row.protocol}))
                    .refusal,
                Refusal::none)
                << "later fragments hold none";
        }
    }
    // A destination options header that reaches into the second fragment.
    Buffer payload(16);
    payload[0] = 17;
    payload[1] = 2;
    Reassembler reassembler({}, 1);
    const Shape options{.protocol = wire::IpProtocol::destination_options};
    EXPECT_EQ(add(reassembler, fragment_at(Family::ip6, 0, payload, true, options)).refusal,
              Refusal::incomplete_first_fragment);
    EXPECT_EQ(add(reassembler, fragment_at(Family::ip6, 0, payload, false, options)).refusal,
              Refusal::incomplete_first_fragment)
        << "in an atomic fragment too";
}

TEST(ReassemblyIp6, HeadersInFrontOfTheFragmentHeaderStay) {
    // Hop-by-hop options of 2 KiB are more than is kept, those of 8 bytes are put in front of the payload
    // again.
    for (const size_t units : {1UL, 100UL, 255UL}) {
        const size_t size = units * 8;
        const auto build = [&](size_t offset, size_t length, bool more) {
            auto header = header6({});
            header.next_header = wire::IpProtocol::hop_by_hop;
            header.payload_length = static_cast<uint16_t>(size + 8 + length);
            Buffer bytes(40 + size + 8 + length);
            header.emit(bytes);
            bytes[40] = 44;
            bytes[41] = static_cast<uint8_t>(units - 1);
            wire::Ipv6FragmentHeader{wire::IpProtocol::gre, static_cast<uint32_t>(offset), more, 5}.emit(
                wire::MutableBytes(bytes).subspan(40 + size));
            const Buffer payload = numbered(48);
            wire::copy_bytes(bytes.data() + 48 + size, wire::Bytes(payload).subspan(offset, length));
            return bytes;
        };
        Reassembler reassembler({}, 1);
        const auto second = add(reassembler, build(24, 24, false));
        const auto first = add(reassembler, build(0, 24, true));
        if (48 + size > kMaxReassemblyHeader) {
            EXPECT_EQ(first.refusal, Refusal::header_too_long);
            EXPECT_EQ(second.refusal, Refusal::header_too_long);
            continue;
        }
        ASSERT_EQ(first.outcome, FragmentOutcome::complete);
        const auto view = wire::Ipv6View::checked(first.datagram).value();
        EXPECT_EQ(view.total_length(), 40 + size + 48);
        EXPECT_EQ(view.next_header(), wire::IpProtocol::hop_by_hop);
        const auto chain = wire::walk_extensions(view);
        EXPECT_EQ(chain.upper_protocol, wire::IpProtocol::gre);
        EXPECT_EQ(chain.fragment_offset, 0);
        EXPECT_TRUE(wire::same_bytes(view.bytes().subspan(chain.upper_offset), numbered(48)));
    }
}

}  // namespace
}  // namespace sluice::table
