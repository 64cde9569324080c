// The firewall on a packet's way: asks connection tracking and the rules at netfilter's five hooks, in the
// order of their priorities (raw, conntrack, mangle, destination NAT, filter, source NAT), translates flows,
// and tells senders what was rejected.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <vector>

#include "base/random.hh"
#include "conntrack/tracker.hh"
#include "filter/counters.hh"
#include "filter/evaluate.hh"
#include "filter/hook.hh"
#include "filter/log_event.hh"
#include "filter/ruleset.hh"
#include "filter/ruleset_state.hh"
#include "nat/endpoint.hh"
#include "nat/held_syns.hh"
#include "nat/manip.hh"
#include "nat/refusal.hh"
#include "nat/settings.hh"
#include "nat/translator.hh"
#include "pipeline/burst.hh"
#include "routing/context.hh"
#include "routing/exit.hh"
#include "routing/hooks.hh"
#include "sets/recent_members.hh"
#include "steering/flow_homes.hh"

namespace sluice::pipeline {
struct LargeFrame;
}

namespace sluice::filter {

class KeptDecision;
class ProgramRound;

// What all workers read: part of the published snapshot.
struct FirewallTables {
    bool tracks = false;      // a chain or the section `conntrack` is there: flows are tracked
    bool repeats = true;      // the rules' decisions are repeated for the packets of a flow
    uint32_t generation = 0;  // no two tables have the same
    const sets::SetRegistry* sets = nullptr;  // for its generation
    std::shared_ptr<const Ruleset> ruleset;
    std::vector<conntrack::Limits> limits;  // by worker
    conntrack::Settings settings;
    nat::NatSettings nat;
    bool nat_tells = false;  // senders get an ICMP error where NAT has no endpoint for them
    // By worker, of what outlives configurations; none, or null, where no rule ever translated.
    std::vector<nat::Translator*> translators;
    // By worker, which alone uses its own.
    std::vector<std::unique_ptr<RulesetState>> states;
};

// What rules and tracking said about a packet that came from a wire, for replay and traces.
struct Judgement {
    bool decided = false;  // a rule or a policy ended the packet, or the last chain it passed let it go on
    Hook hook{};
    RuleId rule = kNoRule;
    bool tracked = false;
    conntrack::CtState state{};
};

// One for each worker; lives as long as that, over all configurations.
class Firewall final : public routing::Hooks {
  public:
    // Takes memory for all flows of `limits` from the system, which gives it as it is used.
    Firewall(WorkerId worker, const conntrack::Limits& limits, const conntrack::Settings& settings,
             Random& random);
    Firewall(const Firewall&) = delete;
    Firewall& operator=(const Firewall&) = delete;

    // Between two bursts. Null: there is no firewall, and nobody asks.
    void adopt(const FirewallTables* tables);
    // Where packets of flows are brought to their workers; null: there is no other worker.
    void steer_by(steering::FlowHomes* homes) { homes_ = homes; }
    // Between bursts, after the rules of steering have changed: a slice of the flows is made known to other
    // workers where these would not find them. Moves the cursor.
    void bring_home(conntrack::FlowCursor& cursor, size_t budget, Instant now);

    pipeline::Verdict prerouting(routing::Context& context, routing::Passage& passage) override;
    pipeline::Verdict input(routing::Context& context, routing::Passage& passage) override;
    pipeline::Verdict forward(routing::Context& context, routing::Passage& passage) override;
    pipeline::Verdict output(routing::Context& context, routing::Passage& passage) override;
    pipeline::Verdict postrouting(routing::Context& context, routing::Passage& passage) override;
    void turn_back(routing::Context& context, routing::Passage& passage) override;
    void done(routing::Passage& passage) override;
    [[nodiscard]] bool wants_whole_datagrams() const override { return tables_->tracks; }

    // Between bursts: ends flows whose time has come, a bounded number of them; false if more wait.
    bool expire(Instant now);

