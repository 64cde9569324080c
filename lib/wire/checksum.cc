#include "wire/checksum.hh"

namespace sluice::wire::detail {

uint64_t sum_long(const uint8_t* from, size_t size) {
    // A plain loop over 32-bit words with a 64-bit sum: the compiler turns it into vector code.
    const size_t words = size / 4;
    uint64_t sum = 0;
    for (size_t word = 0; word < words; ++word) {
        sum += load_u32(from + word * 4);
    }
    uint32_t tail = 0;
    std::memcpy(&tail, from + words * 4, size % 4);
    return sum + tail;
}

}  // namespace sluice::wire::detail
