#include "wire/checksum.hh"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.hh"
#include "wire/ipv4.hh"
#include "wire/test_bytes.hh"

namespace sluice::wire {
namespace {

// The definition of RFC 1071, one word at a time.
uint16_t slow_checksum(Bytes bytes) {
    uint32_t sum = 0;
    for (size_t at = 0; at < bytes.size(); at += 2) {
        const uint32_t low = at + 1 < bytes.size() ? bytes[at + 1] : 0;
        sum += uint32_t{bytes[at]} << 8 | low;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<uint16_t>(~sum);
}

Buffer random_bytes(Random& random, size_t size) {
    Buffer result(size);
    for (auto& byte : result) {
        byte = static_cast<uint8_t>(random.next());
    }
    return result;
}

TEST(Checksum, Rfc1071Example) {
    EXPECT_EQ(checksum(from_hex("0001f203f4f5f6f7")).host(), 0x220d);
}

TEST(Checksum, EverySizeAndAlignment) {
    Random random(1);
    const Buffer bytes = random_bytes(random, 4096);
    for (size_t size = 0; size < 300; ++size) {
        for (size_t start = 0; start < 9; ++start) {
            const Bytes part = Bytes(bytes).subspan(start, size);
            ASSERT_EQ(checksum(part).host(), slow_checksum(part)) << size << " bytes at " << start;
        }
    }
    EXPECT_EQ(checksum(bytes).host(), slow_checksum(bytes));
}

TEST(Checksum, FoldedSumsAreRemaindersButForZero) {
    Random random(3);
    const auto expect = [](uint64_t sum) {
        ASSERT_EQ(detail::fold(sum), sum == 0 ? 0 : (sum - 1) % 0xffff + 1) << sum;
    };
    for (int round = 0; round < 200'000; ++round)
        expect(random.next() >> random.next() % 64);
    // Where carries come around more than once.
    for (const uint64_t near :
         {0ULL, 0xffffULL, 0xffff'0000ULL, 0xffff'ffffULL, 0xffff'ffff'0000'0000ULL, ~0ULL})
        for (uint64_t by = 0; by < 70'000; ++by) {
            expect(near + by);
            expect(near - by);
        }
}

TEST(Checksum, AllOnesIsWhatFoldsToThat) {
    Random random(2);
    size_t complete = 0;
    for (int round = 0; round < 100'000; ++round) {
        const uint64_t some = random.next() >> random.next() % 48;
        // As it is, and with what is missing to all ones.
        for (const uint64_t sum : {some, detail::add_around(some, uint64_t{0xffff} - detail::fold(some))}) {
            if (sum == 0)
                continue;
            ASSERT_EQ(detail::is_all_ones(sum), detail::fold(sum) == 0xffff) << sum;
            complete += detail::is_all_ones(sum) ? 1 : 0;
        }
    }
    EXPECT_GE(complete, 90'000U);
    EXPECT_EQ(detail::add_around(UINT64_MAX, 1), 1U);
}

TEST(Checksum, LargestSumsDoNotOverflow) {
    const Buffer ones(65535, 0xff);
    EXPECT_EQ(checksum(ones).host(), slow_checksum(ones));
    Checksum sum;
    for (int round = 0; round < 1000; ++round) {
        sum.add(Bytes(ones).first(65534));
    }
    EXPECT_EQ(sum.finish().host(), 0);
    EXPECT_EQ(checksum(Buffer(100)).host(), 0xffff);
    EXPECT_EQ(checksum({}).host(), 0xffff);
}

TEST(Checksum, ChunksOfAnySize) {
    Random random(2);
    for (int round = 0; round < 500; ++round) {
        const Buffer bytes = random_bytes(random, 1 + random.below(400));
        Checksum sum;
        for (Bytes rest = bytes; !rest.empty();) {
            const size_t size = 1 + random.below(static_cast<uint32_t>(rest.size()));
            sum.add(rest.first(size));
            rest = rest.subspan(size);
        }
        ASSERT_EQ(sum.finish().host(), slow_checksum(bytes));
    }
}

TEST(Checksum, Verification) {
    Buffer bytes = from_hex("4500002100004000401100000a0000010a000002");
    checksum(bytes).store(bytes.data() + 10);
    EXPECT_TRUE(checksum_verifies(bytes));
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        Buffer damaged = bytes;
        damaged[bit / 8] = static_cast<uint8_t>(damaged[bit / 8] ^ 1U << bit % 8);
        EXPECT_FALSE(checksum_verifies(damaged)) << "bit " << bit;
    }
    EXPECT_FALSE(checksum_verifies(Buffer(20))) << "zeros have the checksum 0xffff, not 0";
}

// R1812-4.2.2.5, RFC 1624: every checksum a header can have, each with the TTL decremented.
TEST(ChecksumDelta, TtlDecrementForEveryChecksum) {
    Buffer header = from_hex("45000021000000004011 0000 0a0000010a000002");
    for (uint32_t id = 0; id <= 0xffff; ++id) {
        write16(header.data() + 4, static_cast<uint16_t>(id));
        auto view = MutableIpv4View::unchecked(header.data());
        header[8] = 64;
        view.refresh_checksum();
        ASSERT_NE(view.checksum().host(), 0xffff);
        view.decrement_ttl();
        ASSERT_TRUE(view.checksum_verifies());
        const Be16 incremental = view.checksum();
        view.refresh_checksum();
        ASSERT_EQ(incremental, view.checksum()) << "same as computed anew, id " << id;
    }
}

// Each of the 2^16 values in the checksum field, right or wrong: right stays right, wrong stays wrong. 0x0000
// and 0xffff both stand for a sum of zero.
TEST(ChecksumDelta, EveryChecksumFieldStaysAsRightAsItWas) {
    Buffer header = from_hex("45000021000000004011 0000 0a0000010a000002");
    for (const uint8_t ttl : {uint8_t{1}, uint8_t{2}, uint8_t{64}, uint8_t{128}, uint8_t{255}}) {
        for (uint32_t field = 0; field <= 0xffff; ++field) {
            header[8] = ttl;
            write16(header.data() + 10, static_cast<uint16_t>(field));
            auto view = MutableIpv4View::unchecked(header.data());
            const bool right = view.checksum_verifies();
            view.decrement_ttl();
            ASSERT_EQ(view.checksum_verifies(), right) << "field " << field;
        }
    }
    // A header whose right checksum is 0x0000, sent as 0xffff by an old router.
    Buffer zero = from_hex("45000021000000004011 0000 0a0000010a000002");
    write16(zero.data() + 4, slow_checksum(zero));
    ASSERT_EQ(slow_checksum(zero), 0);
    write16(zero.data() + 10, 0xffff);
    auto view = MutableIpv4View::unchecked(zero.data());
    ASSERT_TRUE(view.checksum_verifies());
    view.decrement_ttl();
    EXPECT_TRUE(view.checksum_verifies());
    EXPECT_NE(view.checksum().host(), 0xffff);
}

TEST(ChecksumDelta, RewritesOfAllWidths) {
    Random random(3);
    for (int round = 0; round < 2000; ++round) {
        Buffer bytes = random_bytes(random, 40);
        const Be16 before = checksum(bytes);
        ChecksumDelta delta;
        const Be16 word = Be16::from_wire(static_cast<uint16_t>(random.next()));
        const Be32 number = Be32::from_wire(static_cast<uint32_t>(random.next()));
        const Ip6Address address = Ip6Address::load(random_bytes(random, 16).data());
        delta.add(Be16::load(bytes.data()), word);
        delta.add(Be32::load(bytes.data() + 4), number);
        delta.add(Ip4Address::load(bytes.data() + 8), Ip4Address::from_wire(number));
        delta.add(Ip6Address::load(bytes.data() + 16), address);
        word.store(bytes.data());
        number.store(bytes.data() + 4);
        number.store(bytes.data() + 8);
        address.store(bytes.data() + 16);
        ASSERT_EQ(delta.apply(before), checksum(bytes));
    }
}

TEST(ChecksumDelta, NothingChangedChangesNothing) {
    const Be32 same = Be32::from_host(0x01020304);
    for (uint32_t field = 0; field < 0xffff; ++field) {
        const Be16 checksum = Be16::from_host(static_cast<uint16_t>(field));
        ASSERT_EQ(ChecksumDelta{}.add(same, same).apply(checksum), checksum);
    }
}

// RFC 768: zero means no checksum, and a computed zero is sent as 0xffff.
TEST(ChecksumDelta, UdpZeroRule) {
    const auto delta = ChecksumDelta{}.add(Be16::from_host(5), Be16::from_host(6));
    EXPECT_EQ(delta.apply_udp(Be16{}), Be16{});
    EXPECT_EQ(delta.apply(Be16::from_host(1)), Be16{});
    EXPECT_EQ(delta.apply_udp(Be16::from_host(1)).host(), 0xffff);
    EXPECT_EQ(Checksum{}.add(Be16::from_host(0xffff)).finish_udp().host(), 0xffff);
    EXPECT_EQ(Checksum{}.add(Be16::from_host(0xffff)).finish().host(), 0);
}

TEST(Checksum, PseudoHeaders) {
    const auto source4 = Ip4Address::from_host(0xc0000201);
    const auto destination4 = Ip4Address::from_host(0xc6336402);
    EXPECT_EQ(pseudo_header(source4, destination4, IpProtocol::udp, 0x1234).finish().host(),
              slow_checksum(from_hex("c0000201 c6336402 0011 1234")));
    Buffer bytes(40);
    for (size_t at = 0; at < 32; ++at) {
        bytes[at] = static_cast<uint8_t>(at * 9);
    }
    write32(bytes.data() + 32, 0x00012345);
    bytes[39] = 58;
    EXPECT_EQ(pseudo_header(Ip6Address::load(bytes.data()), Ip6Address::load(bytes.data() + 16),
                            IpProtocol::icmpv6, 0x00012345)
                  .finish()
                  .host(),
              slow_checksum(bytes));
}

}  // namespace
}  // namespace sluice::wire
