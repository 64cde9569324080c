#include "conntrack/sctp_tracker.hh"

#include <algorithm>
#include <bitset>
#include <optional>

namespace sluice::conntrack {
namespace {

using Type = wire::SctpChunkType;
using State = SctpState;

constexpr auto NO = State::none;  // in the table: invalid
constexpr auto CL = State::closed;
constexpr auto CW = State::cookie_wait;
constexpr auto CE = State::cookie_echoed;
constexpr auto ES = State::established;
constexpr auto SS = State::shutdown_sent;
constexpr auto SR = State::shutdown_recd;
constexpr auto SA = State::shutdown_ack_sent;
constexpr auto HS = State::heartbeat_sent;

// One row a kind of chunk: what each state leads to.
struct Transitions {
    Type type;
    std::array<State, kSctpStates> original;
    std::array<State, kSctpStates> reply;
};

// From: none, closed, cookie_wait, cookie_echoed, established, shutdown_sent, shutdown_recd,
// shutdown_ack_sent, heartbeat_sent.
constexpr std::array<Transitions, 11> kTransitions{{
    {Type::init, {CL, CL, CW, CE, ES, CL, CL, SA, CW}, {NO, CL, CW, CE, ES, SS, SR, SA, NO}},
    {Type::init_ack, {CL, CL, CW, CE, ES, SS, SR, SA, CL}, {NO, CW, CW, CE, ES, SS, SR, SA, NO}},
    {Type::abort, {CL, CL, CL, CL, CL, CL, CL, CL, CL}, {NO, CL, CL, CL, CL, CL, CL, CL, NO}},
    {Type::shutdown, {CL, CL, CW, CE, SS, SS, SR, SA, CL}, {NO, CL, CW, CE, SR, SS, SR, SA, NO}},
    {Type::shutdown_ack, {SA, CL, CW, CE, ES, SA, SA, SA, SA}, {NO, CL, CW, CE, ES, SA, SA, SA, NO}},
    {Type::error, {CL, CL, CW, CE, ES, SS, SR, SA, CL}, {NO, CL, CW, CL, ES, SS, SR, SA, NO}},
    {Type::cookie_echo, {CL, CL, CE, CE, ES, SS, SR, SA, CL}, {NO, CL, CE, CE, ES, SS, SR, SA, NO}},
    {Type::cookie_ack, {CL, CL, CW, ES, ES, SS, SR, SA, CL}, {NO, CL, CW, ES, ES, SS, SR, SA, NO}},
    {Type::shutdown_complete, {CL, CL, CW, CE, ES, SS, SR, CL, CL}, {NO, CL, CW, CE, ES, SS, SR, CL, NO}},
    {Type::heartbeat, {HS, CL, CW, CE, ES, SS, SR, SA, HS}, {NO, CL, CW, CE, ES, SS, SR, SA, HS}},
    {Type::heartbeat_ack, {CL, CL, CW, CE, ES, SS, SR, SA, HS}, {NO, CL, CW, CE, ES, SS, SR, SA, ES}},
}};

constexpr size_t index(Direction direction) {
    return static_cast<size_t>(direction);
}

// Where a chunk leads; none: it is invalid. Chunks that are not in the table, such as DATA, change nothing.
State next_state(Direction direction, State from, Type type) {
    for (const Transitions& each : kTransitions) {
        if (each.type == type)
            return (direction == Direction::original ? each.original : each.reply)[static_cast<size_t>(from)];
    }
    return from;
}

Duration timeout_of(State state, const Timeouts& timeouts) {
    static_assert(static_cast<size_t>(Timeout::sctp_heartbeat_sent) -
                      static_cast<size_t>(Timeout::sctp_closed) ==
                  static_cast<size_t>(State::heartbeat_sent) - static_cast<size_t>(State::closed));
    const size_t place = static_cast<size_t>(Timeout::sctp_closed) + static_cast<size_t>(state) -
                         static_cast<size_t>(State::closed);
    return timeouts[static_cast<Timeout>(place)];
}

// Which kinds of chunk a packet has.
class ChunkSet {
  public:
    // Nothing if the packet has no chunks, one of length zero, or some that must not share a packet (RFC 9260
    // 6.10) or come first (5.1).
    static std::optional<ChunkSet> of(wire::SctpView packet) {
        ChunkSet result;
        size_t count = 0;
        bool alone = false;
        auto chunks = packet.chunks();
        while (const auto chunk = chunks.next()) {
            const Type type = chunk->type;
            alone |= type == Type::init || type == Type::init_ack || type == Type::shutdown_complete;
            const bool first = type == Type::cookie_echo || type == Type::cookie_ack;
            if (chunk->length == 0 || (count != 0 && (alone || first)))
                return std::nullopt;
            result.types_.set(static_cast<size_t>(type));
            ++count;
        }
        return count == 0 ? std::nullopt : std::optional(result);
    }
    [[nodiscard]] bool has(Type type) const { return types_.test(static_cast<size_t>(type)); }

