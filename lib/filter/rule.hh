// Rules as the operator wrote them: values without YAML and without resolved names. config.hh reads them,
// rule_check.hh judges them, compile.hh makes a Ruleset of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/address.hh"
#include "base/time.hh"
#include "config/names.hh"
#include "config/problem.hh"
#include "filter/field.hh"
#include "filter/hook.hh"
#include "nat/rule.hh"

namespace sluice::filter {

// ── Matches. `negated`: the field is there, and none of the values is it ──

// Numbers from first to last, both included.
struct NumberRange {
    uint32_t first = 0;
    uint32_t last = 0;
    bool operator==(const NumberRange&) const = default;
};

// A field that is a number is in one of the ranges or sets.
struct NumberMatch {
    std::vector<NumberRange> ranges;  // as written: in any order, may overlap
    std::vector<config::Reference> sets;
    bool negated = false;
    bool operator==(const NumberMatch&) const = default;
};
// The same, the field being part of the type since it decides what the values are called.
template <Field F>
struct NumberMatchOf : NumberMatch {
    bool operator==(const NumberMatchOf&) const = default;
};

// Addresses from first to last, of one family.
struct AddressRange {
    IpAddress first;
    IpAddress last;
    bool operator==(const AddressRange&) const = default;
};

// An address is in one of the ranges or sets. Negated, ranges of one family say nothing about the other:
// "!10.0.0.0/8" matches no IPv6 packet.
struct AddressMatch {
    std::vector<AddressRange> ranges;
    std::vector<config::Reference> sets;
    bool negated = false;
    bool operator==(const AddressMatch&) const = default;
};

struct InterfaceMatch {
    std::vector<config::Reference> names;  // of interfaces and zones
    bool negated = false;
    bool operator==(const InterfaceMatch&) const = default;
};

// saddr . dport: "@set"
struct SetMatch {
    std::vector<Field> fields;
    config::Reference set;
    bool negated = false;
    bool operator==(const SetMatch&) const = default;
};

// Any of these bits.
struct StatusMatch {
    uint32_t bits = 0;  // of conntrack::Status
    bool negated = false;
    bool operator==(const StatusMatch&) const = default;
};

// (flags & mask) == value, for one of the pairs.
struct TcpFlagsMatch {
    struct Pair {
        uint8_t value = 0;
        uint8_t mask = 0;
        bool operator==(const Pair&) const = default;
    };
    std::vector<Pair> pairs;
    bool negated = false;
    bool operator==(const TcpFlagsMatch&) const = default;
};

struct MacMatch {
    std::vector<MacAddress> addresses;
    std::vector<config::Reference> sets;
    bool negated = false;
    bool operator==(const MacMatch&) const = default;
};

inline constexpr uint32_t kDefaultBurst = 5;  // as nftables'
inline constexpr uint64_t kMaxRate = 1'000'000'000;

// What a limit or connlimit is kept for, each value by itself.
enum class LimitKey : uint8_t { rule, saddr, daddr, saddr_daddr, dport, saddr_dport, daddr_dport };

// So many packets in a time, and `burst` at once after a pause.
struct Limit {
    uint64_t amount = 0;  // 1 to kMaxRate
    Duration period = std::chrono::seconds(1);
    uint32_t burst = kDefaultBurst;
    bool over = false;  // matches what is beyond the rate instead of what is within
    LimitKey per = LimitKey::rule;
    bool operator==(const Limit&) const = default;
};

// More than so many live flows.
struct Connlimit {
    uint32_t over = 0;
    LimitKey per = LimitKey::rule;
    bool operator==(const Connlimit&) const = default;
};

// ── Statements ──

enum class ClampToMtu : uint8_t { clamp };  // to what the MTU of the path leaves
using Mss = std::variant<ClampToMtu, uint16_t>;

// The set that gets the packet's fields: for its first address the source, for its second the destination;
// for its first port the destination port, for its second the source port.
struct AddTo {
    config::Reference set;
    bool operator==(const AddTo&) const = default;
};

// ── Actions ──

enum class RejectKind : uint8_t {
    automatic,  // a reset for TCP, port-unreachable for all else
    tcp_reset,
    port_unreachable,
    host_unreachable,
    admin_prohibited,
};

enum class ActionKind : uint8_t { none, accept, drop, reject, jump, go_to, return_ };

struct RuleAction {
    ActionKind kind = ActionKind::none;
    RejectKind reject = RejectKind::automatic;
    config::Reference chain;  // of jump and goto
    bool operator==(const RuleAction&) const = default;
};

// The object file of a program, as written and from the root.
struct ProgramFile {
    std::string written;
    std::string full;
    bool operator==(const ProgramFile&) const = default;
};
inline constexpr std::string_view kDefaultSection = "xdp";

using Date = std::chrono::year_month_day;  // in UTC

struct Rule {
    std::string name;

