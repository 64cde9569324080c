#include "wire/sctp.hh"

#include <gtest/gtest.h>

#include "wire/gre.hh"
#include "wire/test_bytes.hh"

namespace sluice::wire {
namespace {

// Ports 2905 and 2906, one SHUTDOWN COMPLETE chunk. The sum is that of a bit by bit computation.
Buffer packet() {
    Buffer bytes = from_hex("0b590b5a 01020304 00000000 0e010004");
    uint32_t crc = ~0U;
    for (const uint8_t byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    }
    crc = ~crc;
    std::memcpy(bytes.data() + 8, &crc, sizeof crc);
    return bytes;
}

TEST(Sctp, ReadsHeaderAndChunk) {
    const Buffer bytes = packet();
    const auto view = SctpView::checked(bytes).value();
    EXPECT_EQ(view.source_port(), 2905);
    EXPECT_EQ(view.destination_port(), 2906);
    EXPECT_EQ(view.verification_tag(), Be32::from_host(0x01020304));
    EXPECT_TRUE(view.checksum_verifies());
    auto chunks = view.chunks();
    const auto chunk = chunks.next().value();
    EXPECT_EQ(chunk.type, SctpChunkType::shutdown_complete);
    EXPECT_EQ(chunk.flags, kSctpReflectedTag);
    EXPECT_EQ(chunk.length, 4);
    EXPECT_FALSE(chunks.next());
}

TEST(Sctp, RefusesLessThanAHeader) {
    const Buffer bytes = packet();
    for (size_t size = 0; size < kSctpHeaderSize; ++size)
        EXPECT_EQ(SctpView::checked(Bytes(bytes).first(size)).error(), SctpError::too_short);
    EXPECT_TRUE(SctpView::checked(Bytes(bytes).first(kSctpHeaderSize)));
}

TEST(Sctp, EveryBitCountsForTheChecksum) {
    Buffer bytes = packet();
    bytes.resize(40, 0x5a);  // beyond the eight bytes that are taken at once
    uint32_t sum = sctp_checksum(bytes);
    std::memcpy(bytes.data() + 8, &sum, sizeof sum);
    for (size_t at = 0; at < bytes.size(); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            const Buffer wrong = with(bytes, at, static_cast<uint8_t>(bytes[at] ^ 1 << bit));
            EXPECT_FALSE(SctpView::checked(wrong)->checksum_verifies()) << at << ' ' << bit;
        }
    }
    EXPECT_TRUE(SctpView::checked(bytes)->checksum_verifies());
}

// RFC 3720 B.4 has the sum of 32 bytes of zeros.
TEST(Sctp, KnownSums) {
    Buffer zeros(32);
    EXPECT_EQ(sctp_checksum(zeros), 0x8a9136aaU);
}

TEST(Sctp, WalksPaddedChunksAndStopsAtBrokenOnes) {
    const Buffer two = from_hex("00010001 00000000 00000000 03000005 aa000000 04000004");
    auto chunks = SctpView::checked(two)->chunks();
    EXPECT_EQ(chunks.next()->type, SctpChunkType::sack);
    EXPECT_EQ(chunks.next()->type, SctpChunkType::heartbeat);
    EXPECT_FALSE(chunks.next());
    const Buffer endless = from_hex("00010001 00000000 00000000 03000000 04000004");
    chunks = SctpView::checked(endless)->chunks();
    EXPECT_EQ(chunks.next()->length, 0);
    EXPECT_FALSE(chunks.next());
    const Buffer beyond = from_hex("00010001 00000000 00000000 0300ffff 04000004");
    chunks = SctpView::checked(beyond)->chunks();
    EXPECT_EQ(chunks.next()->length, 0xffff);
    EXPECT_FALSE(chunks.next());
    const Buffer cut = from_hex("00010001 00000000 00000000 030000");
    chunks = SctpView::checked(cut)->chunks();
    EXPECT_FALSE(chunks.next());
}

TEST(Sctp, InitiateTag) {
    const Buffer init = from_hex("00010001 00000000 00000000 01000014 0a0b0c0d 00010000 000a000a 00000001");
    auto chunks = SctpView::checked(init)->chunks();
    EXPECT_EQ(chunks.next()->initiate_tag(), Be32::from_host(0x0a0b0c0d));
    auto cut = SctpView::checked(Bytes(init).first(31))->chunks();
    EXPECT_FALSE(cut.next()->initiate_tag());
}

TEST(Sctp, RoundTrip) {
    const SctpHeader header{1, 65535, Be32::from_host(7), 0x12345678};
    EXPECT_EQ(SctpHeader::parse(SctpView::checked(emitted(header, kSctpHeaderSize)).value()), header);
}

TEST(Gre, ReadsFlagsAndVersion) {
    const Buffer plain = from_hex("b000 0800");
    const auto gre = GreView::checked(plain).value();
    EXPECT_TRUE(gre.has_checksum());
    EXPECT_TRUE(gre.has_key());
    EXPECT_TRUE(gre.has_sequence());
    EXPECT_EQ(gre.version(), kGreVersionPlain);
    EXPECT_EQ(gre.protocol(), 0x0800);
    EXPECT_FALSE(gre.has_call_id());
    const Buffer bare = from_hex("0000 86dd");
    EXPECT_FALSE(GreView::checked(bare)->has_checksum());
    EXPECT_FALSE(GreView::checked(bare)->has_key());
    EXPECT_FALSE(GreView::checked(bare)->has_sequence());
    EXPECT_EQ(GreView::checked(Bytes(bare).first(3)).error(), GreError::too_short);
}

TEST(Gre, PptpRoundTrip) {
    const GrePptpHeader header{kGreProtocolPpp, 17, 0xabcd};
    const Buffer bytes = emitted(header, kGrePptpHeaderSize);
    const auto view = GreView::checked(bytes).value();
    EXPECT_EQ(view.version(), kGreVersionPptp);
    EXPECT_TRUE(view.has_call_id());
    EXPECT_EQ(GrePptpHeader::parse(view), header);
}

}  // namespace
}  // namespace sluice::wire
