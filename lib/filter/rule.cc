#include "filter/rule.hh"

namespace sluice::filter {

std::optional<nat::NatRule> nat_rule(const Rule& rule) {
    nat::NatRule result;
    if (!rule.dnat.empty())
        result.kind = nat::NatKind::dnat;
    else if (!rule.snat.empty())
        result.kind = nat::NatKind::snat;
    else if (rule.redirect)
        result.kind = nat::NatKind::redirect;
    else if (rule.masquerade)
        result.kind = nat::NatKind::masquerade;
    else if (rule.snat_prefix)
        result.kind = nat::NatKind::snat_prefix;
    else if (rule.dnat_prefix)
        result.kind = nat::NatKind::dnat_prefix;
    else
        return std::nullopt;
    result.targets = rule.dnat.empty() ? rule.snat : rule.dnat;
    result.ports = rule.dnat.empty() && rule.snat.empty() && rule.redirect ? rule.redirect : rule.ports;
    const auto& pair = rule.snat_prefix ? rule.snat_prefix : rule.dnat_prefix;
    if (pair && pair->from.address().is_ip6() && pair->to.address().is_ip6())
        result.prefix.emplace(pair->from, pair->to);
    result.persistent = rule.persistent;
    result.random = rule.random;
    result.hairpin = rule.hairpin;
    result.mapping = rule.mapping;
    result.filtering = rule.filtering;
    result.pooling = rule.pooling;
    result.parity = rule.parity;
    result.port_overlap = rule.port_overlap;
    result.ports_per_host = rule.ports_per_host;
    return result;
}

std::string chain_name(Table table, Hook hook) {
    return std::string(to_string(table)) + "." + std::string(to_string(hook));
}

std::string chain_name(const RegularChain& chain) {
    return "chains." + chain.name;
}

std::string rule_label(std::string_view chain, std::string_view rule) {
    return std::string(chain) + "/" + std::string(rule);
}

// Names have no parentheses.
std::string policy_label(std::string_view chain) {
    return std::string(chain) + "/(policy)";
}

}  // namespace sluice::filter
