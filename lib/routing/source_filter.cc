#include "routing/source_filter.hh"

#include <algorithm>
#include <bit>

namespace sluice::routing {

SourceFilter::SourceFilter(std::span<const InterfaceAddress> own) {
    // An IPv4 address may bring its network's broadcast addresses along. Where there are few, a source nearly
    // always meets a free place at once: a branch that is well predicted.
    constexpr size_t kLeast4 = 512;
    constexpr size_t kLeast6 = 128;
    const size_t wanted = std::bit_ceil(own.size() * 12);
    ip4_.resize(std::max(kLeast4, wanted));
    ip6_.resize(std::max(kLeast6, wanted));
    mask4_ = ip4_.size() - 1;
    mask6_ = ip6_.size() - 1;
    for (const auto& address : own) {
        if (address.address.is_ip6()) {
            add(address.address.ip6());
            continue;
        }
        add(address.address.ip4());
        if (address.has_broadcast()) {
            add(address.broadcast());
            add(address.network().address().ip4());
        }
    }
}

void SourceFilter::add(Ip4Address address) {
    if (contains(address))
        return;
    size_t at = place(address.wire().wire());
    while (ip4_[at] != 0)
        at = (at + 1) & mask4_;
    ip4_[at] = address.wire().wire();
}

void SourceFilter::add(const Ip6Address& address) {
    if (contains(address))
        return;
    size_t at = place(address);
    while (!ip6_[at].is_unspecified())
        at = (at + 1) & mask6_;
    ip6_[at] = address;
}

}  // namespace sluice::routing