  private:
    std::bitset<256> types_;
};

// Whose tag is judged chunk by chunk (RFC 9260 8.5.1), not for the packet.
constexpr std::array kTagExceptions{Type::init,         Type::shutdown_complete, Type::cookie_echo,
                                    Type::abort,        Type::shutdown_ack,      Type::heartbeat,
                                    Type::heartbeat_ack};

InvalidReason begin(SctpTrack& track, wire::SctpView packet) {
    track = {};
    auto chunks = packet.chunks();
    while (const auto chunk = chunks.next()) {
        if (next_state(Direction::original, State::none, chunk->type) == State::none)
            return InvalidReason::sctp_not_first;
        const Be32 tag = packet.verification_tag();
        if (chunk->type == Type::init) {
            if (tag != Be32{})
                return InvalidReason::sctp_tag;
            const auto initiate = chunk->initiate_tag();
            if (!initiate)
                return InvalidReason::sctp_chunks;
            track.tags[index(Direction::reply)] = *initiate;
            track.init[index(Direction::original)] = true;
        } else if (chunk->type == Type::heartbeat) {
            track.tags[index(Direction::original)] = tag;
        } else if (chunk->type == Type::shutdown_ack) {
            track.tags[index(Direction::reply)] = tag;  // RFC 9260 8.4: its answer reflects it
        }
    }
    return InvalidReason::none;
}

// A packet's walk through the states of its association.
class ChunkWalk {
  public:
    ChunkWalk(SctpTrack& track, wire::SctpView packet, const ChunkSet& set, const FlowFacts& flow)
        : track_(track),
          set_(set),
          flow_(flow),
          tag_(packet.verification_tag()),
          own_(track.tags[index(flow.direction)]),
          peer_(track.tags[index(opposite(flow.direction))]) {}

    InvalidReason take(const wire::SctpChunk& chunk) {
        switch (judge_tag(chunk)) {
            case Tag::wrong:
                return InvalidReason::sctp_tag;
            case Tag::unsure:
                return InvalidReason::none;
            case Tag::right:
                break;
        }
        const State from = track_.state;
        next_ = next_state(flow_.direction, from, chunk.type);
        if (next_ == State::none)
            return InvalidReason::sctp_state;
        const InvalidReason reason = note_tags(chunk, from);
        if (reason != InvalidReason::none)
            return reason;
        track_.state = next_;
        changed_ |= from != next_;
        assured_ |= from != next_ && next_ == State::established;
        return InvalidReason::none;
    }
    [[nodiscard]] bool stale() const { return stale_; }  // the flow must not live longer for this packet
    [[nodiscard]] bool changed() const { return changed_; }
    [[nodiscard]] bool assured() const { return assured_ && !flow_.status.has(kAssured); }
    [[nodiscard]] State next() const { return next_; }

  private:
    enum class Tag : uint8_t { right, wrong, unsure };

    // RFC 9260 8.5.1
    Tag judge_tag(const wire::SctpChunk& chunk) {
        switch (chunk.type) {
            case Type::init:
                return tag_ == Be32{} ? Tag::right : Tag::wrong;
            case Type::abort:
            case Type::shutdown_complete:
                return tag_ == ((chunk.flags & wire::kSctpReflectedTag) != 0 ? peer_ : own_) ? Tag::right
                                                                                             : Tag::wrong;
            case Type::cookie_echo:
                return tag_ == own_ ? Tag::right : Tag::wrong;
            case Type::heartbeat:
                return judge_heartbeat();
            case Type::heartbeat_ack:
                return judge_heartbeat_ack();
            case Type::cookie_ack:
                track_.init = {};
                return Tag::right;
            default:
                return Tag::right;
        }
    }
    // On another path of an association the tags are learnt from heartbeats.
    Tag judge_heartbeat() {
        if (own_ == Be32{}) {
            own_ = tag_;
        } else if (tag_ == own_) {
            track_.heartbeat_failed = false;
        } else {
            if (set_.has(Type::data) || stale_)
                return Tag::wrong;
            track_.heartbeat_failed = true;
            track_.last_direction = flow_.direction;
            stale_ = true;
            return Tag::unsure;  // the association may have begun anew: its answer will tell
        }
        return Tag::right;
    }
    Tag judge_heartbeat_ack() {
        if (own_ == Be32{}) {
            own_ = tag_;
        } else if (tag_ == own_) {
            track_.heartbeat_failed = false;
        } else {
            if (set_.has(Type::data) || stale_ || !track_.heartbeat_failed ||
                track_.last_direction == flow_.direction)
                return Tag::wrong;
            track_.heartbeat_failed = false;
            own_ = tag_;
            peer_ = {};
        }
        return Tag::right;
    }

