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

void check_program(const Rule& rule, Context& context) {
    if (!rule.program) {
        if (rule.section != kDefaultSection)
            context.problem_at("section", "this is where a program is, and the rule has none",
                               "expected it with program: FILE");
        return;
    }
    if (rule.action.kind != ActionKind::none)
        context.problem_at("action", "what becomes of the packet is what the program says",
                           "expected a rule without action");
}

// The families of a NAT statement's targets.
unsigned families_of(const std::vector<nat::NatTarget>& targets) {
    unsigned families = 0;
    for (const auto& target : targets)
        families |= target.first.is_ip4() ? kIp4 : kIp6;
    return families;
}

bool has_only_ports(const Rule& rule) {
    return rule.proto && !rule.proto->negated && rule.proto->sets.empty() &&
           std::ranges::all_of(rule.proto->ranges, [](const NumberRange& range) {
               return range.first == range.last &&
                      std::ranges::find(kWithPorts, range.first) != kWithPorts.end();
           });
}

// Keys that say how to translate, with what they need.
struct NatWord {
    const char* key;
    bool is_there;
    bool fits;
};

void check_nat_words(const Rule& rule, const std::optional<nat::NatRule>& nat, Context& context) {
    using nat::NatKind;
    const bool chooses = nat && !rule.snat_prefix && !rule.dnat_prefix;  // an address or a port
    const bool source = chooses && !changes_destination(nat->kind);
    const bool redirects = nat && nat->kind == NatKind::redirect;
    const NatWord words[] = {{"ports", rule.ports.has_value(), chooses && !redirects},
                             {"persistent", rule.persistent, chooses && !redirects},
                             {"random", rule.random, chooses},
                             {"hairpin", rule.hairpin.has_value(), chooses && !redirects},
                             {"mapping", rule.mapping.has_value(), source},
                             {"filtering", rule.filtering.has_value(), source},
                             {"pooling", rule.pooling.has_value(), source},
                             {"parity", rule.parity.has_value(), source},
                             {"port_overlap", rule.port_overlap.has_value(), source},
                             {"ports_per_host", rule.ports_per_host.has_value(), source}};
    for (const NatWord& word : words) {
        if (word.is_there && !word.fits)
            context.problem_at(
                word.key,
                nat ? "this says nothing about the rule's NAT statement"
                    : "this says how to translate, but the rule does not translate",
                std::string("expected ") + (source || redirects || !chooses ? "a statement it belongs to"
                                                                            : "it with snat or masquerade"));
    }
}

void check_prefixes(const char* key, const std::optional<nat::PrefixPair>& pair, const char* match,
                    bool has_match, const Rule& rule, Context& context) {
    if (!pair)
        return;
    if (!pair->from.address().is_ip6() || !pair->to.address().is_ip6())
        context.problem_at(key, "only prefixes of IPv6 can be exchanged", "expected two IPv6 prefixes");
    else if (pair->from.length() != pair->to.length())
        context.problem_at(key, "the prefixes are of different length", "expected two of the same length");
    else if (pair->from.length() > nat::PrefixTranslation::kMaxLength)
        context.problem_at(key, "the prefixes leave no interface identifier",
                           "expected a length of at most 64");
    if (has_match)
        context.problem_at(match, std::string("this is what ") + key + " says with `from`",
                           "expected either of the two");
    if (!allows(rule.family, 6))
        context.problem_at(key, "the rule's packets are not IPv6", "expected family: ip6, or none");
}

void check_nat(const Rule& rule, Context& context) {
    check_prefixes("snat_prefix", rule.snat_prefix, "saddr", rule.saddr.has_value(), rule, context);
    check_prefixes("dnat_prefix", rule.dnat_prefix, "daddr", rule.daddr.has_value(), rule, context);
    const auto nat = nat_rule(rule);
    check_nat_words(rule, nat, context);
    if (!nat)
        return;
    const char* const keys[] = {"dnat", "snat", "redirect", "masquerade", "snat_prefix", "dnat_prefix"};
    const bool there[] = {!rule.dnat.empty(), !rule.snat.empty(),           rule.redirect.has_value(),
                          rule.masquerade,    rule.snat_prefix.has_value(), rule.dnat_prefix.has_value()};
    const char* first = nullptr;
    for (size_t i = 0; i < std::size(keys); ++i) {
        if (there[i] && first != nullptr)
            context.problem_at(keys[i], std::string("the rule has ") + first + " already",
                               "expected one NAT statement a rule");
        else if (there[i])
            first = keys[i];
    }
    if (rule.action.kind != ActionKind::none)
        context.problem_at("action", std::string(first) + " ends the chain by itself",
                           "expected a rule without action");
    if (rule.notrack)
        context.problem_at("notrack", "what is not tracked cannot be translated",
                           "expected either of the two");
    const bool names_port =
        changes_destination(nat->kind) &&
        (nat->ports || std::ranges::any_of(nat->targets, [](const nat::NatTarget& target) {
             return target.ports.has_value();
         }));
    if (names_port && !has_only_ports(rule))
        context.problem_at(first, "a port needs protocols that have ports",
                           "expected proto: tcp or the like");
    if (nat->targets.empty())
        return;
    unsigned possible = (allows(rule.family, 4) ? kIp4 : 0) | (allows(rule.family, 6) ? kIp6 : 0);
    possible &= families_of(rule.saddr) & families_of(rule.daddr);
    if (possible != 0 && (possible & families_of(nat->targets)) == 0)
        context.problem_at(first, "these targets are of another family than the packets of the rule",
                           "expected one family throughout, or two rules");
}

}  // namespace

void check_rule(const Rule& rule, config::Context& context) {
    if (!config::is_name(rule.name))
        context.problem_at("name", config::quote(rule.name) + " is no name",
                           "expected letters, digits, _, . and -");
    check_families(rule, context);
    check_protocols(rule, context);
    check_statements(rule, context);
    check_program(rule, context);
    check_nat(rule, context);
}

}  // namespace sluice::filter
