// Contradictions within one rule: a rule that says such things would never match, which nobody means.
#include <algorithm>
#include <array>

#include "filter/config.hh"

namespace sluice::filter {
namespace {

using config::Context;

constexpr unsigned kIp4 = 1;
constexpr unsigned kIp6 = 2;
constexpr unsigned kBoth = kIp4 | kIp6;

constexpr uint32_t kIcmp = 1;
constexpr uint32_t kTcp = 6;
constexpr uint32_t kIcmpv6 = 58;
constexpr std::array<uint32_t, 5> kWithPorts{kTcp, 17, 132, 136, 33};

bool allows(const NumberMatch& match, uint32_t number) {
    if (!match.sets.empty())
        return true;
    const bool listed = std::ranges::any_of(match.ranges, [&](const NumberRange& range) {
        return range.first <= number && number <= range.last;
    });
    return listed != match.negated;
}

template <typename Match>
bool allows(const std::optional<Match>& match, uint32_t number) {
    return !match || allows(static_cast<const NumberMatch&>(*match), number);
}

// The families whose packets the addresses can be in.
unsigned families_of(const std::optional<AddressMatch>& match) {
    if (!match || !match->sets.empty())
        return kBoth;
    unsigned families = 0;
    for (const AddressRange& range : match->ranges)
        families |= range.first.is_ip4() ? kIp4 : kIp6;
    return families;
}

void check_families(const Rule& rule, Context& context) {
    unsigned possible = (allows(rule.family, 4) ? kIp4 : 0) | (allows(rule.family, 6) ? kIp6 : 0);
    const auto restrict = [&](const char* key, bool is_there, unsigned families) {
        if (is_there && possible != 0 && (possible & families) == 0)
            context.problem_at(key,
                               "this is of another family than the rest of the rule, which matches nothing",
                               "expected one family throughout, or two rules");
        possible &= families;
    };
    restrict("saddr", rule.saddr.has_value(), families_of(rule.saddr));
    restrict("daddr", rule.daddr.has_value(), families_of(rule.daddr));
    restrict("icmp_type", rule.icmp_type.has_value(), rule.icmp_type ? kIp4 : kBoth);
    restrict("icmpv6_type", rule.icmpv6_type.has_value(), rule.icmpv6_type ? kIp6 : kBoth);
    restrict("exthdr", rule.exthdr.has_value(), rule.exthdr ? kIp6 : kBoth);
}

void check_protocols(const Rule& rule, Context& context) {
    const auto need = [&](const char* key, bool is_there, bool possible, const char* protocol) {
        if (is_there && !possible)
            context.problem_at(key,
                               "packets of this rule's proto do not have this, so that it matches nothing",
                               std::string("expected proto: ") + protocol);
    };
    const bool ports =
        std::ranges::any_of(kWithPorts, [&](uint32_t protocol) { return allows(rule.proto, protocol); });
    need("sport", rule.sport.has_value(), ports, "tcp, udp, udplite, sctp or dccp");
    need("dport", rule.dport.has_value(), ports, "tcp, udp, udplite, sctp or dccp");
    need("icmp_type", rule.icmp_type.has_value(), allows(rule.proto, kIcmp), "icmp");
    need("icmpv6_type", rule.icmpv6_type.has_value(), allows(rule.proto, kIcmpv6), "icmpv6");
    need("tcp_flags", rule.tcp_flags.has_value(), allows(rule.proto, kTcp), "tcp");
}

bool is_tcp_only(const Rule& rule) {
    return rule.proto && !rule.proto->negated && rule.proto->sets.empty() &&
           std::ranges::all_of(rule.proto->ranges, [](const NumberRange& range) {
               return range.first == kTcp && range.last == kTcp;
           });
}

void check_statements(const Rule& rule, Context& context) {
    if (rule.mss && !is_tcp_only(rule))
        context.problem_at("mss", "only TCP has an MSS", "expected proto: tcp");
    const bool resets = rule.action.kind == ActionKind::reject && rule.action.reject == RejectKind::tcp_reset;
    if (resets && rule.proto && !is_tcp_only(rule))
        context.problem_at("action", "only TCP is answered by a reset",
                           "expected proto: tcp, or reject without a kind, which resets TCP alone");
}

}  // namespace

void check_rule(const Rule& rule, config::Context& context) {
    if (!config::is_name(rule.name))
        context.problem_at("name", config::quote(rule.name) + " is no name",
                           "expected letters, digits, _, . and -");
    check_families(rule, context);
    check_protocols(rule, context);
    check_statements(rule, context);
}

}  // namespace sluice::filter
