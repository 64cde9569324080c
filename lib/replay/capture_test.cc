// Reading captures of every kind, broken ones too, and writing them.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "replay/capture_reader.hh"
#include "replay/capture_writer.hh"
#include "replay/test_directory.hh"

namespace sluice::replay {
namespace {

constexpr uint32_t kMicrosecondMagic = 0xa1b2c3d4;
constexpr uint32_t kVersion = 0x00040002;

std::string pcap_header(uint32_t link_type) {
    return little_endian({kMicrosecondMagic, kVersion, 0, 0, 65535, link_type});
}

TEST(CaptureReader, ReadsNanosecondsAsWritten) {
    TestDirectory directory;
    const auto file = directory.write_capture(
        "a.pcap", {{1'700'000'000'123'456'789, {1, 2, 3}}, {1'700'000'001'000'000'000, {4}}});
    auto reader = CaptureReader::open(file);
    ASSERT_TRUE(reader) << reader.error().text();
    auto first = reader->next();
    ASSERT_TRUE(first && *first);
    EXPECT_EQ((*first)->time, at(1'700'000'000'123'456'789));
    EXPECT_EQ(std::vector(first->value().bytes.begin(), first->value().bytes.end()),
              (std::vector<uint8_t>{1, 2, 3}));
    EXPECT_FALSE((*first)->is_short());
    auto second = reader->next();
    ASSERT_TRUE(second && *second);
    EXPECT_EQ((*second)->time, at(1'700'000'001'000'000'000));
    for (int i = 0; i < 2; ++i) {
        auto end = reader->next();
        ASSERT_TRUE(end);
        EXPECT_FALSE(*end);
    }
}

TEST(CaptureReader, ReadsMicrosecondsAndFlagsShortFrames) {
    TestDirectory directory;
    const auto file = directory.write("a.pcap", pcap_header(1) + little_endian({5, 7, 4, 1500}) + "abcd");
    auto reader = CaptureReader::open(file);
    ASSERT_TRUE(reader) << reader.error().text();
    auto frame = reader->next();
    ASSERT_TRUE(frame && *frame);
    EXPECT_EQ((*frame)->time, at(5'000'007'000));
    EXPECT_EQ((*frame)->original_length, 1500U);
    EXPECT_TRUE((*frame)->is_short());
}

TEST(CaptureReader, ReadsPcapng) {
    TestDirectory directory;
    // Section header, interface with nanoseconds (if_tsresol 9), one enhanced packet of four bytes.
    const uint64_t time = 1'700'000'000'000'000'042;
    const auto file = directory.write(
        "a.pcapng",
        little_endian({0x0a0d0d0a, 28, 0x1a2b3c4d, 0x00000001, 0xffffffff, 0xffffffff, 28}) +
            little_endian({1, 32, 1, 262144, 0x00010009, 9, 0, 32}) +
            little_endian({6, 36, 0, static_cast<uint32_t>(time >> 32), static_cast<uint32_t>(time), 4, 4}) +
            "abcd" + little_endian({36}));
    auto reader = CaptureReader::open(file);
    ASSERT_TRUE(reader) << reader.error().text();
    auto frame = reader->next();
    ASSERT_TRUE(frame) << frame.error().text();
    ASSERT_TRUE(*frame);
    EXPECT_EQ((*frame)->time, at(static_cast<int64_t>(time)));
    EXPECT_EQ((*frame)->bytes.size(), 4U);
}

TEST(CaptureReader, RefusesWhatIsNoEthernetCapture) {
    TestDirectory directory;
    const auto missing = CaptureReader::open(directory / "missing.pcap");
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().text().find("No such file"), std::string::npos) << missing.error().text();

    const auto text = CaptureReader::open(directory.write("text.pcap", "this is a letter, not a capture\n"));
    ASSERT_FALSE(text);
    EXPECT_FALSE(text.error().hint.empty());

    EXPECT_FALSE(CaptureReader::open(directory.write("empty.pcap", "")));

    const auto cooked = CaptureReader::open(directory.write("cooked.pcap", pcap_header(113)));
    ASSERT_FALSE(cooked);
    EXPECT_NE(cooked.error().text().find("LINUX_SLL"), std::string::npos) << cooked.error().text();
}

TEST(CaptureReader, GivesTheFramesBeforeTheBreak) {
    TestDirectory directory;
    const std::string whole =
        pcap_header(1) + little_endian({5, 0, 4, 4}) + "abcd" + little_endian({6, 0, 4, 4}) + "ab";
    auto reader = CaptureReader::open(directory.write("a.pcap", whole));
    ASSERT_TRUE(reader);
    const auto frame = reader->next();
    ASSERT_TRUE(frame && *frame);
    const auto broken = reader->next();
    ASSERT_FALSE(broken);
    EXPECT_NE(broken.error().message.find("after frame 1"), std::string::npos) << broken.error().text();
    const auto end = reader->next();
    ASSERT_TRUE(end);
    EXPECT_FALSE(*end);
}

TEST(CaptureWriter, BytesAreTheFormat) {
    TestDirectory directory;
    directory.write_capture("a.pcap", {{3'000'000'009, {0xaa, 0xbb}}});
    EXPECT_EQ(directory.read("a.pcap"),
              little_endian({0xa1b23c4d, kVersion, 0, 0, 262144, 1, 3, 9, 2, 2}) + "\xaa\xbb");
}

TEST(CaptureWriter, SaysWhereItCannotWrite) {
    TestDirectory directory;
    const auto writer = CaptureWriter::create(directory / "no/such/directory.pcap");
    ASSERT_FALSE(writer);
    EXPECT_NE(writer.error().message.find("directory.pcap"), std::string::npos);
    auto full = CaptureWriter::create("/dev/full");
    ASSERT_TRUE(full);
    full->write(at(0), std::vector<uint8_t>(100'000));
    EXPECT_FALSE(full->close());
}

}  // namespace
}  // namespace sluice::replay
