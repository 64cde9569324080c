// Connection tracking of one worker: which flow a packet belongs to and in what state that is. Does what
// nf_conntrack_in and nf_conntrack_confirm do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/interface_id.hh"
#include "base/random.hh"
#include "base/time.hh"
#include "conntrack/counters.hh"
#include "conntrack/event.hh"
#include "conntrack/expectation.hh"
#include "conntrack/flow.hh"
#include "conntrack/flow_table.hh"
#include "conntrack/ftp_helper.hh"
#include "conntrack/limits.hh"
#include "conntrack/sequence_offset.hh"
#include "conntrack/settings.hh"
#include "conntrack/source_limit.hh"
#include "conntrack/state.hh"
#include "conntrack/track_result.hh"
#include "conntrack/tracked.hh"
#include "wire/ip_packet.hh"

namespace sluice::conntrack {

// Who is told of ends: of confirmed flows that have any of these bits, however they end. The flow is still
// whole then, and in the table. Of flows whose time is up, ends_soon() sees some together before their ends:
// a chance to ask memory for what these need.
struct FlowEndWatch {
    void (*ended)(void* context, const Flow& flow, Instant now) = nullptr;
    void (*ends_soon)(const void* context, std::span<const Flow* const> flows) = nullptr;
    void* context = nullptr;
    Status of;
};

// What a packet of a translated flow announces, for NAT: to be expected by other numbers, and to be said so
// in the packet.
struct Announcement {
    Expectation expectation;
    FtpAnnouncement text = {};  // of FTP
    bool in_payload = false;
};

// What holds for all packets of a burst, worked out once.
struct Round {
    Instant now;
    Ticks tick;
    // Of a flow that has a packet now: of UDP, once it is a stream, or an open TCP connection with nothing or
    // something left to be acknowledged.
    Ticks stream_deadline;
    Ticks open_deadline;
    Ticks unacknowledged_deadline;
    // Whether a flow is neither over nor has a later deadline, in which case the wheel would have to be told.
    [[nodiscard]] bool may_become_stream(Ticks deadline) const {
        const Ticks first = tick + 1;
        return deadline - first <= stream_deadline - first;
    }
};

// One per worker; nothing in it is shared except the counters, which others may read.
class Tracker {
  public:
    // Allocates everything it will ever use. The seeds come from `random`; settings are copied.
    Tracker(const Limits& limits, const Settings& settings, Random& random, Counters& counters);

    // New settings between two bursts. Flows stay; the table cannot grow beyond what it was made with.
    void apply(const Limits& limits, const Settings& settings);

    // Asks memory for what track() will look at. Worth it for bursts once the table outgrows the caches.
    void prefetch(std::span<const wire::IpPacket> burst) const;

    // At prerouting (at output for the box's own packets, with kNoInterface and own_traffic): finds the
    // packet's flow or begins one that nobody finds until it is confirmed, and lets the protocol's tracker
    // judge. The packet is whole (reassembled) and its IP header checked.
    [[nodiscard]] Tracked track(const wire::IpPacket& packet, InterfaceId in, bool own_traffic, Instant now);

