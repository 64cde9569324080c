#include "steering/flow_homes.hh"

#include "nat/port_search.hh"

namespace sluice::steering {

using conntrack::Direction;
using conntrack::Tuple;

Tuple from_anywhere(const Tuple& tuple) {
    const IpAddress nowhere = tuple.family() == Family::ip4 ? IpAddress(Ip4Address{}) : Ip6Address{};
    return {nowhere, tuple.destination(), tuple.protocol(), 0, tuple.dport};
}

namespace {

// Whether flows of several workers may come to have answers of one tuple: where these are told by addresses
// alone, and where packets to several destinations go to one. Ports of source NAT are of one worker each.
bool may_meet_others(const conntrack::Flow& flow) {
    return flow.status.has_any(conntrack::kDnat) ||
           (flow.status.has_any(conntrack::kSnat) && !nat::has_port(flow.protocol()));
}

}  // namespace

bool FlowHomes::began(conntrack::Flow& flow) {
    // Without translation one direction mirrors the other, and the hash is the same for both.
    const bool is_mirrored =
        plan_->only_spreads() && !flow.status.has_any(conntrack::kSnat | conntrack::kDnat);
    for (const auto direction : {Direction::original, Direction::reply}) {
        const Tuple tuple = flow.tuple(direction);
        const bool is_claimed = direction == Direction::reply && may_meet_others(flow);
        if (is_home(tuple) && !is_claimed) [[likely]] {
            if (is_mirrored)
                return true;
            continue;
        }
        flow.status.set(kPublished);
        const auto hash = directory_.hash(tuple);
        if (!(is_claimed ? directory_.claim(hash, self_) : directory_.publish(hash, self_)))
            return false;
    }
    return true;
}

void FlowHomes::ended(const conntrack::Flow& flow) {
    for (const auto direction : {Direction::original, Direction::reply})
        directory_.withdraw(directory_.hash(flow.tuple(direction)), self_);
}

bool FlowHomes::expects(const conntrack::Expectation& expectation, Instant now) {
    // Where flows are expected, the source port does not count to the plan.
    if (expectation.source_known && is_home(expectation.tuple))
        return true;
    if (expected_.empty())
        expected_.resize(conntrack::Expectations::kCapacity);
    if (count_ == expected_.size())
        return false;
    const auto hash = directory_.hash(from_anywhere(expectation.tuple));
    if (!directory_.publish(hash, self_))
        return false;
    expected_[(first_ + count_++) % expected_.size()] = {hash, now + conntrack::Expectations::kTimeout};
    return true;
}

void FlowHomes::expire(Instant now) {
    while (count_ != 0 && expected_[first_].until <= now) {
        // One that was published again counts from then on.
        const auto over = expected_[first_];
        first_ = (first_ + 1) % expected_.size();
        --count_;
        bool again = false;
        for (size_t i = 0; i < count_ && !again; ++i)
            again = expected_[(first_ + i) % expected_.size()].hash == over.hash;
        if (!again)
            directory_.withdraw(over.hash, self_);
    }
}

}  // namespace sluice::steering
