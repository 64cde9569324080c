// plain.hh's parse() for lanes of any width. Compiled for each width in a file of its own.
//
// A group of frames is transposed, so that a vector holds the same eight bytes of each; from there on every
// question is asked of all of them at once. Words are as the frame's bytes lie in memory, the first lowest;
// of IPv4:
//   0 destination MAC, source MAC …   1 … EtherType, version, TOS   2 length, id, fragment, TTL, protocol
//   3 checksum, source, destination … 4 … ports, UDP length         5 UDP checksum … or TCP offset, flags
//   6 to 8: what is left of kReadIp4 bytes
// of IPv6:
//   1 … EtherType, version, class     2 flow label, length, next header, hop limit, source …   3 … source
//   4 … destination …   5 … destination   6 … port   7 port, UDP length and checksum   8 … TCP offset, flags
//   9 and 10: what is left of kReadIp6 bytes
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

// Which lanes: of four all their bits, of eight a bit for each.
using Where4 = Words<4>;
class Where8 {
  public:
    [[gnu::always_inline]] constexpr explicit Where8(unsigned lanes) : lanes_(static_cast<uint8_t>(lanes)) {}
    [[gnu::always_inline]] constexpr Where8 operator&(Where8 other) const {
        return Where8(lanes_ & unsigned{other.lanes_});
    }
    [[gnu::always_inline]] constexpr Where8 operator|(Where8 other) const {
        return Where8(lanes_ | unsigned{other.lanes_});
    }
    [[nodiscard]] [[gnu::always_inline]] constexpr uint8_t lanes() const { return lanes_; }

  private:
    uint8_t lanes_;
};

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