    // For bursts, whose flows are looked up together: the same for a whole TCP or UDP packet like most others
    // of a flow that exists, without IPv4 options or IPv6 extension headers. False if there is more to say
    // about it: nothing has changed then, and track() is to be asked. `length` is the IP packet's, at least
    // eight bytes more than its header. Leaves it to the caller to count `found`. Defined in
    // tracker_repeat.hh.
    template <Family family>
    [[nodiscard]] bool repeat(Found found, const uint8_t* header, uint32_t length, const Round& round);
    // The same for TCP segments of a flow in a row that came as one, with the header of the first one and
    // `payload` bytes of data in all, `size` in each but the last; no checksum is looked at. As IP packets
    // they have `bytes`. True if each of them would have been repeated.
    struct Segments {
        uint32_t count;
        uint32_t payload;
        uint32_t size;
        uint32_t bytes;
    };
    [[nodiscard]] bool repeat_segments(Found found, wire::Bytes tcp_header, const Segments& segments,
                                       const Round& round);
    [[nodiscard]] Round round(Instant now) const {
        const auto deadline = [now](Duration timeout) {
            return ticks_from(now + std::min(timeout, kMaxTimeout));
        };
        const Timeouts& timeouts = settings_.timeouts;
        Duration open = timeouts[Timeout::tcp_established];
        Duration unacknowledged = std::min(open, timeouts[Timeout::tcp_unacknowledged]);
        if (settings_.tcp_max_retrans == 0 && timeouts[Timeout::tcp_max_retrans] < open)
            open = unacknowledged = timeouts[Timeout::tcp_max_retrans];
        return {.now = now,
                .tick = ticks_at(now),
                .stream_deadline = deadline(timeouts[Timeout::udp_stream]),
                .open_deadline = deadline(open),
                .unacknowledged_deadline = deadline(unacknowledged)};
    }
    // The same for a packet of which nothing is left to be checked: a UDP datagram, or a TCP segment
    // with ACK and neither SYN, FIN, RST nor URG, that has the tuple of this half of a flow; for flows of
    // which packets go both ways for a while, and whose status is nothing of `refused`. False also where
    // repeat() would do.
    template <Family family, wire::IpProtocol protocol>
    [[nodiscard]] bool repeat_sound(Flow& flow, FlowHalf& half, Status refused, const uint8_t* header,
                                    uint32_t length, const Round& round);
    // The same for the first packet of a flow, of UDP or a lone SYN, which has come by a wire: the flow it
    // begins, to be confirmed or released, or none if there is more to say; no flow has its tuples.
    template <Family family>
    [[nodiscard]] NewFlow begin_plainly(const uint8_t* header, uint32_t length, InterfaceId in, Instant now);
    // In place of confirm(), if no other flow was confirmed since; what NAT made of its reply's tuple nobody
    // else has. `tracked` is of that flow.
    [[nodiscard]] bool confirm_plainly(Tracked& tracked, const NewFlow& begun, Instant now);
    // In which state a packet of this direction finds the flow.
    [[nodiscard]] static CtState state_of(const Flow& flow, Direction direction) {
        if (direction == Direction::reply || flow.status.has(kSeenReply))
            return CtState::established;
        return flow.status.has(kExpected) ? CtState::related : CtState::new_;
    }

    // Where a rule says so, instead of track().
    [[nodiscard]] static Tracked notrack() { return {}; }

    // When the packet leaves or is delivered, before confirm(): helpers read it. What a translated flow
    // announces is left to the caller, who is to expect() it or to drop the packet. False: it must be dropped
    // (tracked.refusal tells why) and is released already.
    [[nodiscard]] bool help(Tracked& tracked, const wire::IpPacket& packet, Instant now,
                            std::optional<Announcement>& announcement);
    // False if there is no room, or if it could not be told from what another flow expects.
    [[nodiscard]] bool expect(const Expectation& expectation, Instant now) {
        return expectations_.add(expectation, ticks_at(now));
    }
    void unexpect(const Flow& flow) { expectations_.forget(flow.id()); }
    // What the flow expects now; null for nothing.
    [[nodiscard]] const Expectation* expectation_of(const Flow& flow) const {
        return expectations_.of(flow.id());
    }
    // The translation of a flow that began by an expectation, until it is confirmed; null for others.
    [[nodiscard]] const ExpectedTranslation* expected_translation(const Flow& flow) const {
        return met_by_ == flow.id() && met_.translation ? &*met_.translation : nullptr;
    }

    // Then: a new flow enters the table. False: it must be dropped (tracked.refusal tells why) and is
    // released already. For every packet, whatever its state.
    [[nodiscard]] bool confirm(Tracked& tracked, const wire::IpPacket& packet, Instant now);

    // When the packet ends before that. Harmless for packets of confirmed flows.
    void release(Tracked& tracked);

    // When a rule drops it: it has not prolonged its flow (R7857-7), where the settings say so.
    void take_back(const Tracked& dropped);

    // The state of an ICMP error or a reset which the box makes about a packet: related, the other way.
    // Without a flow if that packet had none: then the box's own is to be tracked like others. Must be used
    // before the packet it is about is released.
    [[nodiscard]] static Tracked related_to(const Tracked& about);

