// plain.hh's parse() for lanes of any width. Compiled for each width in a file of its own.
//
// A group of frames is transposed, so that a vector holds the same eight bytes of each; from there on every
// question is asked of all of them at once. Words are as the frame's bytes lie in memory, the first lowest:
//   0 destination MAC, source MAC …   1 … EtherType, version, TOS   2 length, id, fragment, TTL, protocol
//   3 checksum, source, destination … 4 … ports, UDP length         5 UDP checksum … or TCP offset, flags
//   6 to 8: what is left of kRead bytes
// What must be zero is gathered in one vector, what must not be negative in another.
#pragma once

#include <immintrin.h>

#include <cstring>

#include "pipeline/plain.hh"

namespace sluice::pipeline::plain {
namespace {

template <size_t kLanes>
struct Lanes {
    using Words [[gnu::vector_size(8 * kLanes)]] = uint64_t;
    using Halves [[gnu::vector_size(8 * kLanes)]] = uint32_t;
    Words words;
    Halves halves;
};
template <size_t kLanes>
using Words = decltype(Lanes<kLanes>::words);

template <typename Vector>
[[gnu::always_inline]] inline Vector load(const void* from) {
    Vector vector;
    std::memcpy(&vector, from, sizeof vector);
    return vector;
}
template <typename Vector>
[[gnu::always_inline]] inline void store(void* to, Vector vector) {
    std::memcpy(to, &vector, sizeof vector);
}

// Which bytes of a word shall be its lowest ones, with zeros above them; for two neighbouring words.
struct Pick {
    uint64_t first;
    uint64_t second;

