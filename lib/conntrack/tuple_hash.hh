// The keyed hash of tuples: rounds of AES, which every processor that this is built for has an instruction
// for. Whoever does not know the key cannot choose tuples that collide.
#pragma once

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "conntrack/tuple.hh"

namespace sluice::conntrack {

struct TupleHash {
    std::array<uint64_t, 4> key;

    [[nodiscard]] uint64_t operator()(const Tuple& tuple) const;

    // Of an IPv4 tuple in two words: the addresses as they lie in a header, the source's first; ports in host
    // order, the source's lowest, and the protocol above them.
    [[nodiscard]] uint64_t of_ip4(uint64_t addresses, uint64_t rest) const {
        return finished(_mm_xor_si128(
            _mm_set_epi64x(static_cast<int64_t>(rest), static_cast<int64_t>(addresses)), even_key()));
    }
    // Of an IPv6 tuple: the addresses as they lie in a header, the source first, and the same second word.
    [[nodiscard]] uint64_t of_ip6(const uint8_t* addresses, uint64_t rest) const {
        // What is added behind a round is that round's key.
        __m128i state = _mm_xor_si128(load(addresses), even_key());
        state = _mm_aesenc_si128(state, odd_key());
        state = _mm_aesenc_si128(state, load(addresses + sizeof(__m128i)));
        state = _mm_aesenc_si128(state, even_key());
        state = _mm_aesenc_si128(state, _mm_cvtsi64_si128(static_cast<int64_t>(rest)));
        return finished(state);
    }

  private:
    static __m128i load(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }
    [[nodiscard]] __m128i even_key() const { return load(key.data()); }
    [[nodiscard]] __m128i odd_key() const { return load(key.data() + 2); }
    // Behind two rounds each bit depends on all, behind three no difference is likely any more.
    [[nodiscard]] uint64_t finished(__m128i state) const {
        state = _mm_aesenc_si128(state, odd_key());
        state = _mm_aesenc_si128(state, even_key());
        state = _mm_aesenc_si128(state, odd_key());
        return static_cast<uint64_t>(_mm_cvtsi128_si64(state));
    }
};

// TupleHash::of_ip4() of so many tuples. All arrays have room for `count` rounded up to eight, and hashes of
// whatever stands behind the last are written too.
using HashIp4Tuples = void (*)(const TupleHash& hash, const uint64_t* addresses, const uint64_t* rest,
                               size_t count, uint64_t* hashes);
// One after the other.
void hash_singly(const TupleHash& hash, const uint64_t* addresses, const uint64_t* rest, size_t count,
                 uint64_t* hashes);
// What is best here: eight at a time where the processor has AVX-512 and VAES.
[[nodiscard]] HashIp4Tuples choose_hash();

}  // namespace sluice::conntrack
