// Rules ready to be tried: matches as checks over sorted ranges, names replaced by what they mean, everything
// in a few arrays, so that a rule that does not match costs little memory traffic.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "bpf/program.hh"
#include "filter/counters.hh"
#include "filter/field.hh"
#include "filter/rule.hh"
#include "nat/rule.hh"
#include "sets/set.hh"

namespace sluice::filter {

using ChainIndex = uint16_t;
inline constexpr ChainIndex kNoChain = 0xffff;
inline constexpr uint32_t kNoIndex = 0xffffffff;

// IPv6 addresses as two numbers.
struct Wide {
    uint64_t high = 0;
    uint64_t low = 0;
    static Wide of(const Ip6Address& address);
    auto operator<=>(const Wide&) const = default;
};
struct WideRange {
    Wide first;
    Wide last;
    bool operator==(const WideRange&) const = default;
};

// What a lookup in a set takes from the packet.
struct SetCheck {
    sets::Set* set = nullptr;
    std::array<Field, sets::kMaxFields> fields{};
    uint8_t count = 0;
};

// One match. Its values are spans of the arrays in CompiledRules; which of them depends on the field.
struct Check {
    Field field{};
    bool negated = false;
    uint16_t set_count = 0;
    uint32_t first_set = 0;
    uint32_t first = 0;  // of numbers (IPv4 addresses too), TCP flags or MAC addresses
    uint32_t count = 0;
    uint32_t first_wide = 0;  // of IPv6 addresses
    uint32_t wide_count = 0;
    NumberRange one{};  // the numbers, if they are one range; the bits of ct_status
};

// What rules do besides ending a chain.
struct Statements {
    bool has_log = false;
    bool sets_mark = false;
    bool sets_ct_mark = false;
    bool notrack = false;
    bool clamp_mss = false;
    uint16_t mss = 0;  // 0: as it is
    uint32_t mark = 0;
    uint32_t ct_mark = 0;
    std::string log;
    SetCheck add_to;  // without a set: nothing is added
};

// A NAT statement. It ends the chain, and the packet is accepted.
struct NatStatement {
    nat::NatRule rule;
    // Of the rule that a hairpin rule is besides: for packets from elsewhere to its addresses.
    bool is_hairpin = false;
    InterfaceId outside = kNoInterface;  // the interface those addresses are on
};

// A program with what its handles mean, by number.
struct CompiledProgram {
    std::shared_ptr<const bpf::Program> program;
    std::vector<sets::Set*> sets;
    bool asks_source = false;  // it may look the packet's own addresses up in sets
    bool asks_destination = false;
    std::vector<InterfaceId> interfaces;
    std::vector<RuleId> counters;
    std::vector<Limit> limits;
    std::array<RuleId, bpf::kVerdicts> verdicts{};  // count what it said
};

struct CompiledRule {
    RuleId id = kNoRule;
    uint32_t first_check = 0;
    uint32_t limit = kNoIndex;  // into Ruleset::limits()
    uint32_t connlimit = kNoIndex;
    uint32_t statements = kNoIndex;
    uint32_t nat = kNoIndex;
    uint32_t program = kNoIndex;
    uint16_t check_count = 0;
    ChainIndex target = kNoChain;  // of jump and goto
    ActionKind action = ActionKind::none;
    RejectKind reject = RejectKind::automatic;
    bool observe = false;
};

// All rules of a ruleset, chain behind chain.
struct CompiledRules {
    std::vector<CompiledRule> rules;
    std::vector<Check> checks;  // of each rule in the order in which they are tried
    std::vector<Statements> statements;
    std::vector<NatStatement> nat;
    std::vector<CompiledProgram> programs;
    std::vector<NumberRange> numbers;  // of each check sorted and disjoint
    std::vector<WideRange> wide;       // likewise
    std::vector<SetCheck> sets;
    std::vector<TcpFlagsMatch::Pair> flags;
    std::vector<MacAddress> macs;

    [[nodiscard]] std::span<const Check> checks_of(const CompiledRule& rule) const {
        return {checks.data() + rule.first_check, rule.check_count};
    }
    [[nodiscard]] std::span<const NumberRange> numbers_of(const Check& check) const {
        return check.count == 1 ? std::span(&check.one, 1)
                                : std::span(numbers.data() + check.first, check.count);
    }
    [[nodiscard]] std::span<const WideRange> wide_of(const Check& check) const {
        return {wide.data() + check.first_wide, check.wide_count};
    }
    [[nodiscard]] std::span<const SetCheck> sets_of(const Check& check) const {
        return {sets.data() + check.first_set, check.set_count};
    }
    [[nodiscard]] std::span<const TcpFlagsMatch::Pair> flags_of(const Check& check) const {
        return {flags.data() + check.first, check.count};
    }
    [[nodiscard]] std::span<const MacAddress> macs_of(const Check& check) const {
        return {macs.data() + check.first, check.count};
    }
};

}  // namespace sluice::filter
