#include "nat/port_spaces.hh"

#include <algorithm>

namespace sluice::nat {

PortSpaces::PortSpaces(size_t capacity, size_t hold_down, const PortShare& share,
                       const conntrack::TupleHash& hash)
    : capacity_(capacity), share_(share), hash_(hash), index_(capacity), holds_(hold_down) {
    spaces_.reserve(capacity);
    owners_.reserve(capacity);
}

uint64_t PortSpaces::hash_of(const IpAddress& external, wire::IpProtocol protocol) const {
    return hash_between(hash_, external, 0, external, 0, protocol);
}

PortSpaceRef PortSpaces::find(const IpAddress& external, wire::IpProtocol protocol) const {
    return index_.find(hash_of(external, protocol), [&](PortSpaceRef ref) {
        return owners_[ref].protocol == protocol && owners_[ref].external == external;
    });
}

PortSpaceRef PortSpaces::open(const IpAddress& external, wire::IpProtocol protocol) {
    PortSpaceRef ref = find(external, protocol);
    if (ref != kNoPortSpace)
        return ref;
    auto made = std::make_unique<PortSpace>(share_);
    if (spaces_.size() < capacity_) {
        ref = static_cast<PortSpaceRef>(spaces_.size());
        spaces_.push_back(std::move(made));
        owners_.push_back({external, protocol});
    } else {
        const auto idle = std::ranges::find_if(spaces_, [](const auto& space) { return space->is_idle(); });
        if (idle == spaces_.end())
            return kNoPortSpace;
        ref = static_cast<PortSpaceRef>(idle - spaces_.begin());
        index_.erase(hash_of(owners_[ref].external, owners_[ref].protocol), ref);
        *idle = std::move(made);
        owners_[ref] = {external, protocol};
    }
    if (external.is_ip4()) {
        const uint32_t bit = bit_of(external.ip4());
        addresses_[bit / 64] |= uint64_t{1} << bit % 64;
    }
    // Were the index out of luck, the space would be found by nobody and be replaced like any idle one.
    return index_.insert(hash_of(external, protocol), ref) ? ref : kNoPortSpace;
}

void PortSpaces::hold(PortSpaceRef ref, uint16_t port, Instant until) {
    if (holds_.empty()) {
        spaces_[ref]->give_back(port);
        ++cut_short_;
        return;
    }
    if (held_ == holds_.size()) {
        end_first_hold();
        ++cut_short_;
    }
    spaces_[ref]->hold();
    size_t place = first_hold_ + held_++;
    if (place >= holds_.size())
        place -= holds_.size();
    holds_[place] = {.until = until, .space = ref, .port = port};
}

void PortSpaces::end_first_hold() {
    const Hold& hold = holds_[first_hold_];
    spaces_[hold.space]->end_hold(hold.port);
    if (++first_hold_ == holds_.size())
        first_hold_ = 0;
    --held_;
}

bool PortSpaces::expire(Instant now, size_t budget) {
    for (; held_ != 0 && holds_[first_hold_].until <= now; --budget) {
        if (budget == 0)
            return false;
        end_first_hold();
    }
    return true;
}

}  // namespace sluice::nat
