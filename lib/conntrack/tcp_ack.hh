// Acknowledgments of open connections, which nearly all segments are, judged with a few vectors: the four
// numbers of the segment's end stand side by side, and so do those that it has. tcp_window.hh says the same
// at length.
#pragma once

#include <immintrin.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "conntrack/tcp_tracker.hh"

namespace sluice::conntrack {

// What repeat_ack() says of a segment.
enum class AckVerdict : uint8_t {
    refused,         // ask repeat_tcp() or track_tcp(); nothing has changed
    acknowledged,    // accepted, and nothing is left to be acknowledged
    unacknowledged,  // accepted; one of the ends waits for an acknowledgment
};

namespace detail {

// A TcpTrack's flags of both ends, its state and the kind of the last segment are one word, a byte each. What
// an acknowledgment changes of it: bits that are set, and then all but those that are kept.
struct AckChange {
    uint32_t set;
    uint32_t kept;
};
inline constexpr uint32_t kBothWait = kTcpUnacknowledged.bits() * 0x0101U;
// By the sum of: 1 if the end sends something anew, which waits to be acknowledged, 2 if it is the end that
// answers, 4 if it acknowledges all that the other one has sent.
inline constexpr auto kAckChanges = [] {
    constexpr uint32_t kKind = 0xff00'0000;
    std::array<AckChange, 8> changes{};
    for (uint32_t i = 0; i < changes.size(); ++i) {
        const uint32_t own = (i & 2) != 0 ? 0xff00 : 0xff;
        const uint32_t kind = static_cast<uint32_t>(TcpKind::ack) << 24;
        changes[i].set = kind | ((i & 1) != 0 ? kBothWait & own : 0);
        changes[i].kept = ~((kKind & ~kind) | ((i & 4) != 0 ? kBothWait & ~own : 0));
    }
    return changes;
}();

}  // namespace detail

// `header`: of TCP, in a segment of `length` bytes with its header, that has ACK, neither SYN, FIN, RST nor
// URG, and no options but timestamps as RFC 7323 lays them out; of an assured connection. What it accepts
// repeat_tcp() would accept, with the same outcome. Some forty vector instructions and no branch but
// those that refuse: which end sends cannot be foretold. Repetitions, closed windows and what leaves the
// window are not for it. `sender_at`: where the sender's window lies, in bytes from the first.
[[gnu::always_inline]] inline AckVerdict repeat_ack(TcpTrack& track, const uint8_t* header, uint32_t length,
                                                    size_t sender_at) {
    static_assert(offsetof(TcpWindow, granted) == 4 && offsetof(TcpWindow, max_window) == 8 &&
                  offsetof(TcpWindow, max_ack) == 12 && sizeof(TcpWindow) == 16);
    static_assert(offsetof(TcpTrack, last_ack) == offsetof(TcpTrack, last_sequence) + 4 &&
                  offsetof(TcpTrack, last_end) == offsetof(TcpTrack, last_sequence) + 8 &&
                  offsetof(TcpTrack, last_window) == offsetof(TcpTrack, last_sequence) + 12 &&
                  offsetof(TcpTrack, last_direction) == offsetof(TcpTrack, last_sequence) + 14 &&
                  offsetof(TcpTrack, retransmissions) == offsetof(TcpTrack, last_sequence) + 15);
    static_assert(offsetof(TcpTrack, state) == offsetof(TcpTrack, flags) + 2 &&
                  offsetof(TcpTrack, last_kind) == offsetof(TcpTrack, flags) + 3);
    constexpr char kZero = -128;
    const size_t from = sender_at / sizeof(TcpWindow);
    auto* const windows_at = reinterpret_cast<std::byte*>(&track.windows);
    auto* const known = reinterpret_cast<__m128i*>(windows_at + sender_at);
    const __m128i sender = _mm_loadu_si128(known);
    const __m128i receiver =
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(windows_at + (sender_at ^ sizeof(TcpWindow))));
    uint32_t ends;  // and more, as AckChange has it
    std::memcpy(&ends, &track.flags, sizeof ends);