    [[gnu::always_inline]] static constexpr Pick of(uint64_t b0, uint64_t b1) {
        constexpr uint64_t kZeros = 0x8080'8080'8080'0000;
        const uint64_t first = b0 | b1 << 8;
        return {.first = kZeros | first, .second = kZeros | (first + 0x0808)};
    }
    [[gnu::always_inline]] static constexpr Pick of(uint64_t b0, uint64_t b1, uint64_t b2, uint64_t b3) {
        constexpr uint64_t kZeros = 0x8080'8080'0000'0000;
        const uint64_t first = b0 | b1 << 8 | b2 << 16 | b3 << 24;
        return {.first = kZeros | first, .second = kZeros | (first + 0x0808'0808)};
    }
    [[gnu::always_inline]] [[nodiscard]] __m128i both() const {
        return _mm_set_epi64x(static_cast<int64_t>(second), static_cast<int64_t>(first));
    }
};

// The highest bit of each lane.
[[gnu::always_inline]] inline uint64_t signs(Words<4> words) {
    return static_cast<uint64_t>(_mm256_movemask_pd(reinterpret_cast<__m256d>(words)));
}
// Each shifted by its own number of bits; zero from 64 on.
[[gnu::always_inline]] inline Words<4> shifted_left(Words<4> words, Words<4> bits) {
    return reinterpret_cast<Words<4>>(
        _mm256_sllv_epi64(reinterpret_cast<__m256i>(words), reinterpret_cast<__m256i>(bits)));
}
// Of the lowest 16 bits; zero instead of less.
[[gnu::always_inline]] inline Words<4> less_at_most(Words<4> words, Words<4> by) {
    return reinterpret_cast<Words<4>>(
        _mm256_subs_epu16(reinterpret_cast<__m256i>(words), reinterpret_cast<__m256i>(by)));
}
[[gnu::always_inline]] inline Words<4> picked(Words<4> words, Pick bytes) {
    return reinterpret_cast<Words<4>>(
        _mm256_shuffle_epi8(reinterpret_cast<__m256i>(words), _mm256_broadcastsi128_si256(bytes.both())));
}

#ifdef __AVX512BW__
[[gnu::always_inline]] inline uint64_t signs(Words<8> words) {
    return _mm512_movepi64_mask(reinterpret_cast<__m512i>(words));
}
[[gnu::always_inline]] inline Words<8> shifted_left(Words<8> words, Words<8> bits) {
    return reinterpret_cast<Words<8>>(
        _mm512_sllv_epi64(reinterpret_cast<__m512i>(words), reinterpret_cast<__m512i>(bits)));
}
[[gnu::always_inline]] inline Words<8> less_at_most(Words<8> words, Words<8> by) {
    return reinterpret_cast<Words<8>>(
        _mm512_subs_epu16(reinterpret_cast<__m512i>(words), reinterpret_cast<__m512i>(by)));
}
[[gnu::always_inline]] inline Words<8> picked(Words<8> words, Pick bytes) {
    return reinterpret_cast<Words<8>>(
        _mm512_shuffle_epi8(reinterpret_cast<__m512i>(words), _mm512_broadcast_i32x4(bytes.both())));
}
#endif

// words[k] of lane i is the k-th word of the i-th frame.
[[gnu::always_inline]] inline void transpose(const uint8_t* const* frames, Words<4> (&words)[9]) {
    for (size_t half = 0; half < 2; ++half) {
        const auto a = load<Words<4>>(frames[0] + 32 * half);
        const auto b = load<Words<4>>(frames[1] + 32 * half);
        const auto c = load<Words<4>>(frames[2] + 32 * half);
        const auto d = load<Words<4>>(frames[3] + 32 * half);
        const auto ab_even = __builtin_shufflevector(a, b, 0, 4, 2, 6);
        const auto ab_odd = __builtin_shufflevector(a, b, 1, 5, 3, 7);
        const auto cd_even = __builtin_shufflevector(c, d, 0, 4, 2, 6);
        const auto cd_odd = __builtin_shufflevector(c, d, 1, 5, 3, 7);
        words[4 * half + 0] = __builtin_shufflevector(ab_even, cd_even, 0, 1, 4, 5);
        words[4 * half + 1] = __builtin_shufflevector(ab_odd, cd_odd, 0, 1, 4, 5);
        words[4 * half + 2] = __builtin_shufflevector(ab_even, cd_even, 2, 3, 6, 7);
        words[4 * half + 3] = __builtin_shufflevector(ab_odd, cd_odd, 2, 3, 6, 7);
    }
    words[8] = Words<4>{load<uint64_t>(frames[0] + 64), load<uint64_t>(frames[1] + 64),
                        load<uint64_t>(frames[2] + 64), load<uint64_t>(frames[3] + 64)};
}

#ifdef __AVX512DQ__
[[gnu::always_inline]] inline void transpose(const uint8_t* const* frames, Words<8> (&words)[9]) {
    Words<8> pairs[8];  // of frames 2i and 2i+1: even words, then odd ones
    for (size_t i = 0; i < 4; ++i) {
        const auto a = load<Words<8>>(frames[2 * i]);
        const auto b = load<Words<8>>(frames[2 * i + 1]);
        pairs[2 * i] = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
        pairs[2 * i + 1] = __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (size_t odd = 0; odd < 2; ++odd) {
        // Of frames 0 to 3, then 4 to 7: words 0 and 4 (1 and 5), words 2 and 6 (3 and 7).
        const auto low04 = __builtin_shufflevector(pairs[odd], pairs[2 + odd], 0, 1, 8, 9, 4, 5, 12, 13);
        const auto low26 = __builtin_shufflevector(pairs[odd], pairs[2 + odd], 2, 3, 10, 11, 6, 7, 14, 15);
        const auto high04 = __builtin_shufflevector(pairs[4 + odd], pairs[6 + odd], 0, 1, 8, 9, 4, 5, 12, 13);
        const auto high26 =
            __builtin_shufflevector(pairs[4 + odd], pairs[6 + odd], 2, 3, 10, 11, 6, 7, 14, 15);
        words[0 + odd] = __builtin_shufflevector(low04, high04, 0, 1, 2, 3, 8, 9, 10, 11);
        words[2 + odd] = __builtin_shufflevector(low26, high26, 0, 1, 2, 3, 8, 9, 10, 11);
        words[4 + odd] = __builtin_shufflevector(low04, high04, 4, 5, 6, 7, 12, 13, 14, 15);
        words[6 + odd] = __builtin_shufflevector(low26, high26, 4, 5, 6, 7, 12, 13, 14, 15);
    }
    words[8] = Words<8>{load<uint64_t>(frames[0] + 64), load<uint64_t>(frames[1] + 64),
                        load<uint64_t>(frames[2] + 64), load<uint64_t>(frames[3] + 64),
                        load<uint64_t>(frames[4] + 64), load<uint64_t>(frames[5] + 64),
                        load<uint64_t>(frames[6] + 64), load<uint64_t>(frames[7] + 64)};
}
#endif

// A one's complement sum of less than 2^40 that is not zero: 0xffff if it folds to all ones, something else
// if not.
template <typename Vector>
[[gnu::always_inline]] inline Vector folded(Vector sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}
template <typename Vector>
[[gnu::always_inline]] inline Vector halves(Vector words) {
    return (words & 0xffffffff) + (words >> 32);
}

// The lowest bits, of which there are so many; all from 64 on.
template <typename Vector>
[[gnu::always_inline]] inline Vector first_bits(Vector words, Vector bits) {
    return words & ~shifted_left(~Vector{}, bits);
}

template <typename Vector>
[[gnu::always_inline]] inline Vector same(uint64_t word) {
    return Vector{} + word;
}

// Negative if an address whose first two bytes stand in the lower half of a word, or in the upper one, needs
// a second look: not of classes A to C, of 0/8, 127/8 or 169.254/16.
template <size_t kLanes>
[[gnu::always_inline]] inline Words<kLanes> unusual(Words<kLanes> two) {
    using Halves = decltype(Lanes<kLanes>::halves);
    const auto both = reinterpret_cast<Halves>(two);
    const Halves network = both & 0xff;
    const Halves negative = (network - 1) | (223 - network) | ((network ^ 127) - 1) | ((both ^ 0xfea9) - 1);
    const auto words = reinterpret_cast<Words<kLanes>>(negative);
    return words | words << 32;
}

template <size_t kLanes>
[[gnu::always_inline]] inline Bits parse_lanes(const Device& device, const Frames& frames,
                                               const Found& found) {
    using Vector = Words<kLanes>;
    constexpr uint64_t kEthernet = 14;
    constexpr uint64_t kIp4 = 20;
    constexpr uint64_t kOwn = 0x0001'ffff'ffff'ffff;  // the destination, and that the source is no group
    constexpr uint64_t kTypeAndVersion = 0x00ff'ffff'0000'0000;
    constexpr uint64_t kFragment = 0x0000'ff3f'0000'0000;
    Bits bits;
    for (size_t at = 0; at < frames.count; at += kLanes) {
        Vector words[9];
        transpose(frames.start + at, words);
        const auto length = load<Vector>(frames.length + at);

        const Vector total = picked(words[2], Pick::of(1, 0));
        const Vector source = words[0] >> 48 | (words[1] & 0xffffffff) << 16;
        const Vector all3 = halves(words[3]);
        const Vector header = folded((words[1] >> 48) + halves(words[2]) + all3 + (words[4] & 0xffff));
        const Vector zero = ((words[0] ^ device.own) & kOwn) |
                            ((words[1] ^ uint64_t{0x45'00'08} << 32) & kTypeAndVersion) | (header ^ 0xffff);
        const Vector not_negative = (total - kIp4) | (length - kEthernet - total) |
                                    ((words[2] >> 48 & 0xff) - 2) | ((source ^ device.own) - 1) |
                                    unusual<kLanes>(words[3] >> 16 & 0x0000'ffff'0000'ffff);
        const uint64_t fast = signs(reinterpret_cast<Vector>(zero == 0) & ~not_negative);
        const uint64_t padded = signs(reinterpret_cast<Vector>(length != total + kEthernet));
        store(found.meta + at, device.meta | total << 32);

        const Vector protocol = words[2] >> 56;
        const Vector is_udp = reinterpret_cast<Vector>(protocol == 17);
        const Vector is_tcp = reinterpret_cast<Vector>(protocol == 6);
        const Vector whole = reinterpret_cast<Vector>((words[2] & kFragment) == 0);
        const Vector upper = total - kIp4;
        const uint64_t ports = fast & signs((is_udp | is_tcp) & whole & ~(upper - 8));
        store(found.addresses + at, words[3] >> 16 | words[4] << 48);
        store(found.rest + at, picked(words[4], Pick::of(3, 2, 5, 4)) | protocol << 32);

        // The pseudo header's length is the IP header's less 20 bytes, which the sum has as the complement.
        constexpr uint64_t kLessIp4 = 0xffff - (kIp4 << 8);
        const Vector left = (total + kEthernet - 40) << 3;  // bits from word 5 on
        const Vector sum =
            folded(all3 - (words[3] & 0xffff) + halves(words[4]) + halves(first_bits(words[5], left)) +
                   halves(first_bits(words[6], less_at_most(left, same<Vector>(64)))) +
                   halves(first_bits(words[7], less_at_most(left, same<Vector>(128)))) +
                   halves(first_bits(words[8], less_at_most(left, same<Vector>(192)))) + (words[2] & 0xffff) +
                   kLessIp4 + (protocol << 8));
        const Vector sums_up = reinterpret_cast<Vector>(sum == 0xffff);
        const Vector udp_length = picked(words[4], Pick::of(7, 6));
        const Vector udp = is_udp & (sums_up | reinterpret_cast<Vector>((words[5] & 0xffff) == 0)) &
                           ~((udp_length - 8) | (upper - udp_length));
        const Vector tcp_header = words[5] >> 50 & 0x3c;
        constexpr uint64_t kTcpFlags = uint64_t{0x37} << 56;
        const Vector tcp = is_tcp & sums_up &
                           reinterpret_cast<Vector>((words[5] & kTcpFlags) == uint64_t{0x10} << 56) &
                           ~((tcp_header - 20) | (upper - tcp_header));
        const Vector beyond = kRead - kEthernet - total;

        bits.ip4_fast |= fast << at;
        bits.padded |= (fast & padded) << at;
        bits.ports |= ports << at;
        bits.datagrams |= (ports & signs(udp & ~beyond)) << at;
        bits.acks |= (ports & signs(tcp & ~beyond)) << at;
    }
    return bits;
}

}  // namespace
}  // namespace sluice::pipeline::plain
