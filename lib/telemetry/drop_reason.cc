#include "telemetry/drop_reason.hh"

#include <algorithm>

namespace sluice::telemetry {

std::string_view to_string(DropFamily family) {
    return family == DropFamily::policy ? "policy" : "error";
}

void DropCatalog::add(std::span<const DropInfo> reasons) {
    all_.insert(all_.end(), reasons.begin(), reasons.end());
}

const DropInfo* DropCatalog::find(DropReason reason) const {
    const auto found = std::ranges::find(all_, reason, &DropInfo::reason);
    return found == all_.end() ? nullptr : &*found;
}

}  // namespace sluice::telemetry
