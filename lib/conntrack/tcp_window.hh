// A TCP segment against the windows of both ends.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "conntrack/tcp_tracker.hh"

namespace sluice::conntrack::detail {

constexpr size_t index(Direction direction) {
    return static_cast<size_t>(direction);
}

constexpr bool before(uint32_t a, uint32_t b) {
    return static_cast<int32_t>(a - b) < 0;
}
constexpr bool after(uint32_t a, uint32_t b) {
    return before(b, a);
}

constexpr uint8_t kMaxScale = 14;  // RFC 7323 2.3

// What a SYN offers. A segment without options changes nothing.
inline void read_offers(wire::Bytes options, TcpEndFlags& flags, uint8_t& scale) {
    if (options.empty())
        return;
    scale = 0;
    flags.keep_only(kTcpLiberal);
    wire::TcpOptionWalk walk(options);
    while (const auto option = walk.next()) {
        if (option->type == wire::TcpOptionType::sack_permitted && option->bytes.size() == 2)
            flags.set(kTcpSackPermitted);
        if (option->type == wire::TcpOptionType::window_scale && option->bytes.size() == 3) {
            flags.set(kTcpWindowScale);
            scale = std::min(option->bytes[2], kMaxScale);
        }
    }
}

enum class WindowVerdict : uint8_t {
    accept,
    ignore,  // goes through, but tells nothing
    invalid,
};
struct WindowResult {
    WindowVerdict verdict = WindowVerdict::accept;
    InvalidReason reason = InvalidReason::none;
};

// One segment against the windows of both ends.
class WindowCheck {
  public:
    // `highest`: what the segment acknowledges, selectively or not.
    WindowCheck(TcpTrack& track, const TcpSegment& segment, uint32_t highest, Direction direction,
                const Settings& settings)
        : track_(track),
          segment_(segment),
          direction_(direction),
          settings_(settings),
          sender_(track.windows[index(direction)]),
          receiver_(track.windows[index(opposite(direction))]),
          sender_flags_(track.flags[index(direction)]),
          receiver_flags_(track.flags[index(opposite(direction))]),
          sequence_(segment.sequence),
          end_(segment.end),
          ack_(segment.ack - segment.ack_growth),
          sack_(highest - segment.ack_growth) {}

    WindowResult judge() {
        if (!meet_sender())
            return {};
        if (!has(wire::kTcpAck) || (has(wire::kTcpRst) && ack_ == 0))
            ack_ = sack_ = receiver_.end;  // nothing is acknowledged, or a broken stack's RST says so
        if (has(wire::kTcpRst) && sequence_ == 0 && track_.state == TcpState::syn_sent)
            sequence_ = end_ = sender_.end;  // the answer to a SYN

        if (after(sequence_, receiver_.granted))
            return too_far();
        if (after(sack_, receiver_.end))
            return refuse(WindowVerdict::invalid, InvalidReason::tcp_ack);
        // Repeats what was acknowledged, or acknowledges what was long ago: late, not wrong.
        if (receiver_.max_window != 0 && !after(end_, oldest_end()))
            return refuse(WindowVerdict::ignore);
        if (!after(sack_, oldest_ack()))
            return refuse(WindowVerdict::ignore);
        update();
        return {};
    }

    // Whether judge() would say so at the end of that, of an ACK of an open connection. Changes nothing.
    [[nodiscard]] bool fits() const {
        return sender_.max_window != 0 && receiver_.max_window != 0 && !after(sequence_, receiver_.granted) &&
               !after(sack_, receiver_.end) && after(end_, oldest_end()) && after(sack_, oldest_ack());
    }
    // What an accepted segment changes.
    void update() {
        const uint32_t window = has(wire::kTcpSyn)
                                    ? segment_.window
                                    : uint32_t{segment_.window} << track_.scale[index(direction_)];
        sender_.max_window = std::max(sender_.max_window, window + (sack_ - ack_));
        if (after(end_, sender_.end)) {
            sender_.end = end_;
            sender_flags_.set(kTcpUnacknowledged);
        }
        if (has(wire::kTcpAck) && (!sender_flags_.has(kTcpMaxAckKnown) || after(ack_, sender_.max_ack))) {
            sender_.max_ack = ack_;
            sender_flags_.set(kTcpMaxAckKnown);
        }
        if (receiver_.max_window != 0 && after(end_, receiver_.granted))
            receiver_.max_window += end_ - receiver_.granted;
        const uint32_t grant = sack_ + std::max<uint32_t>(window, 1);  // a window probe is one byte
        if (after(grant, sender_.granted))
            sender_.granted = grant;
        if (ack_ == receiver_.end)
            receiver_flags_.clear(kTcpUnacknowledged);
        if (segment_.kind() == TcpKind::ack)
            count_retransmissions();
    }

  private:
    [[nodiscard]] bool has(wire::TcpFlags flag) const { return segment_.flags.has(flag); }
    [[nodiscard]] uint32_t oldest_ack() const {
        return receiver_.end - std::max(sender_.max_window, kMinAckWindow) - 1;
    }
    [[nodiscard]] uint32_t oldest_end() const { return sender_.end - receiver_.max_window - 1; }

