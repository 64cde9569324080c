#include "conntrack/tuple_hash_lanes.hh"

#include <immintrin.h>

namespace sluice::conntrack {

void hash_eights(const uint64_t* key, const uint64_t* addresses, const uint64_t* rest, size_t count,
                 uint64_t* hashes) {
    constexpr size_t kAtOnce = 8;
    const auto key_at = [key](size_t word) {
        return _mm512_broadcast_i64x2(_mm_loadu_si128(reinterpret_cast<const __m128i*>(key + word)));
    };
    const __m512i even = key_at(0);
    const __m512i odd = key_at(2);
    const auto finished = [even, odd](__m512i state) {
        state = _mm512_xor_si512(state, even);
        state = _mm512_aesenc_epi128(state, odd);
        state = _mm512_aesenc_epi128(state, even);
        return _mm512_aesenc_epi128(state, odd);
    };
    for (size_t i = 0; i < count; i += kAtOnce) {
        const __m512i first = _mm512_loadu_si512(addresses + i);
        const __m512i second = _mm512_loadu_si512(rest + i);
        // The tuples at even places, and those at odd ones; then the first words of both.
        const __m512i evens = finished(_mm512_unpacklo_epi64(first, second));
        const __m512i odds = finished(_mm512_unpackhi_epi64(first, second));
        _mm512_storeu_si512(hashes + i, _mm512_unpacklo_epi64(evens, odds));
    }
}

}  // namespace sluice::conntrack
