// Compiled for other processors than the rest of the program, so it shares nothing with it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::conntrack {

// Eight at a time, by four words of a key. For processors with AVX-512 and VAES.
void hash_eights(const uint64_t* key, const uint64_t* addresses, const uint64_t* rest, size_t count,
                 uint64_t* hashes);

}  // namespace sluice::conntrack
