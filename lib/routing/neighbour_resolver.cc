#include "routing/neighbour_resolver.hh"

#include <algorithm>
#include <utility>

#include "routing/neighbour_frames.hh"

namespace sluice::routing {

NeighbourResolver::NeighbourResolver(NeighbourTable& table, GracePeriod& grace, Random& random,
                                     NeighbourMode mode, const NeighbourLimits& limits,
                                     const NeighbourTiming& timing)
    : table_(table),
      grace_(grace),
      random_(random),
      mode_(mode),
      limits_(limits),
      timing_(timing),
      entries_(table.slot_count()),
      allowances_(kMaxInterfaces, table::TokenBucket(limits.new_per_second, limits.new_per_second)) {}

NeighbourResolver::~NeighbourResolver() = default;

void NeighbourResolver::configure(std::vector<NeighbourInterface> interfaces,
                                  std::span<const StaticNeighbour> neighbours, Instant now) {
    const NeighbourLinkSet old = std::exchange(links_, NeighbourLinkSet(std::move(interfaces)));
    for (const NeighbourIndex index : std::vector(live_)) {
        const NeighbourKey& key = table_.key(index);
        const auto* before = old.find(key.interface);
        const auto* after = links_.find(key.interface);
        const bool same_interface = before != nullptr && after != nullptr && before->name == after->name;
        const bool still_static = std::ranges::any_of(
            neighbours, [&](const StaticNeighbour& neighbour) { return neighbour.key == key; });
        if (!same_interface || (entry(index).configured && !still_static))
            forget(index, NeighbourDropReason::interface_down);
    }
    for (const auto& neighbour : neighbours) {
        NeighbourIndex index = find(neighbour.key.interface, neighbour.key.address);
        if (index == kNoNeighbour)
            index = create(neighbour.key.interface, neighbour.key.address, now);
        if (index == kNoNeighbour)
            continue;  // the table is full of others of its kind; listed nowhere, resolved when asked for
        entry(index).configured = true;
        set_permanent(index, neighbour.mac, now);
    }
    for (const auto& interface : links_.all()) {
        if (!interface.up)
            continue;
        const auto* before = old.find(interface.id);
        const bool known =
            before != nullptr && before->up && before->name == interface.name && before->mac == interface.mac;
        for (const auto& own : interface.addresses) {
            if (!known || std::ranges::find(before->addresses, own) == before->addresses.end())
                announce(interface, own.address);
        }
    }
}

NeighbourIndex NeighbourResolver::pin(InterfaceId interface, const IpAddress& address, Instant now) {
    NeighbourIndex index = find(interface, address);
    if (index == kNoNeighbour)
        index = create(interface, address, now);
    if (index == kNoNeighbour)
        return kNoNeighbour;
    Entry& pinned = entry(index);
    ++pinned.pins;
    if (mode_ == NeighbourMode::derive && pinned.state == NeighbourState::none)
        set_permanent(index, derived_mac(address), now);
    return index;
}

void NeighbourResolver::unpin(NeighbourIndex index) {
    Entry& pinned = entry(index);
    if (--pinned.pins == 0 && pinned.state == NeighbourState::none)
        erase(index);
}

void NeighbourResolver::resolve(InterfaceId out, const IpAddress& address, HeldPacket packet, Instant now) {
    const NeighbourInterface* interface = links_.find(out);
    if (interface == nullptr || !interface->up)
        return drop(out, address, NeighbourDropReason::interface_down, std::move(packet));
    NeighbourIndex index = find(out, address);
    if (index != kNoNeighbour && table_.link(index).usable()) {
        table_.mark_used(index);
        actions_.released.push_back({out, table_.link(index).mac(), std::move(packet)});
        return;
    }
    if (mode_ == NeighbourMode::strict)
        return drop(out, address, NeighbourDropReason::unresolved, std::move(packet));
    if (index == kNoNeighbour) {
        if (mode_ == NeighbourMode::ask && !take_allowance(out, now))
            return drop(out, address, NeighbourDropReason::rate_limited, std::move(packet));
        index = create(out, address, now);
        if (index == kNoNeighbour)
            return drop(out, address, NeighbourDropReason::table_full, std::move(packet));
    }
    hold(index, std::move(packet));
    if (mode_ == NeighbourMode::derive) {
        set_permanent(index, derived_mac(address), now);
    } else if (entry(index).state != NeighbourState::incomplete) {
        begin_incomplete(index, now);
    }
}

void NeighbourResolver::confirm(InterfaceId interface, const IpAddress& address, Instant now) {
    const NeighbourIndex index = find(interface, address);
    if (index == kNoNeighbour || !table_.link(index).usable() ||
        entry(index).state == NeighbourState::permanent)
        return;
    set_state(index, NeighbourState::reachable, now);
}

void NeighbourResolver::on_link_up(InterfaceId id, Instant) {
    NeighbourInterface* interface = links_.find(id);
    if (interface == nullptr || std::exchange(interface->up, true))
        return;
    for (const auto& own : interface->addresses)
        announce(*interface, own.address);
}

void NeighbourResolver::on_link_down(InterfaceId id, Instant) {
    NeighbourInterface* interface = links_.find(id);
    if (interface == nullptr)
        return;
    interface->up = false;
    for (const NeighbourIndex index : std::vector(live_)) {
        if (table_.key(index).interface == id && entry(index).state != NeighbourState::permanent)
            forget(index, NeighbourDropReason::interface_down);
    }
}

void NeighbourResolver::tick(Instant now) {
    table_.reclaim(grace_);
    for (const NeighbourIndex index : std::vector(live_))
        tick_entry(index, now);
}

// RFC 4861 7.3.3, appendix C; for ARP the same, as Linux has it.
void NeighbourResolver::tick_entry(NeighbourIndex index, Instant now) {
    Entry& due = entry(index);
    if (due.state == NeighbourState::stale)
        return tick_stale(index, now);
    if (due.state == NeighbourState::failed) {
        if (due.pins == 0 && now - due.since >= timing_.stale_unused)
            erase(index);
        return;
    }
    if (due.state == NeighbourState::none || due.state == NeighbourState::permanent || now < due.deadline)
        return;
    if (due.state == NeighbourState::reachable)
        return set_state(index, NeighbourState::stale, now);
    if (due.state == NeighbourState::delay) {
        set_state(index, NeighbourState::probe, now);
        return ask(index);
    }
    if (due.requests < timing_.requests) {
        due.deadline = now + timing_.retransmit;
        return ask(index);
    }
    ++counters_.failures;
    drop_held(index, NeighbourDropReason::unresolved);
    set_state(index, NeighbourState::failed, now);
}

void NeighbourResolver::tick_stale(NeighbourIndex index, Instant now) {
    Entry& stale = entry(index);
    if (table_.take_used(index)) {
        stale.last_used = now;
        return set_state(index, NeighbourState::delay, now);
    }
    if (stale.pins == 0 && live_.size() > limits_.keep && now - stale.last_used >= timing_.stale_unused)
        forget(index, NeighbourDropReason::evicted);
}

void NeighbourResolver::ask(NeighbourIndex index) {
    const NeighbourKey& key = table_.key(index);
    const NeighbourInterface* interface = links_.find(key.interface);
    if (interface == nullptr)
        return;
    Entry& asked = entry(index);
    ++asked.requests;
    ++counters_.requests_sent;
    std::optional<MacAddress> known;
    if (asked.state == NeighbourState::probe)
        known = table_.link(index).mac();
    if (key.address.is_ip4()) {
        const Ip4Address target = key.address.ip4();
        actions_.frames.push_back(arp_frame(key.interface, known.value_or(kBroadcastMac),
                                            {wire::ArpOperation::request, interface->mac,
                                             links_.source_for(*interface, target), MacAddress{}, target}));
    } else {
        actions_.frames.push_back(solicitation_frame(key.interface, interface->mac,
                                                     NeighbourLinkSet::link_local(*interface),
                                                     key.address.ip6(), known));
    }
}

// RFC 5227 2.3 (an ARP request that asks for its own sender), RFC 4861 7.2.6.
void NeighbourResolver::announce(const NeighbourInterface& interface, const IpAddress& address) {
    if (mode_ != NeighbourMode::ask)
        return;  // nobody is there to listen
    ++counters_.announcements_sent;
    if (address.is_ip4()) {
        actions_.frames.push_back(arp_frame(
            interface.id, kBroadcastMac,
            {wire::ArpOperation::request, interface.mac, address.ip4(), MacAddress{}, address.ip4()}));
    } else {
        actions_.frames.push_back(advertisement_frame(interface.id, interface.mac, multicast_mac(kAllNodes),
                                                      address.ip6(), kAllNodes,
                                                      {.target = address.ip6(),
                                                       .router = true,
                                                       .solicited = false,
                                                       .override_cache = true,
                                                       .target_mac = interface.mac}));
    }
}

std::optional<Instant> NeighbourResolver::next_deadline() const {
    std::optional<Instant> result;
    for (const NeighbourIndex index : live_) {
        const Entry& candidate = entry(index);
        switch (candidate.state) {
            case NeighbourState::incomplete:
            case NeighbourState::reachable:
            case NeighbourState::delay:
            case NeighbourState::probe:
                if (!result || candidate.deadline < *result)
                    result = candidate.deadline;
                break;
            case NeighbourState::none:
            case NeighbourState::stale:
            case NeighbourState::failed:
            case NeighbourState::permanent:
                break;
        }
    }
    return result;
}

NeighbourActions NeighbourResolver::take_actions() {
    return std::exchange(actions_, {});
}

std::vector<NeighbourStatus> NeighbourResolver::list(Instant now) const {
    std::vector<NeighbourStatus> result;
    for (const NeighbourIndex index : live_) {
        const Entry& shown = entry(index);
        if (shown.state == NeighbourState::none)
            continue;
        NeighbourStatus& status = result.emplace_back();
        status.key = table_.key(index);
        if (table_.link(index).usable())
            status.mac = table_.link(index).mac();
        status.state = shown.state;
        status.router = shown.router;
        status.gateway = shown.pins != 0;
        status.age = now - shown.since;
        if (shown.state == NeighbourState::incomplete || shown.state == NeighbourState::reachable ||
            shown.state == NeighbourState::delay || shown.state == NeighbourState::probe)
            status.expires = std::max(Duration{}, shown.deadline - now);
    }
    std::ranges::sort(result, {}, [](const NeighbourStatus& status) {
        return std::pair(status.key.interface, status.key.address);
    });
    return result;
}

}  // namespace sluice::routing
