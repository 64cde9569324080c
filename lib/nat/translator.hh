// NAT of one worker: which endpoint a flow gets in place of its source or destination, and which mapping a
// packet from outside belongs to. Changes no packet and knows no flow table: rewrite.hh and conntrack do.
//
// Two ways to choose a source. Where mappings exclude one another (`mapping: endpoint_independent` and the
// others unless ports may overlap) an inside endpoint keeps its external endpoint for whatever remote, and
// nobody else has it (RFC 4787). Where they overlap, what nf_nat's get_unique_tuple does: any tuple that no
// other flow has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "base/interface_id.hh"
#include "base/random.hh"
#include "base/time.hh"
#include "conntrack/flow.hh"
#include "conntrack/tuple.hh"
#include "conntrack/tuple_hash.hh"
#include "nat/address_choice.hh"
#include "nat/contacts.hh"
#include "nat/endpoint.hh"
#include "nat/identifications.hh"
#include "nat/inside_hosts.hh"
#include "nat/mapping.hh"
#include "nat/mapping_table.hh"
#include "nat/port_spaces.hh"
#include "nat/refusal.hh"
#include "nat/rule.hh"
#include "nat/settings.hh"
#include "nat/used_probe.hh"
#include "nat/way_probe.hh"
#include "nat/who_log.hh"

namespace sluice::nat {

// Behind which ends of a flow a mapping stands: `source` if choose_source() or choose_hairpin_source() gave
// its source, `destination` if inbound() gave its destination. To be kept with the flow.
struct MappedEnds {
    bool source = false;
    bool destination = false;
};

// A flow's first packet when its source is to be chosen.
struct Leaving {
    const conntrack::Tuple& tuple;  // as it would leave without; destination NAT is done
    InterfaceId out = kNoInterface;
    // For masquerade: addresses of `out`, the first of the packet's family is taken.
    std::span<const IpAddress> out_addresses;
    // Of an ICMP query whose identifier changed with its destination: that by which the inside host knows it.
    std::optional<uint16_t> identifier = {};

    // Whose mapping it is.
    [[nodiscard]] Endpoint inside() const { return {tuple.source(), identifier.value_or(tuple.sport)}; }
};

// A mapping that a packet from outside may use.
struct Inbound {
    Endpoint inside;
    InterfaceId out = kNoInterface;  // where the mapping's external side is
    bool is_around = false;          // the packet is from inside (hairpin)
};

// One owner. All of it is the slow path: flows begin and end here, packets do not come by.
class Translator {
  public:
    // Allocates what it will use but port spaces. The seeds come from `random`.
    Translator(const NatLimits& limits, const NatSettings& settings, const PortShare& share, Random& random,
               Instant now);

    // New settings between two bursts. Mappings stay as they are until their flows end.
    void apply(const NatSettings& settings) { settings_ = settings; }

    // For snat and masquerade: the source the flow shall have. Makes a mapping unless there is one; if no
    // flow began with it until the next expire(), it ends. `used` is asked about candidates.
    [[nodiscard]] std::expected<Endpoint, NatRefusal> choose_source(const NatRule& rule,
                                                                    const Leaving& packet,
                                                                    const UsedProbe& used, Instant now);

    // The same for the first packet of a flow of TCP or UDP over IPv4, as it would leave without, if it is
    // like most others; otherwise nothing, and nothing has happened but that a port space was made. `own` is
    // what masquerade gives. Asks is_free(Ip4Endpoint) in place of `used`. Defined in translator_plain.hh.
    struct PlainSource {
        Ip4Endpoint external;
        MappingRef mapping = kNoMapping;  // good until a flow ends
    };
    template <typename IsFree>
    [[nodiscard]] std::optional<std::expected<PlainSource, NatRefusal>> choose_plainly(
        const NatRule& rule, const conntrack::Ip4PortsTuple& tuple, InterfaceId out, Ip4Address own,
        IsFree&& is_free, Instant now);

    // The source of a packet from inside that goes to another inside host by the external address
    // `reached_by`, through inbound() or a dnat rule with `hairpin`: it is shown an external source
    // (R4787-9a), the one that outsiders see if there is one. `packet.out` is the interface where the
    // external address is, not that by which the packet leaves.
    [[nodiscard]] std::expected<Endpoint, NatRefusal> choose_hairpin_source(const IpAddress& reached_by,
                                                                            const Leaving& packet,
                                                                            const UsedProbe& used,
                                                                            Instant now);