    InvalidReason note_tags(const wire::SctpChunk& chunk, State from) {
        if (chunk.type != Type::init && chunk.type != Type::init_ack)
            return InvalidReason::none;
        const auto initiate = chunk.initiate_tag();
        if (!initiate)
            return InvalidReason::sctp_chunks;
        bool& own_init = track_.init[index(flow_.direction)];
        bool& peer_init = track_.init[index(opposite(flow_.direction))];
        if (chunk.type == Type::init) {
            if (peer_ != *initiate) {  // a repeated one begins nothing
                if (own_init && peer_init)
                    peer_init = false;
                own_init = true;
            }
            // Who only repeats an INIT must not hold the flow forever.
            stale_ |= from == State::closed && next_ == State::closed && flow_.status.has(kConfirmed);
        } else {
            // When both ends have sent an INIT (RFC 9260 5.2.1), an INIT ACK must not replace the tag.
            const bool known = !peer_init && peer_ != Be32{};
            const bool collision = own_init && peer_init;
            if ((known || collision) && peer_ != *initiate)
                return InvalidReason::sctp_tag;
        }
        peer_ = *initiate;
        return InvalidReason::none;
    }

    SctpTrack& track_;
    const ChunkSet& set_;
    const FlowFacts& flow_;
    Be32 tag_;
    Be32& own_;   // that packets of this direction carry
    Be32& peer_;  // that those of the other carry
    State next_ = State::closed;
    bool stale_ = false;
    bool changed_ = false;
    bool assured_ = false;
};

}  // namespace

std::string_view to_string(SctpState state) {
    static constexpr std::array<std::string_view, kSctpStates> kNames{
        "NONE",          "CLOSED",        "COOKIE_WAIT",       "COOKIE_ECHOED", "ESTABLISHED",
        "SHUTDOWN_SENT", "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT"};
    return kNames[static_cast<size_t>(state)];
}

TrackResult track_sctp(SctpTrack& track, wire::SctpView packet, const FlowFacts& flow,
                       const Settings& settings) {
    const auto set = ChunkSet::of(packet);
    if (!set)
        return TrackResult::invalid(InvalidReason::sctp_chunks);
    if (!flow.status.has(kConfirmed)) {
        // RFC 9260 8.4: no answer to these may begin anything.
        if (set->has(Type::abort) || set->has(Type::shutdown_complete) || set->has(Type::cookie_ack))
            return TrackResult::invalid(InvalidReason::sctp_not_first);
        const InvalidReason reason = begin(track, packet);
        if (reason != InvalidReason::none)
            return TrackResult::invalid(reason);
    }
    const bool excepted = std::ranges::any_of(kTagExceptions, [&](Type type) { return set->has(type); });
    if (!excepted && packet.verification_tag() != track.tags[index(flow.direction)])
        return TrackResult::invalid(InvalidReason::sctp_tag);

    ChunkWalk walk(track, packet, *set, flow);
    auto chunks = packet.chunks();
    while (const auto chunk = chunks.next()) {
        const InvalidReason reason = walk.take(*chunk);
        if (reason != InvalidReason::none) {
            // The chunks in front of it hold.
            TrackResult result = TrackResult::invalid(reason);
            result.assured = walk.assured();
            return result;
        }
    }
    TrackResult result =
        walk.stale() ? TrackResult::keep() : TrackResult::live(timeout_of(walk.next(), settings.timeouts));
    result.state_changed = walk.changed();
    result.assured = walk.assured();
    return result;
}

}  // namespace sluice::conntrack