    // Between bursts: tells the senders of SYNs that waited in vain for their counterparts, of which the
    // first is due then.
    void answer_held_syns(routing::Context& context);
    [[nodiscard]] std::optional<Instant> next_answer() const { return held_syns_.next(); }

    // Asks memory for what the next burst is likely to read that is not of its flows.
    void prefetch(const routing::Context& context) const {
        last_exit_.prefetch(context);
        last_path_.prefetch();
    }
    // Takes every packet of a parsed burst to its end, or on its way, in place of routing's own stages.
    // Packets of flows whose decision can be repeated go at burst speed, all others through the hooks.
    void forward(routing::Context& context, pipeline::Burst& burst);

    // The early rules, in two steps. On frames as a port gave them, while that pays: what the sets in front
    // drop is counted as received, and taken out. The bits of those that these sets have been asked about
    // (early_frames.cc).
    [[nodiscard]] uint64_t early_frames(routing::Context& context, pipeline::PortId port,
                                        pipeline::Burst& burst);
    // On a burst that has been parsed: packets they end are finished and taken out (early.cc).
    void early(routing::Context& context, pipeline::Burst& burst, uint64_t asked);
    [[nodiscard]] bool has_early() const {
        return tables_ != nullptr && tables_->ruleset->early() != nullptr;
    }

    [[nodiscard]] conntrack::Tracker& tracker() { return tracker_; }
    // Null where no rule ever translated.
    [[nodiscard]] const nat::Translator* translator() const { return translator_; }
    [[nodiscard]] conntrack::Counters& conntrack_counters() { return conntrack_counters_; }
    [[nodiscard]] const conntrack::Counters& conntrack_counters() const { return conntrack_counters_; }
    [[nodiscard]] RuleCounters& rule_counters() { return rule_counters_; }
    [[nodiscard]] const RuleCounters& rule_counters() const { return rule_counters_; }
    [[nodiscard]] LogRing& logs() { return logs_; }
    [[nodiscard]] FlowProbe probe() const { return {&Firewall::is_alive, this}; }

    // Of the last packet from a wire; the one in front of it is to be forgotten first.
    [[nodiscard]] const Judgement& judgement() const { return judgement_; }
    void forget_judgement() { judgement_ = {}; }

