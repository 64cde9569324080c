#include "nat/held_syns.hh"

#include <algorithm>

namespace sluice::nat {
namespace {

uint32_t key_of(const conntrack::Tuple& tuple) {
    const auto& source = tuple.source_bytes();
    const uint32_t address =
        tuple.family() == Family::ip4 ? wire::read32(source.data()) : wire::read32(source.data() + 12);
    const uint32_t key = address ^ (uint32_t{tuple.sport} << 16 | tuple.dport);
    return key == 0 ? 1 : key;
}

}  // namespace

std::optional<size_t> HeldSyns::find(const conntrack::Tuple& tuple) const {
    const uint32_t key = key_of(tuple);
    for (size_t number = 0; number < count_; ++number) {
        const size_t at = place(number);
        if (keys_[at] == key && (*syns_)[at].tuple == tuple)
            return at;
    }
    return std::nullopt;
}

void HeldSyns::hold(const conntrack::Tuple& tuple, InterfaceId in, wire::Bytes packet, Instant until) {
    if (count_ == kMost || packet.size() > HeldSyn::kMaxSize || find(tuple))
        return;
    const size_t at = place(count_++);
    keys_[at] = key_of(tuple);
    HeldSyn& held = (*syns_)[at];
    held.tuple = tuple;
    held.until = until;
    held.in = in;
    held.size = static_cast<uint16_t>(packet.size());
    std::ranges::copy(packet, held.packet.begin());
}

void HeldSyns::drop_forgotten() {
    while (count_ != 0 && keys_[first_] == 0) {
        first_ = (first_ + 1) % kMost;
        --count_;
    }
}

void HeldSyns::forget(const conntrack::Tuple& answer) {
    if (const auto at = find(answer))
        keys_[*at] = 0;
    drop_forgotten();
}

std::optional<Instant> HeldSyns::next() const {
    return empty() ? std::nullopt : std::optional((*syns_)[first_].until);
}

const HeldSyn* HeldSyns::take_due(Instant now) {
    if (empty() || now < (*syns_)[first_].until)
        return nullptr;
    const HeldSyn& due = (*syns_)[first_];
    keys_[first_] = 0;
    drop_forgotten();
    return &due;
}

}  // namespace sluice::nat
