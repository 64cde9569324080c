#include "nat/sequence.hh"

#include <gtest/gtest.h>

#include "nat/described_packet.hh"
#include "nat/ftp_rewrite.hh"
#include "nat/payload_rewrite.hh"

namespace sluice::nat {
namespace {

using conntrack::Direction;

DescribedPacket segment(uint32_t sequence, uint32_t acknowledgment, Buffer options = {}) {
    return {.source = {ip("192.168.1.10"), 5000},
            .destination = {ip("198.51.100.1"), 21},
            .protocol = wire::IpProtocol::tcp,
            .sequence = sequence,
            .acknowledgment = acknowledgment,
            .tcp_options = std::move(options)};
}

TEST(SequenceOffset, HoldsBehindTheChangedSegment) {
    SequenceOffset offset;
    offset.change(1000, 6);
    EXPECT_EQ(offset.at(999), 0);
    EXPECT_EQ(offset.at(1000), 0) << "the segment itself begins where it did";
    EXPECT_EQ(offset.at(1001), 6);
    EXPECT_EQ(offset.at_receiver(1000), 0);
    EXPECT_EQ(offset.at_receiver(1026), 6);
}

TEST(SequenceOffset, OfSeveralChangesTheLastTwoStepsAreKept) {
    SequenceOffset offset;
    offset.change(1000, 6);
    offset.change(1100, -2);
    EXPECT_EQ(offset.at(1050), 6);
    EXPECT_EQ(offset.at(1101), 4);
    EXPECT_EQ(offset.at_receiver(1106), 6);
    EXPECT_EQ(offset.at_receiver(1107), 4);
}

TEST(SequenceOffset, ARepeatedSegmentIsChangedOnce) {
    SequenceOffset offset;
    offset.change(1000, 6);
    const auto once = offset;
    offset.change(1000, 6);
    EXPECT_EQ(offset, once);
    offset.change(900, 3);
    EXPECT_EQ(offset, once);
    offset.change(2000, 0);
    EXPECT_EQ(offset, once);
}

TEST(SequenceOffset, GoesOnAcrossTheEndOfTheNumbers) {
    SequenceOffset offset;
    offset.change(0xfffffff0, 10);
    EXPECT_EQ(offset.at(0xfffffff0), 0);
    EXPECT_EQ(offset.at(5), 10);
    EXPECT_EQ(offset.at_receiver(9), 10);
}

TEST(AdjustSequence, CountsAsEachSideDoes) {
    SequenceOffsets offsets;
    offsets.of(Direction::original).change(1000, 6);
    Buffer out = build(segment(1020, 500));
    ASSERT_TRUE(adjust_sequence(view_of(out), out, offsets, Direction::original));
    EXPECT_EQ(out, build(segment(1026, 500)));
    Buffer back = build(segment(500, 1026));
    ASSERT_TRUE(adjust_sequence(view_of(back), back, offsets, Direction::reply));
    EXPECT_EQ(back, build(segment(500, 1020)));
}

TEST(AdjustSequence, LeavesTheNumberOfASegmentThatAcknowledgesNothing) {
    SequenceOffsets offsets;
    offsets.of(Direction::original).change(1000, 6);
    auto what = segment(500, 1026);
    what.tcp_flags = 0x04;
    Buffer bytes = build(what);
    ASSERT_TRUE(adjust_sequence(view_of(bytes), bytes, offsets, Direction::reply));
    EXPECT_EQ(bytes, build(what));
}

// RFC 2018; the option stands at every alignment, so the checksum sees its numbers at odd places too.
TEST(AdjustSequence, CountsSackBlocksAtAnyPlace) {
    SequenceOffsets offsets;
    offsets.of(Direction::original).change(1000, 0x123456);
    const auto with_sack = [](size_t padding, uint32_t left, uint32_t right) {
        Buffer options(padding, 1);
        options.insert(options.end(), {5, 18});
        options.resize(padding + 18);
        wire::write32(options.data() + padding + 2, left);
        wire::write32(options.data() + padding + 6, right);
        wire::write32(options.data() + padding + 10, 900);
        wire::write32(options.data() + padding + 14, 1000);
        options.resize((options.size() + 3) & ~size_t{3});
        return options;
    };
    for (size_t padding = 0; padding < 4; ++padding) {
        Buffer bytes = build(segment(500, 900, with_sack(padding, 2000 + 0x123456, 3000 + 0x123456)));
        ASSERT_TRUE(adjust_sequence(view_of(bytes), bytes, offsets, Direction::reply));
        EXPECT_EQ(bytes, build(segment(500, 900, with_sack(padding, 2000, 3000)))) << padding;
    }
}

TEST(AdjustSequence, RefusesBrokenOptionsAndHeaders) {
    const SequenceOffsets offsets;
    for (const Buffer& options : {Buffer{5, 10, 0, 0}, Buffer{8, 1, 0, 0}, Buffer{1, 1, 1, 5}}) {
        Buffer bytes = build(segment(1, 2, options));
        EXPECT_FALSE(adjust_sequence(view_of(bytes), bytes, offsets, Direction::reply));
    }
    Buffer bytes = build(segment(1, 2));
    bytes[32] = 0xf0;
    EXPECT_FALSE(adjust_sequence(view_of(bytes), bytes, offsets, Direction::reply));
}

TEST(ReplaceTcpPayload, GivesThePacketAsIfItHadBeenBuiltThatWay) {
    Random random(3);
    for (int round = 0; round < 1000; ++round) {
        const Family family = random.below(2) == 0 ? Family::ip4 : Family::ip6;
        auto what = segment(7, 8, Buffer(size_t{random.below(3)} * 4, 1));
        what.source = any_endpoint(family, random);
        what.destination = any_endpoint(family, random);
        what.options = Buffer(size_t{random.below(3)} * 8, 1);
        const Buffer head = any_bytes(random.below(20), random);
        const Buffer middle = any_bytes(random.below(20), random);
        const Buffer other = any_bytes(random.below(40), random);
        const Buffer tail = any_bytes(random.below(20), random);
        const auto joined = [&](const Buffer& between) {
            Buffer all = head;
            all.insert(all.end(), between.begin(), between.end());
            all.insert(all.end(), tail.begin(), tail.end());
            return all;
        };
        what.payload = joined(middle);
        const Buffer before = build(what);
        what.payload = joined(other);
        const Buffer after = build(what);
        Buffer written(after.size());
        ASSERT_EQ(replace_tcp_payload(view_of(before), head.size(), middle.size(), other, written),
                  after.size());
        ASSERT_EQ(written, after);
        written.resize(after.size() - 1);
        ASSERT_EQ(replace_tcp_payload(view_of(before), head.size(), middle.size(), other, written), 0U);
        ASSERT_EQ(replace_tcp_payload(view_of(before), head.size(), middle.size() + tail.size() + 1, other,
                                      written),
                  0U);
    }
}

TEST(ReplaceTcpPayload, RefusesWhatFitsNoPacket) {
    auto what = segment(1, 2);
    what.payload.assign(65'000, 'x');
    const Buffer before = build(what);
    Buffer to(70'000);
    EXPECT_NE(replace_tcp_payload(view_of(before), 0, 1, Buffer(496, 'y'), to), 0U);
    EXPECT_EQ(replace_tcp_payload(view_of(before), 0, 1, Buffer(497, 'y'), to), 0U);
}

std::string ftp(conntrack::FtpCommand command, std::string_view address, uint16_t port) {
    const auto text = FtpText::of(command, {ip(address), port});
    return {text.bytes().begin(), text.bytes().end()};
}

TEST(FtpText, IsWhatTheCommandsSay) {
    using enum conntrack::FtpCommand;
    EXPECT_EQ(ftp(port, "203.0.113.2", 61'234), "203,0,113,2,239,50");
    EXPECT_EQ(ftp(pasv, "255.255.255.255", 65'535), "255,255,255,255,255,255");
    EXPECT_EQ(ftp(eprt, "203.0.113.2", 80), "|1|203.0.113.2|80|");
    EXPECT_EQ(ftp(eprt, "2001:db8::2", 65'535), "|2|2001:0db8:0000:0000:0000:0000:0000:0002|65535|");
    EXPECT_EQ(ftp(epsv, "2001:db8::2", 6446), "|||6446|");
    EXPECT_EQ(ftp(port, "2001:db8::2", 80), "") << "it has no words for that";
}

// What is written is what the helper reads, which announced the part that is replaced.
TEST(FtpText, IsReadBackByTheHelper) {
    using conntrack::FtpScan;
    struct Line {
        std::string_view text;
        Direction direction;
    };
    for (const auto& [text, direction] : {Line{"PORT 192,168,1,10,4,1\r\n", Direction::original},
                                          Line{"EPRT |1|192.168.1.10|1025|\r\n", Direction::original},
                                          Line{"227 Entering (192,168,1,10,4,1).\r\n", Direction::reply},
                                          Line{"229 Entering (|||1025|)\r\n", Direction::reply}}) {
        Buffer line(text.begin(), text.end());
        conntrack::FtpAnnouncement found;
        ASSERT_EQ(scan_ftp(line, Family::ip4, direction, found), FtpScan::found) << text;
        const Endpoint other{ip("203.0.113.200"), 61'000};
        const auto written = FtpText::of(found.command, other);
        const auto at = line.begin() + static_cast<ptrdiff_t>(found.offset);
        const auto rest = line.erase(at, at + static_cast<ptrdiff_t>(found.length));
        line.insert(rest, written.bytes().begin(), written.bytes().end());
        const bool has_address = found.address.has_value();
        ASSERT_EQ(scan_ftp(line, Family::ip4, direction, found), FtpScan::found) << text;
        EXPECT_EQ(found.port, other.port);
        if (has_address) {
            EXPECT_EQ(found.address, other.address);
        }
    }
}

}  // namespace
}  // namespace sluice::nat