    // The source of a flow that another one, translated to this address, has announced.
    [[nodiscard]] std::expected<Endpoint, NatRefusal> choose_expected_source(const IpAddress& external,
                                                                             const Leaving& packet,
                                                                             const UsedProbe& used,
                                                                             Instant now);
    // Whether flows from outside to the external endpoint may be expected for the inside one: nobody else has
    // it, and they come to this worker.
    [[nodiscard]] bool may_expect(const Endpoint& external, const Endpoint& inside,
                                  wire::IpProtocol protocol) const;
    // A port to be announced in place of a listening one: that, or else one of its class at random. Gives up
    // after some that may_use(port) refuses.
    template <typename MayUse>
    [[nodiscard]] std::optional<uint16_t> choose_announced_port(uint16_t listening, MayUse&& may_use);
    // An expected flow from outside begins, `tuple` as its packet came: whether a mapping stands behind its
    // destination, which is made if need be. Never one where ports overlap.
    [[nodiscard]] bool map_expected(const conntrack::Tuple& tuple, const Endpoint& inside, InterfaceId in,
                                    Instant now);

    // For flows no rule translates: the source as it is, or with another port if another flow has the tuple,
    // as after a destination was translated to the same target. Linux's null binding. No mapping is made.
    [[nodiscard]] std::expected<Endpoint, NatRefusal> keep_source(const Leaving& packet,
                                                                  const UsedProbe& used);

    // For dnat and redirect: the destination the flow shall have. `tuple` is as the packet came; redirect
    // goes to the first address of its family in `own_addresses`. A port that is in use already is no reason
    // to refuse: another source port is found when the packet leaves.
    [[nodiscard]] std::expected<Endpoint, NatRefusal> choose_destination(
        const NatRule& rule, const conntrack::Tuple& tuple, std::span<const IpAddress> own_addresses,
        const UsedProbe& used);

    // A packet that begins a flow, to an endpoint that may be a mapping's external one: the inside endpoint
    // if the mapping's filter lets this remote in (R4787-8). No filter holds packets from inside (hairpin):
    // those that came in neither by the mapping's interface nor by another one outside, unless the inside
    // host is behind that one. Changes nothing.
    [[nodiscard]] std::expected<Inbound, NatRefusal> inbound(const conntrack::Tuple& tuple, InterfaceId in,
                                                             const WayProbe& way = {}) const;

    // Of a packet whose source was translated.
    void renew_identification(wire::MutableBytes packet) {
        if (settings_.unique_ids)
            identifications_.renew(packet);
    }
    // For those who do so themselves; null: packets keep theirs.
    [[nodiscard]] Identifications* identifications() {
        return settings_.unique_ids ? &identifications_ : nullptr;
    }

    // Whether mappings have or had ports of this address.
    [[nodiscard]] bool is_external(const IpAddress& address) const;
    [[nodiscard]] bool is_external(Ip4Address address) const {
        return spaces_.may_have(address) && is_external(IpAddress(address));
    }
    [[nodiscard]] bool is_external(const Ip6Address& address) const {
        return is_external(IpAddress(address));
    }

    // A translated flow was confirmed, and has ended in whatever way. The tuples as the flow has them, the
    // same ends both times.
    void flow_began(const conntrack::Tuple& original, const conntrack::Tuple& reply, MappedEnds ends);
    void flow_ended(const conntrack::Tuple& original, const conntrack::Tuple& reply, MappedEnds ends,
                    Instant now);
    // The same of a flow of TCP or UDP over IPv4 whose source alone is translated. Its beginning: with the
    // mapping that choose_plainly() gave. Its end: false if there is more to it, and nothing has happened.
    struct TranslatedFlow {
        conntrack::Ip4PortsTuple original;
        conntrack::Ip4PortsTuple reply;
    };
    void flow_began(MappingRef mapping, Ip4Address remote) {
        if (!mappings_.add_flow(mapping, remote)) [[unlikely]]
            contacts_.add(mapping, remote);
    }
    [[nodiscard]] bool flow_ended(const TranslatedFlow& flow, Instant now);

    // Ask memory for what is read when flows begin and end, for some together; wrong guesses cost no more
    // than what they fetched. At most kAhead flows, of IPv4, with ports.
    static constexpr size_t kAhead = 64;
    // `leaving`: the first packets of flows that probably begin, as they would leave without NAT. Gives what
    // the answers to each will probably look like.
    void prefetch_beginnings(std::span<const conntrack::Ip4PortsTuple> leaving,
                             std::span<conntrack::Ip4PortsTuple> answers) const;
    // Of flows whose source is translated.
    void prefetch_ends(std::span<const TranslatedFlow> flows) const;

    // Between bursts: ends mappings that no flow began with, and frees ports that have been held down long
    // enough. Looks at `budget` ports at most; false if more are due.
    bool expire(Instant now, size_t budget);

    // Who has or had an external endpoint: give(const WhoRecord&) for mappings that live, then for those in
    // the log, newest first. `at`: only who had it then. Looks at `budget` mappings or records from the
    // cursor on and moves it.
    template <typename Give>
    void who(const Endpoint& external, wire::IpProtocol protocol, std::optional<Instant> at,
             WhoCursor& cursor, size_t budget, Give&& give) const;

