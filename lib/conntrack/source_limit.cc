#include "conntrack/source_limit.hh"

namespace sluice::conntrack {

void SourceLimit::prepare() {
    if (!entries_.empty())
        return;
    index_ = table::FlowIndex(sources_);
    entries_ = {sources_, true};
}

uint64_t SourceLimit::hash_of(const Tuple& original, InterfaceId in) const {
    return hash_(
        Tuple(original.source(), original.source(), wire::IpProtocol{}, static_cast<uint16_t>(index(in))));
}

uint32_t SourceLimit::find(uint64_t hash, const Tuple& original, InterfaceId in) const {
    return index_.find(hash, [&](uint32_t place) {
        const auto& entry = entries_[place];
        return entry.in == in && entry.family == original.family() &&
               entry.address == original.source_bytes();
    });
}

bool SourceLimit::take(const Tuple& original, InterfaceId in, uint32_t most) {
    const uint64_t hash = hash_of(original, in);
    const uint32_t place = find(hash, original, in);
    if (place != kNone) {
        if (entries_[place].flows >= most)
            return false;
        ++entries_[place].flows;
        return true;
    }
    // There are as many places as flows, so one is free unless the index is out of luck.
    const bool is_reused = free_ != kNone;
    const uint32_t fresh = is_reused ? free_ : used_;
    if (most == 0 || fresh == entries_.size() || !index_.insert(hash, fresh))
        return false;
    if (is_reused)
        free_ = entries_[fresh].flows;
    else
        ++used_;
    entries_[fresh] = {.address = original.source_bytes(), .flows = 1, .in = in, .family = original.family()};
    return true;
}

void SourceLimit::give_back(const Tuple& original, InterfaceId in) {
    const uint64_t hash = hash_of(original, in);
    const uint32_t place = find(hash, original, in);
    if (place == kNone || --entries_[place].flows != 0)
        return;
    index_.erase(hash, place);
    entries_[place].flows = free_;
    free_ = place;
}

}  // namespace sluice::conntrack
