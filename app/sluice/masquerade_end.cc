#include "sluice/masquerade_end.hh"

#include <algorithm>
#include <utility>
#include <vector>

#include "nat/flow_translation.hh"

namespace sluice {
namespace {

// Those that interfaces had before and no longer have.
std::vector<IpAddress> addresses_lost(const pipeline::Interfaces& before, const pipeline::Interfaces& after) {
    std::vector<IpAddress> lost;
    for (const auto& interface : before.all()) {
        const auto same = std::ranges::find(after.all(), interface.name, &pipeline::Interface::name);
        for (const auto& own : interface.addresses) {
            const bool stays =
                same != after.all().end() && std::ranges::any_of(same->addresses, [&own](const auto& one) {
                    return one.address == own.address;
                });
            if (!stays)
                lost.push_back(own.address);
        }
    }
    return lost;
}

}  // namespace

conntrack::FlowCondition ends_with_address(const pipeline::Interfaces& before,
                                           const pipeline::Interfaces& after) {
    auto lost = addresses_lost(before, after);
    if (lost.empty())
        return nullptr;
    return [lost = std::move(lost)](const conntrack::Flow& flow, Instant) {
        const auto is_lost = [&lost](const IpAddress& address) {
            return std::ranges::find(lost, address) != lost.end();
        };
        using enum conntrack::Direction;
        return (flow.status.has(nat::kMasqueraded) && is_lost(flow.tuple(reply).destination())) ||
               (flow.status.has(conntrack::kMappedDestination) &&
                is_lost(flow.tuple(original).destination()));
    };
}

}  // namespace sluice
