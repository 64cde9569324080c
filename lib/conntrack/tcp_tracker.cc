#include "conntrack/tcp_tracker.hh"

#include <algorithm>
#include <chrono>

#include "conntrack/tcp_window.hh"

namespace sluice::conntrack {
namespace {

using namespace detail;
using std::chrono::seconds;

// A cell of the table: the number of a TcpState, or one of the two that follow.
enum class Next : uint8_t {
    none,
    syn_sent,
    syn_recv,
    established,
    fin_wait,
    close_wait,
    last_ack,
    time_wait,
    close,
    syn_sent2,
    ignore,   // may be right although the flow says otherwise: goes through and is remembered, since the
              // answer tells
    invalid,  // is wrong in any case
};

// As short as the table below wants them. NOLINTBEGIN(readability-identifier-naming)
constexpr auto SS = Next::syn_sent;
constexpr auto SR = Next::syn_recv;
constexpr auto ES = Next::established;
constexpr auto FW = Next::fin_wait;
constexpr auto CW = Next::close_wait;
constexpr auto LA = Next::last_ack;
constexpr auto TW = Next::time_wait;
constexpr auto CL = Next::close;
constexpr auto S2 = Next::syn_sent2;
constexpr auto IG = Next::ignore;
constexpr auto IV = Next::invalid;
// NOLINTEND(readability-identifier-naming)

using Row = std::array<Next, kTcpKinds>;

// By direction and state: what each kind of segment leads to. Windows are judged after this.
constexpr std::array<std::array<Row, kTcpStates>, 2> kTransitions{{
    {{
        // SYN, SYN-ACK, FIN, ACK, RST, none of them; in the original direction
        {SS, IV, IV, ES, IV, IV},  // none
        {SS, IV, IV, IV, CL, IV},  // syn_sent
        {IG, SR, FW, ES, CL, IV},  // syn_recv
        {IG, IV, FW, ES, CL, IV},  // established
        {IG, IV, LA, CW, CL, IV},  // fin_wait
        {IG, IV, LA, CW, CL, IV},  // close_wait
        {IG, IV, LA, TW, CL, IV},  // last_ack
        {SS, IV, TW, TW, CL, IV},  // time_wait
        {SS, IV, CL, CL, CL, IV},  // close
        {S2, SR, IV, IV, CL, IV},  // syn_sent2
    }},
    {{
        // in the reply direction
        {IV, IV, IV, IV, IV, IV},  // none
        {S2, SR, IV, IG, CL, IV},  // syn_sent
        {IV, IG, FW, SR, CL, IV},  // syn_recv
        {IV, IG, FW, ES, CL, IV},  // established
        {IV, IG, LA, CW, CL, IV},  // fin_wait
        {IV, IG, LA, CW, CL, IV},  // close_wait
        {IV, IG, LA, TW, CL, IV},  // last_ack
        {SS, IG, TW, TW, CL, IV},  // time_wait
        {IV, IG, CL, CL, CL, IV},  // close
        {S2, SR, IV, IG, CL, IV},  // syn_sent2
    }},
}};

// Closing by RST is a state of its own length where an address is translated (R7857-2.2).
Duration timeout_of(TcpState state, const FlowFacts& flow, const Timeouts& timeouts) {
    static_assert(static_cast<size_t>(Timeout::tcp_syn_sent) + 1 == static_cast<size_t>(TcpState::syn_sent));
    static_assert(static_cast<size_t>(Timeout::tcp_syn_sent2) + 1 ==
                  static_cast<size_t>(TcpState::syn_sent2));
    if (state == TcpState::close && flow.status.has_any(kSnat | kDnat))
        return timeouts[Timeout::tcp_close_nat];
    return timeouts[static_cast<Timeout>(static_cast<size_t>(state) - 1)];
}

// The highest right edge of the segment's SACK blocks, or its acknowledgment (RFC 2018 3).
uint32_t highest_ack(const TcpSegment& segment) {
    constexpr size_t kBlock = 8;
    uint32_t highest = segment.ack;
    wire::TcpOptionWalk walk(segment.options);
    while (const auto option = walk.next()) {
        const wire::Bytes bytes = option->bytes;
        if (option->type != wire::TcpOptionType::sack || bytes.size() < 2 + kBlock ||
            (bytes.size() - 2) % kBlock != 0)
            continue;
        for (size_t at = 2; at < bytes.size(); at += kBlock) {
            const uint32_t right = wire::read32(bytes.data() + at + 4);
            if (after(right, highest))
                highest = right;
        }
        break;
    }
    return highest;
}

// Sets up the state for the first segment of a flow.
InvalidReason begin(TcpTrack& track, const TcpSegment& segment, const Settings& settings) {
    const Next next = kTransitions[0][0][static_cast<size_t>(segment.kind())];
    if (next == Next::invalid)
        return InvalidReason::tcp_not_first;
    if (next != Next::syn_sent && !settings.tcp_loose)
        return InvalidReason::tcp_no_syn;
    track = {};
    TcpWindow& sender = track.windows[0];
    sender.end = segment.end;
    sender.max_window = std::max<uint32_t>(segment.window, 1);
    track.windows[1].granted = sender.end;
    if (next == Next::syn_sent) {
        read_offers(segment.options, track.flags[0], track.scale[0]);
    } else {
        // Picked up in the middle: neither scale nor options are known, so both ends are judged liberally.
        track.windows[1].granted += sender.max_window;
        track.flags.fill(kTcpSackPermitted | kTcpLiberal);
    }
    return InvalidReason::none;
}

// The connection is ended, and the end that asks for another has seen to that itself.
bool may_reopen(const TcpTrack& track, Direction direction) {
    return (track.flags[0] | track.flags[1]).has(kTcpCloseInit) ||
           (track.last_direction == direction && track.last_kind == TcpKind::rst);
}

// A SYN-ACK to a SYN that was let through although it did not fit: client and server agree on a connection
// we know nothing of.
bool answers_ignored_syn(const TcpTrack& track, const TcpSegment& segment, Direction direction) {
    return segment.kind() == TcpKind::syn_ack && track.last_kind == TcpKind::syn &&
           track.last_direction != direction && segment.ack == track.last_end;
}

void follow_ignored_syn(TcpTrack& track, Direction direction) {
    const size_t client = index(track.last_direction);
    const size_t server = index(direction);
    track.last_flags.clear(kTcpChallengeAck);
    TcpWindow& window = track.windows[client];
    window.end = track.last_end;
    window.granted = 0;
    window.max_window = std::max<uint32_t>(track.last_window, 1);
    track.scale[client] = track.last_scale;
    track.flags[client] = track.last_flags;
    track.windows[server] = {.granted = track.last_end};
    track.scale[server] = 0;
    track.flags[server].keep_only(kTcpLiberal);
}

void remember_ignored(TcpTrack& track, const TcpSegment& segment, Direction direction) {
    const TcpKind kind = segment.kind();
    track.last_kind = kind;
    track.last_direction = direction;
    track.last_sequence = segment.sequence;
    track.last_end = segment.end;
    track.last_window = segment.window;
    if (kind == TcpKind::syn && direction == Direction::original) {
        track.last_flags = {};
        track.last_scale = 0;
        read_offers(segment.options, track.last_flags, track.last_scale);
        // An endpoint answers it with an ACK of what it expects (RFC 5961 4.2), which must not be taken for
        // the ACK of the last FIN.
        if (track.state == TcpState::last_ack)
            track.last_flags.set(kTcpChallengeAck);
    }
    if (kind == TcpKind::ack && direction == Direction::reply && track.state == TcpState::syn_sent)
        track.last_ack = segment.ack;  // perhaps such an ACK: its RST will carry this number
}

bool is_challenge_ack(const TcpTrack& track, TcpKind kind, Direction direction) {
    return track.state == TcpState::last_ack && kind == TcpKind::ack && track.last_direction != direction &&
           track.last_kind == TcpKind::syn && track.last_flags.has(kTcpChallengeAck);
}

enum class RstVerdict : uint8_t {
    check_window,    // closes the connection if it is in the window
    keep_state,      // the same, but the connection stays open: the receiver may challenge it (RFC 5961 3.2)
    close_unjudged,  // closes it without a look at the window
    invalid,
};

// Whether the RST answers a segment that was let through unjudged: then its sequence number may be any.
bool answers_unjudged(const TcpTrack& track, const TcpSegment& segment, const FlowFacts& flow) {
    const bool acks_it = segment.ack == track.last_end;
    switch (track.last_kind) {
        case TcpKind::syn:
            return acks_it && flow.status.has(kSeenReply) && track.last_direction != flow.direction;
        case TcpKind::ack: {
            const bool challenged =
                track.state == TcpState::syn_sent && track.last_direction == Direction::reply;
            return (acks_it && !flow.status.has(kAssured)) ||
                   (challenged && segment.sequence == track.last_ack);
        }
        default:
            return false;
    }
}

RstVerdict judge_rst(const TcpTrack& track, const TcpSegment& segment, const FlowFacts& flow,
                     const Settings& settings) {
    // The ports may be in use again already: all that is known here may be out of date.
    if (is_closing(track.state))
        return RstVerdict::close_unjudged;

    // What the receiver expects next is the last it has acknowledged, unless a SYN since then changed that.
    const size_t receiver = index(opposite(flow.direction));
    if (!track.flags[receiver].has(kTcpMaxAckKnown) || track.last_kind == TcpKind::syn)
        return answers_unjudged(track, segment, flow) ? RstVerdict::close_unjudged : RstVerdict::check_window;
    const uint32_t expected = track.windows[receiver].max_ack;
    const bool open = track.state == TcpState::established && flow.status.has(kAssured);
    if (!open && segment.sequence == 0)
        return RstVerdict::check_window;  // the answer to a SYN
    if (before(segment.sequence, expected) && !settings.tcp_ignore_invalid_rst)
        return RstVerdict::invalid;
    const bool follows_data = track.last_kind == TcpKind::ack && track.last_direction == flow.direction &&
                              segment.sequence == track.last_end;
    return !open || segment.sequence == expected || follows_data ? RstVerdict::check_window
                                                                 : RstVerdict::keep_state;
}

// A FIN or RST outside the window, then one of the other end: the connection is probably dead and only we
// are out of step, so that it need not wait its whole time.
TrackResult refuse_outside(TcpTrack& track, TcpKind kind, InvalidReason reason, const FlowFacts& flow,
                           const Settings& settings) {
    TrackResult result = TrackResult::invalid(reason);
    const auto ends = [](TcpKind each) { return each == TcpKind::fin || each == TcpKind::rst; };
    if (!ends(kind) || !flow.status.has(kAssured) || flow.status.has(kFixedTimeout))
        return result;
    if (track.last_direction == flow.direction || !ends(track.last_kind)) {
        track.last_kind = kind;
        track.last_direction = flow.direction;
        return result;
    }
    const Duration shorter = settings.timeouts[Timeout::tcp_unacknowledged];
    if (flow.remaining >= seconds(120) && flow.remaining > shorter) {
        result.refresh = true;
        result.timeout = shorter;
    }
    return result;
}

Duration choose_timeout(const TcpTrack& track, TcpKind kind, const FlowFacts& flow,
                        const Settings& settings) {
    const Timeouts& timeouts = settings.timeouts;
    const Duration usual = timeout_of(track.state, flow, timeouts);
    const Duration repeating = std::min(usual, timeouts[Timeout::tcp_max_retrans]);
    if (track.retransmissions >= settings.tcp_max_retrans && repeating < usual)
        return repeating;
    if (kind == TcpKind::rst)
        return timeout_of(TcpState::close, flow, timeouts);
    if ((track.flags[0] | track.flags[1]).has(kTcpUnacknowledged) &&
        usual > timeouts[Timeout::tcp_unacknowledged])
        return timeouts[Timeout::tcp_unacknowledged];
    return track.last_window == 0 ? repeating : usual;
}

// The segment belongs to the connection and brings it into `next`.
TrackResult advance(TcpTrack& track, TcpKind kind, TcpState from, TcpState next, const FlowFacts& flow,
                    const Settings& settings) {
    track.last_kind = kind;
    track.last_direction = flow.direction;
    track.state = next;
    if (from != next && next == TcpState::fin_wait)
        track.flags[index(flow.direction)].set(kTcpCloseInit);

    TrackResult result = TrackResult::live(choose_timeout(track, kind, flow, settings));
    result.state_changed = from != next;
    if (!flow.status.has(kSeenReply)) {
        if (kind == TcpKind::rst) {  // nobody is there
            result.refresh = false;
            result.ended = true;
        } else if (kind == TcpKind::syn && from == TcpState::syn_sent) {
            result.refresh = false;  // who only repeats a SYN must not hold the flow forever
        } else if (next == TcpState::established) {
            result.timeout = std::min(result.timeout, settings.timeouts[Timeout::tcp_unacknowledged]);
        }
    } else if (!flow.status.has(kAssured) && next == TcpState::established &&
               (from == TcpState::syn_recv || from == TcpState::established)) {
        result.assured = true;
    }
    if (!result.refresh)
        result.timeout = {};
    return result;
}

}  // namespace

std::string_view to_string(TcpState state) {
    static constexpr std::array<std::string_view, kTcpStates> kNames{
        "NONE",       "SYN_SENT", "SYN_RECV",  "ESTABLISHED", "FIN_WAIT",
        "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",       "SYN_SENT2"};
    return kNames[static_cast<size_t>(state)];
}

TrackResult track_tcp(TcpTrack& track, const TcpSegment& segment, const FlowFacts& flow,
                      const Settings& settings) {
    if (!flow.status.has(kConfirmed)) {
        const InvalidReason reason = begin(track, segment, settings);
        if (reason != InvalidReason::none)
            return TrackResult::invalid(reason);
    }
    const TcpKind kind = segment.kind();
    const Direction direction = flow.direction;
    TcpState from = track.state;
    Next next = kTransitions[index(direction)][static_cast<size_t>(from)][static_cast<size_t>(kind)];

    if (next == Next::syn_sent && (from == TcpState::time_wait || from == TcpState::close)) {
        if (may_reopen(track, direction))
            return TrackResult::restart();
        next = Next::ignore;
    }
    switch (next) {
        case Next::invalid:
            return TrackResult::invalid(InvalidReason::tcp_state);
        case Next::ignore:
            if (!answers_ignored_syn(track, segment, direction)) {
                remember_ignored(track, segment, direction);
                return TrackResult::keep();
            }
            follow_ignored_syn(track, direction);
            from = TcpState::syn_sent;
            next = Next::syn_recv;
            break;
        case Next::time_wait:
            if (is_challenge_ack(track, kind, direction)) {
                track.last_flags.clear(kTcpChallengeAck);
                return TrackResult::keep();
            }
            break;
        case Next::syn_sent2:
            track.last_flags.set(kTcpSimultaneous);
            break;
        case Next::syn_recv:
            // Both ends send a SYN-ACK in a simultaneous open; the ACK of the second may not come.
            if (direction == Direction::reply && kind == TcpKind::ack &&
                track.last_flags.has(kTcpSimultaneous))
                next = Next::established;
            break;
        case Next::close:
            if (kind != TcpKind::rst)
                break;
            switch (judge_rst(track, segment, flow, settings)) {
                case RstVerdict::invalid:
                    return TrackResult::invalid(InvalidReason::tcp_rst);
                case RstVerdict::close_unjudged:
                    return advance(track, kind, from, TcpState::close, flow, settings);
                case RstVerdict::keep_state:
                    next = static_cast<Next>(from);
                    break;
                case RstVerdict::check_window:
                    break;
            }
            break;
        default:
            break;
    }

    const bool selective = track.flags[index(opposite(direction))].has(kTcpSackPermitted);
    const uint32_t highest = selective ? highest_ack(segment) : segment.ack;
    const WindowResult window = WindowCheck(track, segment, highest, direction, settings).judge();
    if (window.verdict == WindowVerdict::ignore)
        return TrackResult::keep();
    if (window.verdict == WindowVerdict::invalid)
        return refuse_outside(track, kind, window.reason, flow, settings);
    return advance(track, kind, from, static_cast<TcpState>(next), flow, settings);
}

std::optional<Timeout> repeat_tcp(TcpTrack& track, const TcpSegment& segment, const FlowFacts& flow,
                                  const Settings& settings) {
    constexpr Status kOpen = kConfirmed | kSeenReply | kAssured;
    if (segment.kind() != TcpKind::ack || !flow.status.has(kOpen) || track.state != TcpState::established ||
        !has_no_sack(segment.options))
        return std::nullopt;
    WindowCheck window(track, segment, segment.ack, flow.direction, settings);
    if (!window.fits())
        return std::nullopt;
    window.update();
    track.last_kind = TcpKind::ack;
    track.last_direction = flow.direction;
    return timeout_of_ack(track, settings);
}

}  // namespace sluice::conntrack
