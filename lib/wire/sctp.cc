#include "wire/sctp.hh"

#include <array>

namespace sluice::wire {
namespace {

constexpr uint32_t kCastagnoli = 0x82f63b78;  // RFC 9260 appendix A, bits reversed
constexpr size_t kSlices = 8;

// Eight bytes at a time: slice n holds the remainders of a byte followed by n zero bytes.
constexpr auto kRemainders = [] {
    std::array<std::array<uint32_t, 256>, kSlices> table{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; ++bit) {
            value = (value >> 1) ^ ((value & 1) != 0 ? kCastagnoli : 0);
        }
        table[0][byte] = value;
    }
    for (size_t slice = 1; slice < kSlices; ++slice) {
        for (size_t byte = 0; byte < 256; ++byte) {
            const uint32_t before = table[slice - 1][byte];
            table[slice][byte] = (before >> 8) ^ table[0][before & 0xff];
        }
    }
    return table;
}();

uint32_t crc32c(uint32_t crc, Bytes bytes) {
    while (bytes.size() >= kSlices) {
        uint64_t word;
        std::memcpy(&word, bytes.data(), sizeof word);
        word ^= crc;
        crc = 0;
        for (size_t at = 0; at < kSlices; ++at) {
            crc ^= kRemainders[kSlices - 1 - at][word >> (8 * at) & 0xff];
        }
        bytes = bytes.subspan(kSlices);
    }
    for (const uint8_t byte : bytes) {
        crc = (crc >> 8) ^ kRemainders[0][(crc ^ byte) & 0xff];
    }
    return crc;
}

}  // namespace

uint32_t sctp_checksum(Bytes packet) {
    constexpr size_t kField = 8;
    constexpr std::array<uint8_t, 4> kZero{};
    uint32_t crc = crc32c(~0U, packet.first(kField));
    crc = crc32c(crc, kZero);
    return ~crc32c(crc, packet.subspan(kSctpHeaderSize));
}

bool SctpView::checksum_verifies() const {
    return checksum() == sctp_checksum(bytes_);
}

}  // namespace sluice::wire
