#include "telemetry/cause_limit.hh"

#include <algorithm>
#include <utility>

namespace sluice::telemetry {

CauseLimit::Bucket& CauseLimit::bucket(std::string_view cause) {
    const auto found = buckets_.find(cause);
    if (found != buckets_.end())
        return found->second;
    return buckets_[buckets_.size() < max_causes_ ? std::string(cause) : "other"];
}

CauseLimit::Admission CauseLimit::admit(std::string_view cause, Instant now) {
    Bucket& one = bucket(cause);
    const Instant full_at = std::max(one.full_at, now);
    if (full_at - now > tolerance_) {
        ++one.suppressed;
        ++total_;
        return {};
    }
    one.full_at = full_at + refill_;
    return {true, std::exchange(one.suppressed, 0)};
}

std::vector<CauseLimit::Suppressed> CauseLimit::quiet(Instant now) {
    std::vector<Suppressed> result;
    for (auto& [cause, one] : buckets_) {
        if (one.suppressed > 0 && one.full_at - now <= tolerance_)
            result.push_back({cause, std::exchange(one.suppressed, 0)});
    }
    return result;
}

std::vector<CauseLimit::Suppressed> CauseLimit::all() {
    return quiet(Instant::max());
}

}  // namespace sluice::telemetry