    // Behind the ports: sequence, acknowledgment, offset and flags, window.
    const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(header + 4));
    const __m128i payload = _mm_cvtsi32_si128(static_cast<int>(length - (header[12] >> 2 & 0x3c)));

    // What a TcpWindow has of the segment: end, granted, max_window, max_ack.
    const __m128i scale =
        _mm_shuffle_epi8(_mm_cvtsi32_si128(track.scale[from]), _mm_setr_epi32(-1, ~0xff, ~0xff, -1));
    const __m128i windows = _mm_sllv_epi32(
        _mm_shuffle_epi8(raw,
                         _mm_setr_epi8(3, 2, 1, 0, 11, 10, kZero, kZero, 11, 10, kZero, kZero, 7, 6, 5, 4)),
        scale);
    const __m128i numbers =
        _mm_add_epi32(_mm_add_epi32(windows, payload),
                      _mm_shuffle_epi8(raw, _mm_setr_epi8(kZero, kZero, kZero, kZero, 7, 6, 5, 4, kZero,
                                                          kZero, kZero, kZero, kZero, kZero, kZero, kZero)));

    // Negative if what WindowCheck::fits() asks for does not hold, or more would have to be done than to
    // raise what is known of the sender: granted - end, granted - sequence, unacknowledged, window left
    // behind the end.
    const __m128i behind = _mm_sub_epi32(sender, numbers);
    const __m128i limits = _mm_shuffle_epi32(receiver, 0x85);
    __m128i reached = _mm_add_epi32(
        _mm_shuffle_epi8(raw, _mm_setr_epi8(3, 2, 1, 0, 3, 2, 1, 0, 7, 6, 5, 4, kZero, kZero, kZero, kZero)),
        payload);
    reached = _mm_blend_epi32(reached, _mm_shuffle_epi32(behind, 0), 0x8);
    const __m128i room = _mm_sub_epi32(limits, reached);
    // Of the third number alone: how far back acknowledgments may be, and whether all windows are known and
    // open.
    const __m128i ack_window =
        _mm_sub_epi32(_mm_max_epu32(sender, _mm_setr_epi32(0, 0, static_cast<int>(kMinAckWindow), 0)), room);
    const __m128i least = _mm_min_epi32(_mm_min_epi32(sender, receiver), numbers);
    const __m128i third = _mm_or_si128(ack_window, _mm_add_epi32(least, _mm_setr_epi32(0, 0, -1, 0)));
    const __m128i doubts = _mm_or_si128(room, _mm_and_si128(third, _mm_setr_epi32(0, 0, -1, 0)));

    // What is remembered of it, with its direction and no retransmissions.
    __m128i last = _mm_shuffle_epi8(
        raw, _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, kZero, kZero, kZero, kZero, 11, 10, kZero, kZero));
    last = _mm_blend_epi32(last, _mm_shuffle_epi32(numbers, 0), 0x4);
    last = _mm_insert_epi8(last, static_cast<int>(from), 14);
    auto* const remembered = reinterpret_cast<__m128i*>(&track.last_sequence);
    const __m128i difference = _mm_xor_si128(last, _mm_loadu_si128(remembered));

    // An established connection of which both ends have acknowledged something.
    constexpr uint32_t kAcknowledged = kTcpMaxAckKnown.bits() * 0x0101U;
    constexpr uint32_t kState = 0xff'0000;
    constexpr uint32_t kOpen = kAcknowledged | static_cast<uint32_t>(TcpState::established) << 16;
    if (_mm_testz_ps(_mm_castsi128_ps(doubts), _mm_castsi128_ps(doubts)) == 0) [[unlikely]]
        return AckVerdict::refused;
    const bool is_repetition = _mm_testz_si128(difference, _mm_setr_epi32(-1, -1, -1, 0x00ffffff)) != 0;
    if (is_repetition) [[unlikely]]
        return AckVerdict::refused;
    if ((ends & (kAcknowledged | kState)) != kOpen) [[unlikely]]
        return AckVerdict::refused;

    _mm_storeu_si128(remembered, last);
    _mm_storeu_si128(known,
                     _mm_castps_si128(_mm_blendv_ps(_mm_castsi128_ps(sender), _mm_castsi128_ps(numbers),
                                                    _mm_castsi128_ps(behind))));
    const auto news = static_cast<uint32_t>(_mm_movemask_ps(
        _mm_castsi128_ps(_mm_blend_epi32(behind, _mm_cmpeq_epi32(room, _mm_setzero_si128()), 0x4))));
    const auto& change = detail::kAckChanges[(news & 5U) + 2 * from];
    ends = (ends | change.set) & change.kept;
    std::memcpy(static_cast<void*>(&track.flags), &ends, sizeof ends);
    return (ends & detail::kBothWait) != 0 ? AckVerdict::unacknowledged : AckVerdict::acknowledged;
}

}  // namespace sluice::conntrack
