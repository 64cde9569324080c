// What the hooks concluded for a packet of a flow, as the flow keeps it for those that follow in its
// direction.
#pragma once

#include <cstdint>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "conntrack/flow.hh"
#include "conntrack/flow_table.hh"
#include "conntrack/state.hh"
#include "filter/hook.hh"
#include "filter/ruleset_state.hh"
#include "nat/translated_ends.hh"
#include "routing/context.hh"
#include "routing/fib.hh"
#include "routing/send.hh"
#include "sets/registry.hh"

namespace sluice::filter {

// The first word of a conntrack::Decision.
class KeptDecision {
  public:
    KeptDecision(PathId path, routing::NextHopIndex next_hop, InterfaceId in, conntrack::CtState state,
                 Hook last_hook, bool reads_sets)
        : word_(kValid | uint64_t{reads_sets} << 62 | static_cast<uint64_t>(last_hook) << 59 |
                static_cast<uint64_t>(state) << 56 | uint64_t{index(in)} << 48 | uint64_t{path} << 32 |
                next_hop) {}
    explicit KeptDecision(uint64_t word) : word_(word) {}

    [[nodiscard]] uint64_t word() const { return word_; }
    [[nodiscard]] bool reads_sets() const { return (word_ >> 62 & 1) != 0; }
    [[nodiscard]] Hook last_hook() const { return static_cast<Hook>(word_ >> 59 & 7); }
    // Whether it was made for packets that came in like this.
    [[nodiscard]] bool is_for(InterfaceId in) const {
        return (word_ >> 48 & 0x80ff) == (0x8000U | static_cast<uint32_t>(index(in)));
    }
    [[nodiscard]] conntrack::CtState state() const {
        return static_cast<conntrack::CtState>(word_ >> 56 & 7);
    }
    [[nodiscard]] PathId path() const { return static_cast<PathId>(word_ >> 32 & 0xffff); }
    [[nodiscard]] routing::NextHopIndex next_hop() const { return static_cast<routing::NextHopIndex>(word_); }

  private:
    static constexpr uint64_t kValid = uint64_t{1} << 63;
    static_assert(PathPool::kDefaultPaths <= 1U << 16 && kMaxInterfaces <= 256);
    uint64_t word_;
};

// The second: what it was made from, by generations.
constexpr uint64_t made_from(uint32_t tables, uint32_t sets) {
    return uint64_t{tables} << 32 | sets;
}

// Whether it would be made again. Those that read no set hold while the tables do.
inline bool is_current(const conntrack::Decision& kept, uint32_t tables, const sets::SetRegistry& sets) {
    return kept.made_from >> 32 == tables &&
           (!KeptDecision(kept.what).reads_sets() ||
            static_cast<uint32_t>(kept.made_from) == static_cast<uint32_t>(sets.generation()));
}

// None that a flow ever has: it is not valid, nor zero.
inline constexpr conntrack::Decision kNoDecision{1, 1};

// To whom a packet of the flow goes, by what it has behind NAT.
template <Family family>
routing::NeighbourTable::Found neighbour_of(const routing::Context& context, const conntrack::Found& found,
                                            const uint8_t* header, bool translated,
                                            const routing::NextHop& hop) {
    const auto& neighbours = context.tables.neighbours;
    if constexpr (family == Family::ip4)
        return routing::neighbour_of(neighbours, hop,
                                     translated
                                         ? nat::ip4_ends_after(*found.flow, found.direction).destination()
                                         : Ip4Address::load(header + 16));
    else
        return routing::neighbour_of(neighbours, hop,
                                     translated ? found.flow->tuple(opposite(found.direction)).source().ip6()
                                                : Ip6Address::load(header + 24));
}

}  // namespace sluice::filter
