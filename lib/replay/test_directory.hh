// A directory of a test, and captures in it made byte by byte.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hh"
#include "replay/capture_writer.hh"

namespace sluice::replay {

inline Instant at(int64_t nanoseconds) {
    return Instant(Duration(nanoseconds));
}

// A frame of a test, told apart by its first byte.
struct StampedFrame {
    int64_t nanoseconds = 0;
    std::vector<uint8_t> bytes;
};

class TestDirectory {
  public:
    TestDirectory() {
        std::string name = (std::filesystem::temp_directory_path() / "sluice-replay-XXXXXX").string();
        path_ = mkdtemp(name.data());
    }
    TestDirectory(const TestDirectory&) = delete;
    TestDirectory& operator=(const TestDirectory&) = delete;
    ~TestDirectory() { std::filesystem::remove_all(path_); }

    [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

    std::filesystem::path write(std::string_view name, std::string_view bytes) const {
        std::ofstream(path_ / name, std::ios::binary) << bytes;
        return path_ / name;
    }
    std::filesystem::path write_capture(std::string_view name,
                                        const std::vector<StampedFrame>& frames) const {
        auto writer = CaptureWriter::create(path_ / name);
        for (const StampedFrame& frame : frames) {
            writer->write(at(frame.nanoseconds), frame.bytes);
        }
        EXPECT_TRUE(writer->close());
        return path_ / name;
    }
    [[nodiscard]] std::string read(std::string_view name) const {
        std::ifstream stream(path_ / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(stream), {}};
    }

  private:
    std::filesystem::path path_;
};

// Numbers of a file as a little-endian machine writes them.
inline std::string little_endian(const std::vector<uint32_t>& words) {
    std::string result;
    for (const uint32_t word : words) {
        for (unsigned shift = 0; shift < 32; shift += 8) {
            result += static_cast<char>(word >> shift & 0xff);
        }
    }
    return result;
}

}  // namespace sluice::replay