// A bit for each lane.
[[gnu::always_inline]] inline uint64_t bits_of(Where4 where) {
    return static_cast<uint64_t>(_mm256_movemask_pd(reinterpret_cast<__m256d>(where)));
}
[[gnu::always_inline]] inline Where4 not_negative(Words<4> words) {
    using Signed [[gnu::vector_size(sizeof words)]] = int64_t;
    return reinterpret_cast<Where4>(reinterpret_cast<Signed>(words) >= 0);
}
[[gnu::always_inline]] inline Where4 is_zero(Words<4> words) {
    return reinterpret_cast<Where4>(words == 0);
}
[[gnu::always_inline]] inline Where4 not_zero(Words<4> words) {
    return reinterpret_cast<Where4>(words != 0);
}
// What is elsewhere stays.
[[gnu::always_inline]] inline void store_where(Where4 where, void* to, Words<4> words) {
    store(to, (where & words) | (~where & load<Words<4>>(to)));
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
[[gnu::always_inline]] inline uint64_t bits_of(Where8 where) {
    return where.lanes();
}
[[gnu::always_inline]] inline Where8 not_negative(Words<8> words) {
    return Where8(~unsigned{_mm512_movepi64_mask(reinterpret_cast<__m512i>(words))});
}
[[gnu::always_inline]] inline Where8 is_zero(Words<8> words) {
    const auto bits = reinterpret_cast<__m512i>(words);
    return Where8(_mm512_testn_epi64_mask(bits, bits));
}
[[gnu::always_inline]] inline Where8 not_zero(Words<8> words) {
    const auto bits = reinterpret_cast<__m512i>(words);
    return Where8(_mm512_test_epi64_mask(bits, bits));
}
[[gnu::always_inline]] inline void store_where(Where8 where, void* to, Words<8> words) {
    store(to, reinterpret_cast<Words<8>>(
                  _mm512_mask_blend_epi64(where.lanes(), reinterpret_cast<__m512i>(load<Words<8>>(to)),
                                          reinterpret_cast<__m512i>(words))));
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

// words[k] of lane i is the k-th word of the i-th frame; the first eight of them.
[[gnu::always_inline]] inline void transpose(const uint8_t* const* frames, Words<4>* words) {
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
}

#ifdef __AVX512DQ__
[[gnu::always_inline]] inline void transpose(const uint8_t* const* frames, Words<8>* words) {
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
}
#endif

// One word of each frame.
template <size_t kLanes>
[[gnu::always_inline]] inline Words<kLanes> gathered(const uint8_t* const* frames, size_t word) {
    using Two = Words<2>;
    const auto two = [&](size_t i) {
        return Two{load<uint64_t>(frames[i] + 8 * word), load<uint64_t>(frames[i + 1] + 8 * word)};
    };
    const auto four = [&](size_t i) { return __builtin_shufflevector(two(i), two(i + 2), 0, 1, 2, 3); };
    if constexpr (kLanes == 4)
        return four(0);
    else
        return __builtin_shufflevector(four(0), four(4), 0, 1, 2, 3, 4, 5, 6, 7);
}

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

// What was found of a group of packets.
template <typename Vector>
struct Lane {
    Vector must_be_zero;  // of packets on their fast path, and
    Vector must_not_be_negative;
    Vector total;         // of the IP packet, by its header
    Vector ip_header;     // its length
    Vector fragment;      // zero unless it is one
    Vector protocol;      // what follows the IP header
    Vector ports;         // in host order, the source's lowest
    Vector checksum_off;  // zero if the transport checksum is right
    Vector udp_length;    // and the following: if it is UDP
    Vector udp_checksum;
    Vector tcp_header;  // length; and the following: if it is TCP
    Vector tcp_flags;
    Vector tcp_options;  // their first four bytes, if there are so many
    Vector beyond;       // negative if it ends beyond the bytes that were read
};

template <size_t kLanes>
[[gnu::always_inline]] inline void conclude(const Lane<Words<kLanes>>& lane, size_t at, const Device& device,
                                            const Frames& frames, const Found& found, Bits& bits) {
    using Vector = Words<kLanes>;
    constexpr uint64_t kOthers = 0x37;  // ACK, SYN, FIN, RST and URG
    constexpr uint64_t kAck = 0x10;
    constexpr uint64_t kTimestamps = 0x0a080101;  // two NOPs before type and length
    const auto length = load<Vector>(frames.length + at);
    const auto fast = is_zero(lane.must_be_zero) & not_negative(lane.must_not_be_negative);
    store_where(fast, found.meta + at, device.meta | lane.total << 32);

    const auto is_udp = is_zero(lane.protocol ^ 17);
    const auto is_tcp = is_zero(lane.protocol ^ 6);
    const Vector upper = lane.total - lane.ip_header;
    const auto ports = fast & (is_udp | is_tcp) & is_zero(lane.fragment) & not_negative(upper - 8);
    store_where(ports, found.rest + at, lane.ports | lane.protocol << 32);

    const auto udp = is_udp & (is_zero(lane.checksum_off) | is_zero(lane.udp_checksum)) &
                     not_negative((lane.udp_length - 8) | (upper - lane.udp_length) | lane.beyond);
    const auto usual =
        is_zero(lane.tcp_header ^ 20) | is_zero((lane.tcp_header ^ 32) | (lane.tcp_options ^ kTimestamps));
    const auto tcp = is_tcp & is_zero(lane.checksum_off | ((lane.tcp_flags & kOthers) ^ kAck)) & usual &
                     not_negative((upper - lane.tcp_header) | lane.beyond);
    bits.fast |= bits_of(fast) << at;
    bits.padded |= bits_of(fast & not_zero(length ^ (lane.total + kEthernet))) << at;
    bits.ports |= bits_of(ports) << at;
    bits.datagrams |= bits_of(ports & udp) << at;
    bits.acks |= bits_of(ports & tcp) << at;
}

template <size_t kLanes>
[[gnu::always_inline]] inline bool is_wanted(const Frames& frames, size_t at) {
    return (frames.wanted >> at & ((uint64_t{1} << kLanes) - 1)) != 0;
}

// The box's own address as destination, and that the source is no group.
inline constexpr uint64_t kOwnMac = 0x0001'ffff'ffff'ffff;

template <size_t kLanes>
Bits parse_ip4_lanes(const Device& device, const Frames& frames, const Found& found) {
    using Vector = Words<kLanes>;
    constexpr uint64_t kHeader = 20;
    constexpr uint64_t kTypeAndVersion = 0x00ff'ffff'0000'0000;
    constexpr uint64_t kFragment = 0x0000'ff3f'0000'0000;
    Bits bits;
    for (size_t at = 0; at < frames.count; at += kLanes) {
        if (!is_wanted<kLanes>(frames, at))
            continue;
        Vector words[9];
        transpose(frames.start + at, words);
        words[8] = gathered<kLanes>(frames.start + at, 8);
        const auto length = load<Vector>(frames.length + at);

        const Vector total = picked(words[2], Pick::of(1, 0));
        const Vector source = words[0] >> 48 | (words[1] & 0xffffffff) << 16;
        const Vector all3 = halves(words[3]);
        const Vector header = folded((words[1] >> 48) + halves(words[2]) + all3 + (words[4] & 0xffff));
        const Vector zero = ((words[0] ^ device.own) & kOwnMac) |
                            ((words[1] ^ uint64_t{0x45'00'08} << 32) & kTypeAndVersion) | (header ^ 0xffff);
        const Vector positive = (total - kHeader) | (length - kEthernet - total) |
                                ((words[2] >> 48 & 0xff) - 2) | ((source ^ device.own) - 1) |
                                unusual<kLanes>(words[3] >> 16 & 0x0000'ffff'0000'ffff);
        store(found.addresses + at, words[3] >> 16 | words[4] << 48);

        // The pseudo header's length is the IP header's less 20 bytes, which the sum has as the complement.
        constexpr uint64_t kLessHeader = 0xffff - (kHeader << 8);
        const Vector protocol = words[2] >> 56;
        const Vector left = (total + kEthernet - 40) << 3;  // bits from word 5 on
        const Vector sum =
            folded(all3 - (words[3] & 0xffff) + halves(words[4]) + halves(first_bits(words[5], left)) +
                   halves(first_bits(words[6], less_at_most(left, same<Vector>(64)))) +
                   halves(first_bits(words[7], less_at_most(left, same<Vector>(128)))) +
                   halves(first_bits(words[8], less_at_most(left, same<Vector>(192)))) + (words[2] & 0xffff) +
                   kLessHeader + (protocol << 8));
        conclude<kLanes>({.must_be_zero = zero,
                          .must_not_be_negative = positive,
                          .total = total,
                          .ip_header = same<Vector>(kHeader),
                          .fragment = words[2] & kFragment,
                          .protocol = protocol,
                          .ports = picked(words[4], Pick::of(3, 2, 5, 4)),
                          .checksum_off = sum ^ 0xffff,
                          .udp_length = picked(words[4], Pick::of(7, 6)),
                          .udp_checksum = words[5] & 0xffff,
                          .tcp_header = words[5] >> 50 & 0x3c,
                          .tcp_flags = words[5] >> 56,
                          .tcp_options = words[6] >> 48 | (words[7] & 0xffff) << 16,
                          .beyond = kReadIp4 - kEthernet - total},
                         at, device, frames, found, bits);
    }
    return bits;
}

// All ones if an IPv6 address that begins with these eight bytes needs a second look: of ::/64, fe80::/10 or
// ff00::/8.
template <typename Vector>
[[gnu::always_inline]] inline Vector unusual_ip6(Vector high_half) {
    const auto ones_if_zero = [](Vector words) { return reinterpret_cast<Vector>(words == 0); };
    return ones_if_zero(high_half) | ones_if_zero((high_half & 0xff) ^ 0xff) |
           ones_if_zero((high_half & 0xc0ff) ^ 0x80fe);
}

template <size_t kLanes>
Bits parse_ip6_lanes(const Device& device, const Frames& frames, const Found& found) {
    using Vector = Words<kLanes>;
    constexpr uint64_t kHeader = 40;
    constexpr uint64_t kTypeAndVersion = 0x00f0'ffff'0000'0000;
    Bits bits;
    for (size_t at = 0; at < frames.count; at += kLanes) {
        if (!is_wanted<kLanes>(frames, at))
            continue;
        Vector words[11];
        transpose(frames.start + at, words);
        for (size_t word = 8; word < 11; ++word)
            words[word] = gathered<kLanes>(frames.start + at, word);
        const auto length = load<Vector>(frames.length + at);

        const Vector total = picked(words[2], Pick::of(3, 2)) + kHeader;
        const Vector source = words[0] >> 48 | (words[1] & 0xffffffff) << 16;
        const Vector protocol = words[2] >> 32 & 0xff;
        const Vector zero = ((words[0] ^ device.own) & kOwnMac) |
                            ((words[1] ^ uint64_t{0x60'dd'86} << 32) & kTypeAndVersion) |
                            unusual_ip6(words[2] >> 48 | words[3] << 16) |
                            unusual_ip6(words[4] >> 48 | words[5] << 16);
        // Next header 0 are hop-by-hop options.
        const Vector positive = (length - kEthernet - total) | ((words[2] >> 40 & 0xff) - 2) |
                                (protocol - 1) | ((source ^ device.own) - 1);

        const Vector left = (total + kEthernet - 56) << 3;  // bits from word 7 on
        const Vector sum = folded((words[2] >> 48) + halves(words[3]) + halves(words[4]) + halves(words[5]) +
                                  halves(words[6]) + halves(first_bits(words[7], left)) +
                                  halves(first_bits(words[8], less_at_most(left, same<Vector>(64)))) +
                                  halves(first_bits(words[9], less_at_most(left, same<Vector>(128)))) +
                                  halves(first_bits(words[10], less_at_most(left, same<Vector>(192)))) +
                                  (words[2] >> 16 & 0xffff) + (protocol << 8));
        conclude<kLanes>({.must_be_zero = zero,
                          .must_not_be_negative = positive,
                          .total = total,
                          .ip_header = same<Vector>(kHeader),
                          .fragment = Vector{},
                          .protocol = protocol,
                          .ports = picked(words[6] >> 48 | words[7] << 16, Pick::of(1, 0, 3, 2)),
                          .checksum_off = sum ^ 0xffff,
                          .udp_length = picked(words[7], Pick::of(3, 2)),
                          .udp_checksum = words[7] >> 32 & 0xffff,
                          .tcp_header = words[8] >> 18 & 0x3c,
                          .tcp_flags = words[8] >> 24,
                          .tcp_options = words[9] >> 16 & 0xffffffff,
                          .beyond = kReadIp6 - kEthernet - total},
                         at, device, frames, found, bits);
    }
    return bits;
}

}  // namespace
}  // namespace sluice::pipeline::plain
