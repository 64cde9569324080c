#include "replay/capture_writer.hh"

#include <array>
#include <chrono>
#include <cstring>
#include <utility>

namespace sluice::replay {

namespace {

constexpr uint32_t kNanosecondMagic = 0xa1b23c4d;
constexpr uint32_t kVersion = 2 | 4U << 16;  // 2.4, two 16-bit numbers
constexpr uint32_t kSnapLength = 262144;
constexpr uint32_t kEthernet = 1;

// Numbers as the machine has them: little-endian (base/byte_order.hh asserts it).
template <size_t N>
std::array<uint8_t, 4 * N> packed(const std::array<uint32_t, N>& words) {
    std::array<uint8_t, 4 * N> result;
    std::memcpy(result.data(), words.data(), result.size());
    return result;
}

}  // namespace

CaptureWriter::CaptureWriter(OutputFile file) : file_(std::move(file)) {}

Expected<CaptureWriter> CaptureWriter::create(const std::filesystem::path& path) {
    auto file = OutputFile::create(path);
    if (!file) {
        return std::unexpected(std::move(file.error()));
    }
    file->write(packed<6>({kNanosecondMagic, kVersion, 0, 0, kSnapLength, kEthernet}));
    return CaptureWriter(std::move(*file));
}

void CaptureWriter::write(Instant time, std::span<const uint8_t> frame) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch());
    const Duration rest = time.time_since_epoch() - whole;
    const auto length = static_cast<uint32_t>(frame.size());
    file_.write(packed<4>(
        {static_cast<uint32_t>(whole.count()), static_cast<uint32_t>(rest.count()), length, length}));
    file_.write(frame);
}

}  // namespace sluice::replay
