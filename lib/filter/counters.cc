#include "filter/counters.hh"

#include <algorithm>
#include <stdexcept>

namespace sluice::filter {

RuleCounters::RuleCounters() {
    reserve(1);
}

void RuleCounters::reserve(RuleId end) {
    for (size_t chunk = 0; chunk * kChunk < end; ++chunk) {
        if (chunks_[chunk] == nullptr)
            chunks_[chunk] = std::make_unique<OfRule[]>(kChunk);
    }
}

RuleCounts RuleCounters::read(RuleId rule) const {
    const auto& chunk = chunks_[rule / kChunk];
    return chunk == nullptr ? RuleCounts{} : chunk[rule % kChunk].read();
}

RuleCounts RuleCounters::OfRule::read() const {
    return {packets_.read(), bytes_.read(), Instant(Duration(static_cast<int64_t>(last_hit_.read())))};
}

RuleId RuleDirectory::number(std::string_view label) {
    const auto found = numbers_.find(label);
    if (found != numbers_.end()) {
        labels_[found->second].generation = generation_;
        return found->second;
    }
    RuleId id = 0;
    if (!free_.empty()) {
        id = free_.back();
        free_.pop_back();
    } else {
        if (labels_.size() == kMaxRules)
            throw std::length_error("more than " + std::to_string(kMaxRules) + " rules");
        id = static_cast<RuleId>(labels_.size());
        labels_.emplace_back();
    }
    labels_[id].text = label;
    labels_[id].generation = generation_;
    numbers_.emplace(std::string(label), id);
    return id;
}

void RuleDirectory::begin() {
    ++generation_;
}

void RuleDirectory::end(const std::vector<const RuleCounters*>& workers) {
    for (const RuleId id : given_up_) {
        reset(id, workers);
        free_.push_back(id);
    }
    given_up_.clear();
    for (RuleId id = 1; id < labels_.size(); ++id) {
        if (labels_[id].generation == generation_ || labels_[id].text.empty())
            continue;
        numbers_.erase(labels_[id].text);
        labels_[id].text.clear();
        given_up_.push_back(id);
    }
}

std::string_view RuleDirectory::label(RuleId rule) const {
    return rule < labels_.size() ? std::string_view(labels_[rule].text) : std::string_view();
}

RuleId RuleDirectory::find(std::string_view label) const {
    const auto found = numbers_.find(label);
    return found == numbers_.end() ? kNoRule : found->second;
}

namespace {

RuleCounts counted(RuleId rule, const std::vector<const RuleCounters*>& workers) {
    RuleCounts sum;
    for (const RuleCounters* worker : workers) {
        const RuleCounts counts = worker->read(rule);
        sum.packets += counts.packets;
        sum.bytes += counts.bytes;
        sum.last_hit = std::max(sum.last_hit, counts.last_hit);
    }
    return sum;
}

}  // namespace

RuleCounts RuleDirectory::sum(RuleId rule, const std::vector<const RuleCounters*>& workers) const {
    RuleCounts result = counted(rule, workers);
    const RuleCounts& before = labels_[rule].before;
    result.packets -= before.packets;
    result.bytes -= before.bytes;
    if (result.packets == 0)
        result.last_hit = Instant{};
    return result;
}

void RuleDirectory::reset(RuleId rule, const std::vector<const RuleCounters*>& workers) {
    labels_[rule].before = counted(rule, workers);
}

}  // namespace sluice::filter