    [[nodiscard]] const NatSettings& settings() const { return settings_; }
    [[nodiscard]] const MappingTable& mappings() const { return mappings_; }
    [[nodiscard]] const InsideHosts& hosts() const { return hosts_; }
    [[nodiscard]] const PortSpaces& port_spaces() const { return spaces_; }
    [[nodiscard]] const Contacts& contacts() const { return contacts_; }
    [[nodiscard]] const WhoLog& who_log() const { return log_; }
    [[nodiscard]] uint64_t mappings_made() const { return made_; }    // so far
    [[nodiscard]] uint64_t mappings_ended() const { return ended_; }  // likewise

  private:
    // A rule's words, or else the settings'.
    struct Terms {
        Dependence mapping;
        Dependence filtering;
        Pooling pooling;
        bool hairpin;
        bool parity;
        bool overlaps;
        bool random;
        bool persistent;
        uint32_t ports_per_host;
    };
    [[nodiscard]] Terms terms_of(const NatRule& rule, wire::IpProtocol protocol) const;
    using Choice = std::expected<Endpoint, NatRefusal>;

    [[nodiscard]] Choice choose(const Pool& pool, const Terms& terms, const Leaving& packet,
                                const UsedProbe& used, Instant now);
    [[nodiscard]] Choice choose_alone(const Pool& pool, const Terms& terms, const Leaving& packet,
                                      const UsedProbe& used, Instant now);
    [[nodiscard]] Choice choose_overlapping(const Pool& pool, const Terms& terms, const Leaving& packet,
                                            const UsedProbe& used, Instant now);
    // A free port of an external address, and in which space.
    struct Port {
        PortSpaceRef space;
        uint16_t number;
    };
    [[nodiscard]] std::expected<Port, NatRefusal> find_port(const IpAddress& external,
                                                            const std::optional<PortRange>& ports,
                                                            const Terms& terms, const conntrack::Tuple& tuple,
                                                            const UsedProbe& used);
    // A free port of a space: the packet's own, or else one from a random place on. The refusal is counted.
    template <typename IsUsable>
    [[nodiscard]] std::optional<uint16_t> pick_port(PortSpace& space, const PortRange& range,
                                                    const Terms& terms, uint16_t own, bool has_parity,
                                                    IsUsable&& is_usable);
    // The endpoint is the inside endpoint's from now on, if there is room to know it.
    // What is known of an inside endpoint that is about to have one.
    struct Inside {
        HostRef host;
        bool is_first;  // the mapping will be the first for its scope
    };
    [[nodiscard]] Choice map(const Endpoint& external, PortSpaceRef space, const Terms& terms,
                             const Leaving& packet, Inside inside, Instant now);
    [[nodiscard]] Choice map_overlapping(const Endpoint& external, const Terms& terms, const Leaving& packet,
                                         Instant now);
    // The mapping's host is kNoHost if it has none yet.
    [[nodiscard]] MappingRef create(Mapping mapping, bool is_first);
    // Whether no mapping has it for itself alone, and no other worker.
    [[nodiscard]] bool may_overlap(const Endpoint& external, wire::IpProtocol protocol) const;
    // Whether the port of one with these properties is to be held down.
    [[nodiscard]] bool is_to_be_held(wire::IpProtocol protocol, Dependence filtering, bool overlaps) const;
    // Whether mappings do, as the settings are.
    [[nodiscard]] bool usually_overlaps() const;
    [[nodiscard]] bool reaches_limit(HostRef host, const Terms& terms) const;
    void end_mapping(MappingRef ref, Instant now);
    void add_flow(MappingRef ref, const IpAddress& remote);
    void end_flow(MappingRef ref, const IpAddress& remote, Instant now);

    NatSettings settings_;
    PortShare share_;
    Random random_;
    Instant started_;
    conntrack::TupleHash hash_;
    MappingTable mappings_;
    InsideHosts hosts_;
    PortSpaces spaces_;
    Contacts contacts_;
    Identifications identifications_;
    WhoLog log_;
    uint64_t made_ = 0;
    uint64_t ended_ = 0;
};

template <typename MayUse>
std::optional<uint16_t> Translator::choose_announced_port(uint16_t listening, MayUse&& may_use) {
    constexpr int kMostAttempts = 128;
    const PortRange range = port_class(listening);
    uint16_t port = listening;
    for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
        if (may_use(port))
            return port;
        port = static_cast<uint16_t>(range.first + random_.below(range.size()));
    }
    return std::nullopt;
}

template <typename Give>
void Translator::who(const Endpoint& external, wire::IpProtocol protocol, std::optional<Instant> at,
                     WhoCursor& cursor, size_t budget, Give&& give) const {
    if (cursor.living.done) {
        log_.search(external, protocol, at, cursor, budget, give);
        return;
    }
    mappings_.visit(cursor.living, budget, [&](const Mapping& mapping) {
        const WhoRecord record{.external = mapping.external,
                               .inside = mapping.inside,
                               .protocol = mapping.protocol,
                               .began = mapping.began,
                               .ended = {}};
        if (mapping.external == external && mapping.protocol == protocol && (!at || record.covers(*at)))
            give(record);
    });
}

}  // namespace sluice::nat