    // Takes the sender's numbers from its first segment, or from a new SYN. False: there is nothing to judge.
    bool meet_sender() {
        const bool opening = track_.state == TcpState::syn_sent || track_.state == TcpState::syn_recv;
        if (sender_.max_window == 0) {
            if (!has(wire::kTcpSyn)) {
                meet_in_the_middle();
                return true;
            }
            take_syn();
            return has(wire::kTcpAck);
        }
        if (has(wire::kTcpSyn) && opening && after(end_, sender_.end)) {
            take_syn();
            return direction_ == Direction::original || has(wire::kTcpAck);
        }
        return true;
    }
    void take_syn() {
        sender_.end = receiver_.granted = end_;
        sender_.max_window = std::max<uint32_t>(segment_.window, 1);
        read_offers(segment_.options, sender_flags_, track_.scale[index(direction_)]);
        // Windows are scaled if both ends have offered it (RFC 7323 2.2).
        if (direction_ == Direction::reply &&
            !(sender_flags_.has(kTcpWindowScale) && receiver_flags_.has(kTcpWindowScale)))
            track_.scale = {};
    }
    void meet_in_the_middle() {
        sender_.end = end_;
        sender_.max_window =
            std::max<uint32_t>(uint32_t{segment_.window} << track_.scale[index(direction_)], 1);
        receiver_.granted = end_ + sender_.max_window;
        if (receiver_.max_window == 0)
            receiver_.end = sender_.granted = sack_;  // all we know of the other end
        else if (sack_ == receiver_.end + 1)
            ++receiver_.end;  // the answer to a keep-alive
    }

    // Beyond what the receiver can take.
    WindowResult too_far() {
        const uint32_t excess = end_ - receiver_.granted + 1;
        const bool plausible = receiver_.max_window != 0 && after(end_, oldest_end()) &&
                               excess <= receiver_.max_window && after(sack_, oldest_ack()) &&
                               !after(sack_, receiver_.end);
        if (!plausible)
            return refuse(WindowVerdict::invalid, InvalidReason::tcp_sequence);
        // More than was offered, but not absurd: the receiver may have taken it, so that its acknowledgment
        // must be understood.
        sender_.end = end_;
        sender_flags_.set(kTcpUnacknowledged);
        return refuse(WindowVerdict::ignore);
    }
    [[nodiscard]] WindowResult refuse(WindowVerdict verdict,
                                      InvalidReason reason = InvalidReason::none) const {
        if (settings_.tcp_be_liberal || sender_flags_.has(kTcpLiberal))
            return {};
        return {verdict, reason};
    }

    void count_retransmissions() {
        const bool same = track_.last_direction == direction_ && track_.last_sequence == sequence_ &&
                          track_.last_ack == ack_ && track_.last_end == end_ &&
                          track_.last_window == segment_.window;
        if (same) {
            track_.retransmissions = static_cast<uint8_t>(std::min(track_.retransmissions + 1, 255));
            return;
        }
        track_.last_direction = direction_;
        track_.last_sequence = sequence_;
        track_.last_ack = ack_;
        track_.last_end = end_;
        track_.last_window = segment_.window;
        track_.retransmissions = 0;
    }

    TcpTrack& track_;
    const TcpSegment& segment_;
    Direction direction_;
    const Settings& settings_;
    TcpWindow& sender_;
    TcpWindow& receiver_;
    TcpEndFlags& sender_flags_;
    TcpEndFlags& receiver_flags_;
    uint32_t sequence_;
    uint32_t end_;
    uint32_t ack_;
    uint32_t sack_;
};

// No options, or timestamps alone, as they are laid out in nearly every segment (RFC 7323 appendix A).
inline bool has_no_sack(wire::Bytes options) {
    constexpr std::array<uint8_t, 4> kTimestamps{1, 1, 8, 10};
    return options.empty() ||
           (options.size() == 12 && std::memcmp(options.data(), kTimestamps.data(), kTimestamps.size()) == 0);
}

// Of an established connection after a segment that is no RST.
inline Timeout timeout_of_ack(const TcpTrack& track, const Settings& settings) {
    const Timeouts& timeouts = settings.timeouts;
    const Duration usual = timeouts[Timeout::tcp_established];
    const bool is_repeated = track.retransmissions >= settings.tcp_max_retrans;
    const bool is_shorter = timeouts[Timeout::tcp_max_retrans] < usual;
    if (is_repeated && is_shorter) [[unlikely]]
        return Timeout::tcp_max_retrans;
    if ((track.flags[0] | track.flags[1]).has(kTcpUnacknowledged) &&
        usual > timeouts[Timeout::tcp_unacknowledged])
        return Timeout::tcp_unacknowledged;
    return track.last_window == 0 && is_shorter ? Timeout::tcp_max_retrans : Timeout::tcp_established;
}

}  // namespace sluice::conntrack::detail