    // When the box answers a TCP packet by a reset: the connection is closed, as by one of its ends.
    void close(const Tracked& refused, Instant now);

    // The flow a packet would belong to, changing nothing; none if it would begin one or is invalid. For
    // `explain`.
    [[nodiscard]] const Flow* peek(const wire::IpPacket& packet, Instant now) const;

    // Between bursts: ends flows whose time has come, at most about `budget` of them, and frees what ended.
    // Returns false if more is due.
    bool expire(Instant now, size_t budget);

    // Ends one flow, or all. Their memory stays readable until the next expire().
    void erase(Flow& flow, Instant now);
    void flush(Instant now);

    void watch_ends(const FlowEndWatch& watch) { end_watch_ = watch; }

    [[nodiscard]] FlowTable& table() { return table_; }
    [[nodiscard]] const FlowTable& table() const { return table_; }
    // Of flows with kSeqAdjust.
    [[nodiscard]] SequenceTable& sequences() { return sequences_; }
    [[nodiscard]] const Expectations& expectations() const { return expectations_; }
    [[nodiscard]] EventQueue& events() { return events_; }
    // 0 to 3: how far the timeouts of flows that are not assured are shortened now.
    [[nodiscard]] unsigned pressure() const;

  private:
    static constexpr Status kUnrepeatable = kDying | kFixedTimeout | kSeqAdjust;
    template <Family family>
    [[nodiscard]] std::optional<Timeout> repeat_tcp_of(Found found, const uint8_t* header, uint32_t length);
    void change_deadline(Flow& flow, Ticks deadline);
    [[nodiscard]] std::optional<Duration> repeat_young_udp(Found found, Instant now);
    [[nodiscard]] bool may_repeat_young(Found found) const;
    enum class Ending : uint8_t { expired, evicted, deleted };

    [[nodiscard]] Tracked track_error(const wire::IpPacket& packet, Instant now);
    [[nodiscard]] Found look_up(const Tuple& tuple, Instant now);
    [[nodiscard]] Flow* begin(const Tuple& first, InterfaceId in, bool own_traffic, Instant now,
                              Tracked& tracked);
    [[nodiscard]] bool make_room(const Tuple& first, bool own_traffic, Instant now);
    template <typename May>
    [[nodiscard]] bool evict_near(const Tuple& tuple, Instant now, May&& may);
    [[nodiscard]] TrackResult examine(Flow& flow, const wire::IpPacket& packet, Direction direction,
                                      bool own_traffic, Instant now);
    [[nodiscard]] TrackResult judge(Flow& flow, const wire::IpPacket& packet, Direction direction,
                                    Instant now);
    void refresh(Flow& flow, const TrackResult& result, Instant now);
    void accept(Flow& flow, const wire::IpPacket& packet, Direction direction, const TrackResult& result,
                Instant now);
    [[nodiscard]] Duration under_pressure(const Flow& flow, Duration timeout);
    bool refuse_insert(Tracked& tracked, Count why);
    [[nodiscard]] bool resolve_clash(Tracked& tracked, const Found& other);
    [[nodiscard]] bool read(const Tracked& tracked, const wire::IpPacket& packet, Instant now,
                            std::optional<Announcement>& announcement);
    [[nodiscard]] bool announce(const Flow& flow, const Announcement& found, Direction direction, Instant now,
                                std::optional<Announcement>& announcement);
    void assign_helper(Flow& flow, Helper helper);
    void end(Flow& flow, Ending ending, Instant now);
    void forget(Flow& flow);
    [[nodiscard]] Tracked invalid(InvalidReason reason);
    [[nodiscard]] Tracked refused(Refusal refusal);
    void count_flows();

    TupleHash hash_;
    Limits limits_;
    Settings settings_;
    std::array<size_t, 3> pressure_at_{};
    Counters& counters_;
    FlowTable table_;
    SourceLimit source_limit_;
    Expectations expectations_;
    Expectation met_;  // that of the last expected flow
    uint32_t met_by_ = 0;
    FlowSideTable<FtpLines> ftp_lines_;
    SequenceTable sequences_;
    EventQueue events_;
    FlowEndWatch end_watch_;
};

}  // namespace sluice::conntrack
