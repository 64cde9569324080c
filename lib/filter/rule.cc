#include "filter/rule.hh"

namespace sluice::filter {

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
