#include "filter/trail.hh"

#include <algorithm>
#include <bit>

namespace sluice::filter {
namespace {

constexpr size_t kRulesPerPath = 8;  // room, on average

uint64_t hash(std::span<const RuleId> rules) {
    uint64_t result = 0x9e3779b97f4a7c15U + rules.size();
    for (const RuleId rule : rules)
        result = (std::rotl(result, 23) ^ rule) * 0xd6e8feb86659fd93U;
    return result ^ (result >> 32);
}

// Lists are short.
bool is_same(std::span<const RuleId> rules, const RuleId* known) {
    for (const RuleId rule : rules) {
        if (*known++ != rule)
            return false;
    }
    return *known == kNoRule;
}

}  // namespace

PathPool::PathPool(size_t paths)
    : mask_(std::bit_ceil(paths * 2) - 1),
      max_paths_(paths + 1),
      max_rules_(paths * kRulesPerPath),
      offsets_(std::make_unique<uint32_t[]>(max_paths_)),
      rules_(std::make_unique<RuleId[]>(max_rules_)),
      buckets_(std::make_unique<PathId[]>(mask_ + 1)),
      of_one_(kOfOne, false) {}

PathId PathPool::find_or_add(std::span<const RuleId> rules) {
    // There is an empty bucket, since there are twice as many as paths.
    size_t bucket = hash(rules) & mask_;
    for (; buckets_[bucket] != kNoPath; bucket = (bucket + 1) & mask_) {
        const RuleId* known = rules_.get() + offsets_[buckets_[bucket]];
        if (is_same(rules, known))
            return buckets_[bucket];
    }
    if (used_paths_ == max_paths_ || used_rules_ + rules.size() + 1 > max_rules_)
        return kNoPath;
    const auto path = static_cast<PathId>(used_paths_++);
    offsets_[path] = static_cast<uint32_t>(used_rules_);
    std::ranges::copy(rules, rules_.get() + used_rules_);
    used_rules_ += rules.size() + 1;  // what follows is kNoRule already
    buckets_[bucket] = path;
    return path;
}

}  // namespace sluice::filter