    std::optional<InterfaceMatch> in;
    std::optional<InterfaceMatch> out;
    std::optional<NumberMatchOf<Field::family>> family;
    std::optional<NumberMatchOf<Field::proto>> proto;
    std::optional<AddressMatch> saddr;
    std::optional<AddressMatch> daddr;
    std::optional<NumberMatchOf<Field::sport>> sport;
    std::optional<NumberMatchOf<Field::dport>> dport;
    std::vector<SetMatch> match;
    std::optional<NumberMatchOf<Field::ct>> ct;  // numbers of conntrack::CtState
    std::optional<NumberMatchOf<Field::ct_direction>> ct_direction;
    std::optional<StatusMatch> ct_status;
    std::optional<NumberMatchOf<Field::mark>> mark;
    bool plain_mark = false;  // `mark` was written as a number alone; see config.hh
    std::optional<NumberMatchOf<Field::icmp_type>> icmp_type;
    std::optional<NumberMatchOf<Field::icmpv6_type>> icmpv6_type;
    std::optional<TcpFlagsMatch> tcp_flags;
    std::optional<NumberMatchOf<Field::length>> length;
    std::optional<NumberMatchOf<Field::ttl>> ttl;
    std::optional<bool> fragment;
    std::optional<NumberMatchOf<Field::exthdr>> exthdr;  // protocol numbers of extension headers
    std::optional<MacMatch> mac_saddr;
    std::optional<Limit> limit;
    std::optional<Connlimit> connlimit;

    std::optional<std::string> log;
    std::optional<uint32_t> set_mark;
    std::optional<uint32_t> ct_mark;
    bool notrack = false;
    std::optional<Mss> mss;
    std::optional<AddTo> add_to;
    // NAT: one of the first six, and what the others say about it (nat_rule()).
    std::vector<nat::NatTarget> dnat;
    std::vector<nat::NatTarget> snat;
    std::optional<nat::PortRange> redirect;
    bool masquerade = false;
    std::optional<nat::PrefixPair> snat_prefix;
    std::optional<nat::PrefixPair> dnat_prefix;
    std::optional<nat::PortRange> ports;
    bool persistent = false;
    bool random = false;
    std::optional<bool> hairpin;
    std::optional<nat::Dependence> mapping;
    std::optional<nat::Dependence> filtering;
    std::optional<nat::Pooling> pooling;
    std::optional<bool> parity;
    std::optional<bool> port_overlap;
    std::optional<uint32_t> ports_per_host;
    std::optional<ProgramFile> program;  // decides in place of an action
    std::string section = std::string(kDefaultSection);
    RuleAction action;

    std::string description;
    std::string owner;
    std::optional<Date> expires;  // the last day on which it counts
    bool observe = false;

    std::string text;  // as written, on one line
    config::Location location;
    bool operator==(const Rule&) const = default;
};

// The rule's NAT statement, the first if there are several; nothing without one.
std::optional<nat::NatRule> nat_rule(const Rule& rule);
// Whether it gives packets another destination; otherwise another source.
constexpr bool changes_destination(nat::NatKind kind) {
    return kind == nat::NatKind::dnat || kind == nat::NatKind::redirect || kind == nat::NatKind::dnat_prefix;
}

enum class Policy : uint8_t { accept, drop };

// A chain at a hook.
struct BaseChain {
    Policy policy = Policy::accept;
    std::vector<Rule> rules;
    config::Location location;
    bool operator==(const BaseChain&) const = default;
};

// A chain that others jump to.
struct RegularChain {
    std::string name;
    std::vector<Rule> rules;
    config::Location location;
    bool operator==(const RegularChain&) const = default;
};

// All rules of a configuration.
struct Rulebook {
    std::vector<Rule> early;
    std::map<std::pair<Table, Hook>, BaseChain> base;
    std::vector<RegularChain> chains;  // in the order of the file
    bool operator==(const Rulebook&) const = default;
};

// "filter.forward", "chains.ssh_guard", "early": what a chain is called in labels, counters and the API.
inline constexpr std::string_view kEarlyChain = "early";
std::string chain_name(Table table, Hook hook);
std::string chain_name(const RegularChain& chain);
// "filter.forward/published": identifies a rule over reloads.
std::string rule_label(std::string_view chain, std::string_view rule);
// The label that counts packets which fell to a chain's policy. No rule is called so.
std::string policy_label(std::string_view chain);

}  // namespace sluice::filter
