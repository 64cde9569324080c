// One rule, ready to be tried: its matches as checks over sorted ranges, names replaced by what they mean.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hh"
#include "filter/counters.hh"
#include "filter/field.hh"
#include "filter/rule.hh"
#include "sets/set.hh"

namespace sluice::filter {

using ChainIndex = uint16_t;
inline constexpr ChainIndex kNoChain = 0xffff;
inline constexpr uint32_t kNoLimit = 0xffffffff;

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
    const sets::Set* set = nullptr;
    std::array<Field, sets::kMaxFields> fields{};
    uint8_t count = 0;
};

// One match. Which members count depends on the field.
struct Check {
    Field field{};
    bool negated = false;
    std::vector<NumberRange> numbers;  // sorted, disjoint; IPv4 addresses too
    std::vector<WideRange> wide;       // IPv6 addresses, sorted, disjoint
    std::vector<SetCheck> sets;
    std::vector<TcpFlagsMatch::Pair> flags;
    std::vector<MacAddress> macs;
    uint32_t bits = 0;  // of ct_status
};

struct CompiledRule {
    RuleId id = kNoRule;
    std::vector<Check> checks;  // in the order of Field
    uint32_t limit = kNoLimit;  // into Ruleset::limits()
    uint32_t connlimit = kNoLimit;
    ActionKind action = ActionKind::none;
    RejectKind reject = RejectKind::automatic;
    ChainIndex target = kNoChain;  // of jump and goto
    bool observe = false;
    // Whether there is a statement at all, so that most rules skip them.
    bool has_statements = false;
    bool notrack = false;
    bool clamp_mss = false;
    uint16_t mss = 0;
    std::optional<std::string> log;
    std::optional<uint32_t> set_mark;
    std::optional<uint32_t> ct_mark;
    sets::Set* add_to = nullptr;
    SetCheck add_fields;  // what is added
};

}  // namespace sluice::filter
