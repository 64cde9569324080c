#include "conntrack/tracker.hh"

#include <algorithm>

#include "conntrack/generic_tracker.hh"
#include "conntrack/gre_tracker.hh"
#include "conntrack/icmp_tracker.hh"
#include "conntrack/sctp_tracker.hh"
#include "conntrack/tcp_tracker.hh"
#include "conntrack/tftp_helper.hh"
#include "conntrack/transport_check.hh"
#include "conntrack/udp_tracker.hh"
#include "wire/sctp.hh"
#include "wire/tcp.hh"

namespace sluice::conntrack {
namespace {

using wire::IpProtocol;

constexpr size_t kEvents = 16384;
// Control connections whose payload is read.
constexpr size_t kMostHelped = 16384;
// As many buckets as Linux looks through for a flow to evict.
constexpr size_t kEvictionRange = 8;
constexpr std::array<size_t, 3> kPressurePercent{70, 85, 95};

bool is_icmp(const wire::IpPacket& packet) {
    return packet.protocol() == IpProtocol::icmp || packet.protocol() == IpProtocol::icmpv6;
}

InvalidReason why_no_tuple(const wire::IpPacket& packet) {
    if (packet.is_later_fragment() || packet.has_broken_chain() || packet.protocol() == IpProtocol::none)
        return InvalidReason::no_protocol;
    return packet.protocol() == IpProtocol::gre ? InvalidReason::gre_protocol : InvalidReason::truncated;
}

// Whether another packet's flow with the same tuples may take this one over.
bool may_clash(IpProtocol protocol) {
    return protocol == IpProtocol::udp || protocol == IpProtocol::udplite || protocol == IpProtocol::icmp ||
           protocol == IpProtocol::icmpv6 || protocol == IpProtocol::gre;
}

// Whether the conversation is over but for its last packets, so that an assured flow may go early too.
bool is_closing(const Flow& flow) {
    switch (flow.protocol()) {
        case IpProtocol::tcp:
            return is_closing(flow.track<TcpTrack>().state);
        case IpProtocol::sctp:
            return is_closing(flow.track<SctpTrack>().state);
        default:
            return false;
    }
}

}  // namespace

Tracker::Tracker(const Limits& limits, const Settings& settings, Random& random, Counters& counters)
    : hash_{{random.next(), random.next(), random.next(), random.next()}},
      counters_(counters),
      table_(limits.max, hash_),
      source_limit_(limits.max, hash_),
      expectations_(hash_, counters),
      events_(kEvents, counters) {
    apply(limits, settings);
}

void Tracker::apply(const Limits& limits, const Settings& settings) {
    limits_ = limits;
    limits_.max = std::min(limits.max, table_.capacity());
    limits_.reserve = std::min(limits.reserve, limits_.max);
    settings_ = settings;
    for (size_t level = 0; level < pressure_at_.size(); ++level)
        pressure_at_[level] = limits_.pressure ? limits_.max * kPressurePercent[level] / 100 : SIZE_MAX;
    if (std::ranges::any_of(limits_.per_source, [](uint32_t most) { return most != 0; }))
        source_limit_.prepare();
    if (settings_.has(Helper::ftp)) {
        const size_t most = std::min(kMostHelped, table_.capacity());
        ftp_lines_.prepare(most);
        sequences_.prepare(most);
    }
    count_flows();
}

void Tracker::prefetch(std::span<const wire::IpPacket> burst) const {
    std::array<Tuple, FlowTable::kBurst> tuples;
    while (!burst.empty()) {
        const size_t length = std::min(burst.size(), tuples.size());
        size_t count = 0;
        for (const auto& packet : burst.first(length))
            if (const auto tuple = tuple_of(packet))
                tuples[count++] = *tuple;
        table_.prefetch(std::span(tuples).first(count));
        burst = burst.subspan(length);
    }
}

unsigned Tracker::pressure() const {
    const size_t flows = table_.size();
    return static_cast<unsigned>(
        std::ranges::count_if(pressure_at_, [flows](size_t threshold) { return flows > threshold; }));
}

void Tracker::count_flows() {
    counters_.flows.set(table_.size());
    counters_.max.set(limits_.max);
    counters_.pressure.set(pressure());
}

Tracked Tracker::invalid(InvalidReason reason) {
    counters_.add(Count::invalid);
    counters_.add(reason);
    return {.state = CtState::invalid, .reason = reason};
}

Tracked Tracker::refused(Refusal refusal) {
    counters_.add(Count::drop);
    return {.state = CtState::invalid, .refusal = refusal};
}

Found Tracker::look_up(const Tuple& tuple, Instant now) {
    const auto found = table_.find(tuple);
    if (found && found.flow->is_expired(ticks_at(now))) [[unlikely]] {
        end(*found.flow, Ending::expired, now);
        return {};
    }
    return found;
}

const Flow* Tracker::peek(const wire::IpPacket& packet, Instant now) const {
    const auto tuple = tuple_of(packet);
    if (!tuple)
        return nullptr;
    const auto found = table_.find(*tuple);
    return found && !found.flow->is_expired(ticks_at(now)) ? found.flow : nullptr;
}

// An error belongs to the flow of the packet it quotes, and travels against it.
Tracked Tracker::track_error(const wire::IpPacket& packet, Instant now) {
    const auto failed = [this](InvalidReason reason) {
        counters_.add(Count::error);
        counters_.add(reason);
        return Tracked{.state = CtState::invalid, .reason = reason};
    };
    const auto quoted = find_quotation(packet, settings_);
    if (!quoted)
        return failed(quoted.error());
    const auto tuple = tuple_of(quoted->source, quoted->destination, quoted->protocol, quoted->upper);
    const auto wanted = tuple ? inverted(*tuple) : std::nullopt;
    if (!wanted)
        return failed(InvalidReason::icmp_quotation);
    const auto found = look_up(*wanted, now);
    if (!found)
        return failed(InvalidReason::icmp_no_flow);
    if (found.flow->tuple(found.direction).destination() != packet.destination())
        return failed(InvalidReason::icmp_destination);
    return {.flow = found.flow, .state = CtState::related, .direction = found.direction};
}

Tracked Tracker::track(const wire::IpPacket& packet, InterfaceId in, bool own_traffic, Instant now) {
    const auto tuple = tuple_of(packet);
    if (is_icmp(packet) && !packet.is_later_fragment() && !packet.has_broken_chain()) {
        const auto reason = check_transport(packet, settings_.checksum && !own_traffic);
        if (reason != InvalidReason::none) {
            counters_.add(Count::error);
            counters_.add(reason);
            return {.state = CtState::invalid, .reason = reason};
        }
        switch (classify_icmp(packet)) {
            case IcmpClass::query:
                break;
            case IcmpClass::error:
                return track_error(packet, now);
            case IcmpClass::untracked:
                return notrack();
            case IcmpClass::invalid:
                return invalid(InvalidReason::icmp_type);
        }
    }
    if (!tuple)
        return invalid(why_no_tuple(packet));

    // A flow that is over is replaced by the one that begins, which cannot be over at once.
    for (bool again = true;;) {
        Tracked tracked;
        const auto found = look_up(*tuple, now);
        if (found) {
            counters_.add(Count::found);
            tracked.flow = found.flow;
            tracked.direction = found.direction;
            tracked.deadline = found.flow->deadline();
        } else if (begin(*tuple, in, own_traffic, now, tracked) == nullptr) {
            return tracked;
        }
        Flow& flow = *tracked.flow;
        tracked.state = state_of(flow, tracked.direction);
        const auto result = examine(flow, packet, tracked.direction, own_traffic, now);
        if (result.verdict == TrackVerdict::accept) [[likely]] {
            accept(flow, packet, tracked.direction, result, now);
            return tracked;
        }
        if (flow.is_confirmed())
            refresh(flow, result, now);
        else
            release(tracked);
        if (result.verdict == TrackVerdict::restart && again) {
            counters_.add(Count::search_restart);
            if (found)
                end(flow, Ending::deleted, now);
            again = false;
            continue;
        }
        return invalid(result.reason);
    }
}

TrackResult Tracker::examine(Flow& flow, const wire::IpPacket& packet, Direction direction, bool own_traffic,
                             Instant now) {
    if (!is_icmp(packet)) {
        const auto bad = check_transport(packet, settings_.checksum && !own_traffic);
        if (bad != InvalidReason::none)
            return TrackResult::invalid(bad);
    }
    return judge(flow, packet, direction, now);
}

bool Tracker::make_room(const Tuple& first, bool own_traffic, Instant now) {
    const size_t most = own_traffic ? limits_.max : limits_.max - limits_.reserve;
    if (table_.size() < most) [[likely]]
        return true;
    if (limits_.when_full != WhenFull::early_drop)
        return false;
    const auto is_unassured = [](const Flow& flow) { return !flow.status.has(kAssured); };
    return evict_near(first, now, is_unassured) ||
           evict_near(first, now, [](const Flow& flow) { return is_closing(flow); });
}

// All such flows of the nearest bucket that holds one.
template <typename May>
bool Tracker::evict_near(const Tuple& tuple, Instant now, May&& may) {
    bool room = false;
    for (size_t distance = 0; distance < kEvictionRange && !room; ++distance)
        table_.visit_near(tuple, distance, [&](Flow& flow) {
            const bool expired = flow.is_expired(ticks_at(now));
            if (flow.is_dying() || (!expired && !may(flow)))
                return;
            end(flow, expired ? Ending::expired : Ending::evicted, now);
            room = true;
        });
    return room;
}

Flow* Tracker::begin(const Tuple& first, InterfaceId in, bool own_traffic, Instant now, Tracked& tracked) {
    const auto reply = inverted(first);
    if (!reply) {
        tracked = invalid(InvalidReason::icmp_no_query);
        return nullptr;
    }
    const uint32_t most = in == kNoInterface ? 0 : limits_.per_source[index(in)];
    if (most != 0 && !source_limit_.take(first, in, most)) {
        counters_.add(Count::source_limit);
        tracked = refused(Refusal::source_limit);
        return nullptr;
    }
    Flow* flow = make_room(first, own_traffic, now) ? table_.create(first, *reply, in) : nullptr;
    if (flow == nullptr) {
        if (most != 0)
            source_limit_.give_back(first, in);
        counters_.add(Count::table_full);
        tracked = refused(Refusal::table_full);
        return nullptr;
    }
    flow->counted_by_source_ = most != 0;
    if (table_.size() > limits_.max - limits_.reserve)
        counters_.add(Count::reserve_used);
    if (const auto expected = expectations_.take(first, ticks_at(now))) {
        counters_.add(Count::expect_new);
        flow->status.set(kExpected);
        flow->master_ = expected->master_id;
        flow->mark = expected->mark;
        flow->helper_ = expected->helper;
        met_ = *expected;
        met_by_ = flow->id();
    } else if (first.protocol() == IpProtocol::tcp && first.dport == kFtpPort && settings_.has(Helper::ftp)) {
        assign_helper(*flow, Helper::ftp);
    } else if (first.protocol() == IpProtocol::udp && first.dport == kTftpPort &&
               settings_.has(Helper::tftp)) {
        assign_helper(*flow, Helper::tftp);
    }
    tracked.flow = flow;
    tracked.direction = Direction::original;
    return flow;
}

void Tracker::assign_helper(Flow& flow, Helper helper) {
    if (helper == Helper::ftp && ftp_lines_.open(flow.id()) == nullptr) {
        counters_.add(Count::helper_unassigned);
        return;
    }
    flow.helper_ = helper;
}

TrackResult Tracker::judge(Flow& flow, const wire::IpPacket& packet, Direction direction, Instant now) {
    FlowFacts facts{.direction = direction, .status = flow.status};
    const bool first = !flow.is_confirmed();
    if (!first)
        facts.remaining =
            Duration(int64_t{static_cast<int32_t>(flow.deadline() - ticks_at(now))} << kTickShift);
    switch (packet.protocol()) {
        case IpProtocol::tcp: {
            auto& track = first ? flow.begin_track<TcpTrack>() : flow.track<TcpTrack>();
            auto segment = TcpSegment::of(wire::TcpView::unchecked(packet.upper()));
            if (flow.status.has(kSeqAdjust)) [[unlikely]] {
                if (const auto* offsets = sequences_.find(flow.id()))
                    segment.ack_growth =
                        static_cast<uint32_t>(offsets->of(opposite(direction)).at_receiver(segment.ack));
            }
            return track_tcp(track, segment, facts, settings_);
        }
        case IpProtocol::udp: {
            auto& track = first ? flow.begin_track<UdpTrack>() : flow.track<UdpTrack>();
            return track_udp(track, facts, settings_, now);
        }
        case IpProtocol::udplite:
            return track_udplite(facts, settings_);
        case IpProtocol::icmp:
        case IpProtocol::icmpv6:
            return track_icmp(packet.family(), flow.tuple(Direction::original).icmp_type(), facts, settings_);
        case IpProtocol::sctp: {
            auto& track = first ? flow.begin_track<SctpTrack>() : flow.track<SctpTrack>();
            return track_sctp(track, wire::SctpView::unchecked(packet.upper()), facts, settings_);
        }
        case IpProtocol::gre:
            return track_gre(facts, settings_);
        default:
            return track_generic(settings_);
    }
}

Duration Tracker::under_pressure(const Flow& flow, Duration timeout) {
    const unsigned level = pressure();
    if (level == 0 || flow.status.has(kAssured)) [[likely]]
        return timeout;
    counters_.add(Count::timeout_shortened);
    return timeout >= std::chrono::seconds(8) ? Duration(timeout.count() >> level)
                                              : std::min(timeout, Duration(std::chrono::seconds(1)));
}

// Packets that are invalid do so too: they may shorten a life.
void Tracker::refresh(Flow& flow, const TrackResult& result, Instant now) {
    if (result.assured)
        flow.status.set(kAssured);
    if (!result.refresh || flow.status.has(kFixedTimeout))
        return;
    const auto timeout = std::min(under_pressure(flow, result.timeout), kMaxTimeout);
    table_.set_deadline(flow, flow.is_confirmed() ? ticks_from(now + timeout) : ticks_of(timeout));
}

void Tracker::accept(Flow& flow, const wire::IpPacket& packet, Direction direction, const TrackResult& result,
                     Instant now) {
    bool changed = result.state_changed || (result.assured && !flow.status.has(kAssured));
    refresh(flow, result, now);
    if (result.refresh || result.ended)
        flow.counters(direction).add(1, packet.length());
    if (result.ended) {
        if (flow.is_confirmed())
            end(flow, Ending::deleted, now);
        changed = false;
    }
    if (direction == Direction::reply && !flow.status.has(kSeenReply)) {
        flow.status.set(kSeenReply);
        // What was decided about packets of a new flow is not what is decided now.
        flow.decision(Direction::original) = {};
        changed = changed || !result.ended;
    }
    if (changed && flow.is_confirmed())
        events_.push(EventKind::update, flow, ticks_at(now));
}

void Tracker::close(const Tracked& refused, Instant now) {
    Flow* const flow = refused.flow;
    if (flow == nullptr || !flow->is_confirmed() || flow->is_dying() || flow->protocol() != IpProtocol::tcp)
        return;
    auto& state = flow->track<TcpTrack>().state;
    if (state == TcpState::close)
        return;
    state = TcpState::close;
    refresh(*flow, {.refresh = true, .timeout = settings_.timeouts[Timeout::tcp_close]}, now);
    events_.push(EventKind::update, *flow, ticks_at(now));
}

bool Tracker::help(Tracked& tracked, const wire::IpPacket& packet, Instant now,
                   std::optional<Announcement>& announcement) {
    if (tracked.flow == nullptr || tracked.flow->helper() == Helper::none) [[likely]]
        return true;
    const bool error_back = tracked.state == CtState::related && tracked.direction == Direction::reply;
    if (tracked.refusal != Refusal::none || error_back || read(tracked, packet, now, announcement))
        return true;
    counters_.add(Count::expect_failed);
    counters_.add(Count::drop);
    release(tracked);
    tracked.refusal = Refusal::protocol;
    return false;
}

bool Tracker::confirm(Tracked& tracked, const wire::IpPacket& packet, Instant now) {
    if (tracked.refusal != Refusal::none)
        return false;
    if (tracked.flow == nullptr)
        return true;
    Flow& flow = *tracked.flow;
    // What the box sends about the first packet of a flow goes before it and does not begin it.
    if (flow.is_confirmed() || tracked.direction == Direction::reply)
        return true;
    Found other;
    // The present tick has begun already; no flow ends before its time.
    switch (table_.insert(flow, ticks_from(now), other)) {
        case FlowTable::Insert::done:
            counters_.add(Count::insert);
            events_.push(EventKind::new_, flow, ticks_at(now));
            return true;
        case FlowTable::Insert::clash:
            if (other.flow->is_expired(ticks_at(now))) {
                end(*other.flow, Ending::expired, now);
                return confirm(tracked, packet, now);
            }
            if (resolve_clash(tracked, other))
                return true;
            return refuse_insert(tracked, Count::insert_failed);
        case FlowTable::Insert::no_room:
            break;
    }
    return refuse_insert(tracked, Count::chaintoolong);
}

// A flow that cannot be confirmed, and why.
bool Tracker::refuse_insert(Tracked& tracked, Count why) {
    counters_.add(why);
    counters_.add(Count::drop);
    release(tracked);
    tracked.refusal = Refusal::insert_failed;
    return false;
}

bool Tracker::resolve_clash(Tracked& tracked, const Found& other) {
    Flow& loser = *tracked.flow;
    Flow& winner = *other.flow;
    if (!may_clash(loser.protocol()) || other.direction != Direction::original ||
        winner.tuple(Direction::original) != loser.tuple(Direction::original) ||
        winner.tuple(Direction::reply) != loser.tuple(Direction::reply))
        return false;
    for (const auto direction : {Direction::original, Direction::reply})
        winner.counters(direction).add(loser.counters(direction).packets(),
                                       loser.counters(direction).bytes());
    release(tracked);
    tracked.flow = &winner;
    counters_.add(Count::clash_resolve);
    return true;
}

void Tracker::release(Tracked& tracked) {
    Flow* flow = tracked.flow;
    tracked.flow = nullptr;
    if (flow == nullptr || flow->is_confirmed() || tracked.direction == Direction::reply)
        return;
    forget(*flow);
    table_.discard(*flow);
}

void Tracker::take_back(const Tracked& dropped) {
    Flow* const flow = dropped.flow;
    if (settings_.refresh_by_dropped || !dropped.deadline || flow == nullptr || !flow->is_confirmed() ||
        flow->is_dying())
        return;
    if (!is_due(flow->deadline(), *dropped.deadline))
        table_.set_deadline(*flow, *dropped.deadline);
}

Tracked Tracker::related_to(const Tracked& about) {
    if (about.flow == nullptr)
        return {};
    return {.flow = about.flow, .state = CtState::related, .direction = opposite(about.direction)};
}

// What is kept for a flow elsewhere.
void Tracker::forget(Flow& flow) {
    if (flow.helper_ != Helper::none) {
        expectations_.forget(flow.id());
        if (flow.helper_ == Helper::ftp)
            ftp_lines_.remove(flow.id());
    }
    if (flow.status.has(kSeqAdjust))
        sequences_.remove(flow.id());
    if (flow.counted_by_source_)
        source_limit_.give_back(flow.tuple(Direction::original), flow.in());
}

void Tracker::end(Flow& flow, Ending ending, Instant now) {
    switch (ending) {
        case Ending::expired:
            counters_.add(Count::expired);
            break;
        case Ending::evicted:
            counters_.add(Count::early_drop);
            break;
        case Ending::deleted:
            counters_.add(Count::deleted);
            break;
    }
    events_.push(EventKind::destroy, flow, ticks_at(now));
    if (end_watch_.ended != nullptr && flow.status.has_any(end_watch_.of))
        end_watch_.ended(end_watch_.context, flow, now);
    forget(flow);
    table_.erase(flow);
}

void Tracker::erase(Flow& flow, Instant now) {
    if (flow.is_confirmed() && !flow.is_dying())
        end(flow, Ending::deleted, now);
}

void Tracker::flush(Instant now) {
    FlowCursor cursor;
    table_.visit(cursor, SIZE_MAX, [&](Flow& flow) { end(flow, Ending::deleted, now); });
}

bool Tracker::expire(Instant now, size_t budget) {
    const Ticks tick = ticks_at(now);
    table_.reclaim();
    const bool all = table_.expire(
        tick, budget,
        [this](std::span<const Flow* const> flows) {
            if (end_watch_.ends_soon != nullptr)
                end_watch_.ends_soon(end_watch_.context, flows);
        },
        [&](Flow& flow) { end(flow, Ending::expired, now); });
    table_.reclaim();
    expectations_.expire(tick);
    count_flows();
    return all;
}

}  // namespace sluice::conntrack