  private:
    // In nat it gives the statement of the rule that decided, if one did.
    [[nodiscard]] pipeline::Verdict ask(routing::Context& context, routing::Passage& passage, Table table,
                                        Hook hook, const NatStatement** statement = nullptr);
    // The same in two steps: a packet that does not change meanwhile may be asked about more than once.
    [[nodiscard]] RulePacket rule_packet(const routing::Context& context, const routing::Passage& passage,
                                         const wire::IpPacket& packet) const;
    [[nodiscard]] pipeline::Verdict ask_about(routing::Context& context, routing::Passage& passage,
                                              RulePacket& asked, Table table, Hook hook,
                                              const NatStatement** statement = nullptr);
    [[nodiscard]] pipeline::Verdict track(routing::Context& context, routing::Passage& passage);
    // NAT at a hook (translation.cc): asks about a flow that begins, then changes the packet's end.
    [[nodiscard]] pipeline::Verdict translate(routing::Context& context, routing::Passage& passage,
                                              Hook hook);
    [[nodiscard]] pipeline::Verdict choose(routing::Context& context, routing::Passage& passage, Hook hook,
                                           nat::Manip manip);
    // With what the rules said.
    [[nodiscard]] pipeline::Verdict choose_by(routing::Context& context, routing::Passage& passage,
                                              const NatStatement* statement, nat::Manip manip);
    // Changes the packet's end as its flow has it.
    [[nodiscard]] pipeline::Verdict exchange(const routing::Passage& passage, const wire::IpPacket& packet,
                                             bool is_error, nat::Manip manip);
    // In place of postrouting(), for a packet of IPv4 that begins a flow by the short way.
    [[nodiscard]] pipeline::Verdict translate_plainly(routing::Context& context, routing::Passage& passage,
                                                      RulePacket& asked, conntrack::NewFlow& begun);
    [[nodiscard]] pipeline::Verdict translate_by(routing::Context& context, routing::Passage& passage,
                                                 const NatStatement* statement);
    // Nothing: as it is.
    using Choice = std::expected<std::optional<nat::Endpoint>, nat::NatRefusal>;
    [[nodiscard]] Choice choose_destination(const routing::Context& context, const routing::Passage& passage,
                                            const NatStatement* statement);
    [[nodiscard]] Choice choose_source(const routing::Context& context, const routing::Passage& passage,
                                       const NatStatement* statement);
    [[nodiscard]] std::optional<nat::Endpoint> keep_identifier(const routing::Context& context,
                                                               const conntrack::Tuple& query);
    [[nodiscard]] pipeline::Verdict refuse(routing::Context& context, const routing::Passage& passage,
                                           nat::NatRefusal refusal);
    [[nodiscard]] bool is_unsolicited_syn(const routing::Context& context,
                                          const routing::Passage& passage) const;
    void hold_syn(const routing::Context& context, const routing::Passage& passage);
    [[nodiscard]] Choice choose_expected(const routing::Context& context, const routing::Passage& passage,
                                         const conntrack::ExpectedTranslation& expected, nat::Manip manip);
    [[nodiscard]] pipeline::Verdict flow_began(routing::Passage& passage, Instant now);
    // The others who have to know than NAT.
    [[nodiscard]] pipeline::Verdict tell_of(routing::Passage& passage, Instant now);
    static void flow_ended(void* firewall, const conntrack::Flow& flow, Instant now);
    // What NAT will read is on its way: of packets of a burst without flows, and of flows that are over.
    void prefetch_mappings(const pipeline::Burst& burst, uint64_t places) const;
    void prefetch_rules(const CompiledChain& chain, const pipeline::Burst& burst, uint64_t places) const;
    static void flows_end_soon(const void* firewall, std::span<const conntrack::Flow* const> flows);
    // Helpers read the packet, and what they find is translated (helpers.cc).
    [[nodiscard]] pipeline::Verdict help(routing::Context& context, routing::Passage& passage);
    [[nodiscard]] bool announce(routing::Passage& passage, const conntrack::Announcement& found, Instant now);
    [[nodiscard]] bool write_text(routing::Passage& passage, const conntrack::FtpAnnouncement& found,
                                  const nat::Endpoint& announced);
    [[nodiscard]] pipeline::Verdict confirm(routing::Context& context, routing::Passage& passage);
    [[nodiscard]] pipeline::Verdict confirm_plainly(routing::Context& context, routing::Passage& passage,
                                                    const conntrack::NewFlow& begun);
    // Of a packet whose flow could not be confirmed.
    [[nodiscard]] static pipeline::Verdict refused(const routing::Passage& passage);
    void reject(routing::Context& context, const routing::Passage& passage, RejectKind asked);
    void note(const routing::Passage& passage, Hook hook, const Outcome& outcome);
    void keep_decision(const routing::Context& context, const routing::Passage& passage);
    struct Repeats;
    void count_path(Repeats& repeats);
    void resume(routing::Context& context, const pipeline::Burst& burst, Repeats& repeats);
    [[nodiscard]] bool repeat_decision(routing::Context& context, dpdk::Packet* packet,
                                       const pipeline::PacketMeta& meta, conntrack::Found found,
                                       Repeats& repeats);
    template <Family family>
    [[nodiscard]] bool repeat_by_exit(routing::Context& context, dpdk::Packet* packet,
                                      const pipeline::PacketMeta& meta, conntrack::Found found,
                                      Repeats& repeats);
    template <Family family, wire::IpProtocol protocol, bool translated>
    [[nodiscard]] uint64_t accept(const pipeline::Burst& burst, const conntrack::Guess* guesses,
                                  uint64_t places, const Repeats& repeats);
    template <Family family, wire::IpProtocol protocol>
    [[nodiscard]] uint64_t repeat_of(const pipeline::Burst& burst, const conntrack::Guess* guesses,
                                     uint64_t places, const Repeats& repeats);
    [[nodiscard]] uint64_t repeat_like_the_last(const pipeline::Burst& burst, const conntrack::Guess* guesses,
                                                uint64_t left, Repeats& repeats);
    template <Family family>
    [[nodiscard]] bool repeat_by_its_neighbour(routing::Context& context, dpdk::Packet* packet,
                                               const pipeline::PacketMeta& meta, conntrack::Found found,
                                               Repeats& repeats);
    void repeated(const dpdk::Packet* packet, KeptDecision decision, uint16_t length,
                  const pipeline::Worker& worker, Repeats& repeats);
    void translate_again(dpdk::Packet* packet, const pipeline::PacketMeta& meta,
                         const conntrack::Found& found);
    [[nodiscard]] pipeline::Verdict forward_alone(routing::Context& context, dpdk::Packet* packet,
                                                  const pipeline::PacketMeta& meta, bool may_begin);
    template <Family family>
    [[nodiscard]] bool repeat_large(routing::Context& context, dpdk::Packet* packet,
                                    const pipeline::PacketMeta& meta);
    static void translate_headers(dpdk::Packet* packet, const pipeline::PacketMeta& meta,
                                  const pipeline::LargeFrame& parts, const conntrack::Found& found);
    // Packets that begin flows (newcomer.cc). Whether the short way is all there is to the hooks now; the
    // verdict on a packet that went it. False: nothing has happened.
    [[nodiscard]] bool begins_plainly() const;
    template <Family family>
    [[nodiscard]] bool begin_flow(routing::Context& context, dpdk::Packet* packet,
                                  const pipeline::PacketMeta& meta, pipeline::Verdict& verdict);
    static bool is_alive(const void* firewall, uint64_t flow);
    // Of the early rules. Bits are places in the burst, of packets that have ended; ask_early() tells whether
    // the packet goes on.
    enum class AfterProgram : uint8_t {
        goes_on,
        gone,     // or nothing any more that rules are asked about
        dropped,  // so the program says; the caller is to do it
    };
    void follow_members();
    [[nodiscard]] uint64_t drop_listed(routing::Context& context, pipeline::Burst& burst,
                                       const EarlyStep& step, uint64_t wanted);
    [[nodiscard]] uint64_t end_by_program(routing::Context& context, pipeline::Burst& burst,
                                          const CompiledRule& rule, uint64_t wanted);
    [[nodiscard]] AfterProgram ask_program(routing::Context& context, pipeline::Burst& burst, size_t place,
                                           const CompiledRule& rule, ProgramRound& round);
    [[nodiscard]] bool redirect(routing::Context& context, dpdk::Packet* packet, InterfaceId to);
    [[nodiscard]] bool ask_early(routing::Context& context, pipeline::Burst& burst, size_t place,
                                 uint32_t from);

