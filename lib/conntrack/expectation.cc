#include "conntrack/expectation.hh"

namespace sluice::conntrack {
namespace {

bool same_destination(const Tuple& a, const Tuple& b) {
    return a.family() == b.family() && a.protocol() == b.protocol() && a.dport == b.dport &&
           a.destination_bytes() == b.destination_bytes();
}

// Is there a packet that meets both?
bool overlap(const Expectation& a, const Expectation& b) {
    return (!a.source_known || !b.source_known || a.tuple.source_bytes() == b.tuple.source_bytes()) &&
           (!a.source_port_known || !b.source_port_known || a.tuple.sport == b.tuple.sport);
}

bool same(const Expectation& a, const Expectation& b) {
    return a.source_known == b.source_known && a.source_port_known == b.source_port_known && overlap(a, b);
}

bool meets(const Expectation& expectation, const Tuple& first) {
    return same_destination(expectation.tuple, first) &&
           (!expectation.source_known || expectation.tuple.source_bytes() == first.source_bytes()) &&
           (!expectation.source_port_known || expectation.tuple.sport == first.sport);
}

}  // namespace

Expectations::Expectations(const TupleHash& hash, Counters& counters)
    : hash_(hash), counters_(&counters), entries_(kCapacity), index_(kCapacity), by_master_(kCapacity) {
    for (uint32_t place = 0; place < kCapacity; ++place)
        entries_[place].newer = place + 1 < kCapacity ? place + 1 : kNone;
}

uint64_t Expectations::hash_of(const Tuple& tuple) const {
    return hash_(Tuple(tuple.destination(), tuple.destination(), tuple.protocol(), 0, tuple.dport));
}

void Expectations::remove(uint32_t place) {
    auto& entry = entries_[place];
    index_.erase(hash_of(entry.expectation.tuple), place);
    by_master_.erase(hash_of(entry.expectation.master_id), place);
    (entry.older != kNone ? entries_[entry.older].newer : oldest_) = entry.newer;
    (entry.newer != kNone ? entries_[entry.newer].older : newest_) = entry.older;
    entry.newer = free_;
    free_ = place;
    --size_;
    counters_->add(Count::expect_delete);
}

uint64_t Expectations::hash_of(uint32_t master) {
    return (uint64_t{master} + 1) * 0x9e3779b97f4a7c15U;  // ids count up: nobody chooses them
}

bool Expectations::add(const Expectation& expectation, Ticks now) {
    expire(now);
    const uint64_t hash = hash_of(expectation.tuple);
    const uint32_t rival = index_.find(hash, [&](uint32_t place) {
        const auto& other = entries_[place].expectation;
        return same_destination(other.tuple, expectation.tuple) && overlap(other, expectation);
    });
    if (rival != kNone) {
        const auto& other = entries_[rival].expectation;
        if (other.master_id != expectation.master_id || !same(other, expectation))
            return false;
        remove(rival);
    }
    forget(expectation.master_id);
    if (free_ == kNone || !index_.insert(hash, free_))
        return false;
    if (!by_master_.insert(hash_of(expectation.master_id), free_)) {
        index_.erase(hash, free_);
        return false;
    }
    const uint32_t place = free_;
    free_ = entries_[place].newer;
    entries_[place] = {.expectation = expectation,
                       .deadline = now + static_cast<Ticks>(kTimeout.count() >> kTickShift),
                       .older = newest_,
                       .newer = kNone};
    (newest_ != kNone ? entries_[newest_].newer : oldest_) = place;
    newest_ = place;
    ++size_;
    counters_->add(Count::expect_create);
    return true;
}

std::optional<Expectation> Expectations::take(const Tuple& first, Ticks now) {
    if (size_ == 0) [[likely]]
        return std::nullopt;
    const uint32_t place = index_.find(hash_of(first), [&](uint32_t at) {
        return !is_due(entries_[at].deadline, now) && meets(entries_[at].expectation, first);
    });
    if (place == kNone)
        return std::nullopt;
    const auto result = entries_[place].expectation;
    remove(place);
    return result;
}

const Expectation* Expectations::of(uint32_t master) const {
    if (size_ == 0)
        return nullptr;
    const uint32_t place = by_master_.find(
        hash_of(master), [&](uint32_t at) { return entries_[at].expectation.master_id == master; });
    return place == kNone ? nullptr : &entries_[place].expectation;
}

void Expectations::forget(uint32_t master) {
    if (size_ == 0) [[likely]]
        return;
    const uint32_t place = by_master_.find(
        hash_of(master), [&](uint32_t at) { return entries_[at].expectation.master_id == master; });
    if (place != kNone)
        remove(place);
}

void Expectations::expire(Ticks now) {
    while (oldest_ != kNone && is_due(entries_[oldest_].deadline, now))
        remove(oldest_);
}

}  // namespace sluice::conntrack
