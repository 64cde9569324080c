#include "filter/ruleset_state.hh"

#include <algorithm>

namespace sluice::filter {

RulesetState::RulesetState(const Ruleset& ruleset, RuleCounters& counters, const StateOptions& options)
    : counters_(&counters), logs_(options.logs), alive_(options.alive) {
    RuleId end = 1;
    for (const CompiledRule& rule : ruleset.rules().rules)
        end = std::max(end, rule.id + 1);
    for (const CompiledChain& chain : ruleset.chains())
        end = std::max(end, chain.policy_id + 1);
    for (const CompiledProgram& program : ruleset.rules().programs) {
        for (const RuleId counter : program.counters)
            end = std::max(end, counter + 1);
        for (const RuleId verdict : program.verdicts)
            end = std::max(end, verdict + 1);
    }
    counters.reserve(end);
    uint64_t seed = options.seed;
    for (const Limit& limit : ruleset.limits()) {
        const LimitTerms terms = LimitTerms::of(limit, options.workers);
        auto keyed = limit.per == LimitKey::rule ? nullptr : std::make_unique<KeyedLimit>(terms, ++seed);
        limits_.push_back({limit, terms, LimitBucket(terms, options.now), std::move(keyed)});
    }
    for (const Connlimit& connlimit : ruleset.connlimits())
        connlimits_.push_back({connlimit, std::make_unique<ConnlimitTable>(++seed)});
    for (const CompiledProgram& program : ruleset.rules().programs) {
        auto& limits = program_limits_.emplace_back();
        for (const Limit& limit : program.limits)
            limits.emplace_back(LimitTerms::of(limit, options.workers), ++seed);
    }
}

bool RulesetState::limit_holds(size_t index, const RulePacket& packet) {
    LimitState& state = limits_[index];
    if (state.keyed == nullptr)
        return state.bucket.take(state.terms, packet.now) != state.limit.over;
    const auto key = LimitKeyValue::of(state.limit.per, packet);
    if (!key)
        return false;
    switch (state.keyed->take(*key, packet.now)) {
        case LimitAnswer::within:
            return !state.limit.over;
        case LimitAnswer::beyond:
            return state.limit.over;
        case LimitAnswer::full:
            break;
    }
    return false;
}

bool RulesetState::connlimit_holds(size_t index, const RulePacket& packet) {
    ConnlimitState& state = connlimits_[index];
    const auto key = LimitKeyValue::of(state.connlimit.per, packet);
    if (!key)
        return false;
    // As Linux 6.18 has it: a flow that is assured before the rule has seen it joins no list.
    const auto flows = packet.ct.status.has(conntrack::kAssured)
                           ? std::optional(state.table->count(*key, alive_))
                           : state.table->add(*key, packet.ct.id, alive_);
    return flows && *flows > state.connlimit.over;
}

uint64_t RulesetState::full_count() const {
    uint64_t sum = 0;
    for (const LimitState& state : limits_)
        sum += state.keyed == nullptr ? 0 : state.keyed->full_count();
    for (const ConnlimitState& state : connlimits_)
        sum += state.table->full_count();
    for (const auto& limits : program_limits_) {
        for (const KeyedLimit& limit : limits)
            sum += limit.full_count();
    }
    return sum;
}

}  // namespace sluice::filter