    WorkerId worker_;
    bool frames_first_ = false;  // the sets in front of the early rules dropped most of the last burst
    sets::RecentMembers recent_members_;  // of the first of them that is of addresses
    conntrack::Counters conntrack_counters_;
    conntrack::Tracker tracker_;
    RuleCounters rule_counters_;
    LogRing logs_;
    const FirewallTables* tables_ = nullptr;
    RulesetState* state_ = nullptr;
    bool begins_plainly_ = false;
    const CompiledChain* large_chain_ = nullptr;  // filter's forward, if it has many rules
    nat::Translator* translator_ = nullptr;
    steering::FlowHomes* homes_ = nullptr;
    nat::HeldSyns held_syns_;
    // Of the packet from a wire: it goes to an inside host by an external address, which is on `outside`.
    struct Hairpin {
        bool wanted = false;
        InterfaceId outside = kNoInterface;
    } hairpin_;
    // Of the packet from a wire that is on its way past the hooks.
    Judgement judgement_;
    Trail trail_;
    // The last burst ended with this decision, packets left by this exit and took this path last.
    conntrack::Decision last_decision_;
    routing::Exit last_exit_;
    PathCounters last_path_;
    uint32_t sets_generation_ = 0;  // before its first hook
};

}  // namespace sluice::filter
