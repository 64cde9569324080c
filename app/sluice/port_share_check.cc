#include "sluice/port_share_check.hh"

#include <algorithm>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nat/settings.hh"

namespace sluice {
namespace {

// 1 where it depends on the machine.
size_t number_of(const dpdk::Workers& workers) {
    if (const auto* number = std::get_if<uint32_t>(&workers))
        return *number;
    const auto* cpus = std::get_if<std::vector<uint32_t>>(&workers);
    return cpus != nullptr ? cpus->size() : 1;
}

// Blocks lie in turn, so that it is their number that counts.
size_t blocks_in(const nat::PortRange& range) {
    return size_t{range.last} / nat::kPortBlock - range.first / nat::kPortBlock + 1;
}

// The most blocks that one of the rule's ranges has; none if it gives out ports without a range.
std::optional<size_t> most_blocks(const nat::NatRule& rule) {
    if (rule.targets.empty())
        return rule.ports ? std::optional(blocks_in(*rule.ports)) : std::nullopt;
    size_t most = 0;
    for (const auto& target : rule.targets) {
        const auto& ports = rule.ports_of(target);
        if (!ports)
            return std::nullopt;
        most = std::max(most, blocks_in(*ports));
    }
    return most;
}

}  // namespace

void check_port_shares(const filter::Rulebook& book, const dpdk::Workers& workers,
                       config::Problems& problems) {
    const size_t count = number_of(workers);
    const auto check = [&](const std::vector<filter::Rule>& rules) {
        for (const auto& rule : rules) {
            const auto statement = filter::nat_rule(rule);
            if (!statement || filter::changes_destination(statement->kind))
                continue;
            const auto blocks = most_blocks(*statement);
            if (blocks && *blocks < count)
                problems.add(rule.location.inside(rule.ports ? "ports" : "snat"),
                             "the range leaves some of the " + std::to_string(count) +
                                 " workers without ports, which they have in blocks of " +
                                 std::to_string(nat::kPortBlock),
                             "expected at least " + std::to_string(count * nat::kPortBlock) +
                                 " ports, or fewer engine.workers");
        }
    };
    for (const auto& [at, chain] : book.base)
        check(chain.rules);
    for (const auto& chain : book.chains)
        check(chain.rules);
}

}  // namespace sluice
