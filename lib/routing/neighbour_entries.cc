// The entries of the resolver: how they come, change and go, and the packets that wait in them.
#include <algorithm>
#include <utility>

#include "routing/neighbour_resolver.hh"

namespace sluice::routing {
namespace {

// Which entries make room first when the table is full; the lowest goes, never one of `kKept`.
constexpr int kKept = 3;
int eviction_class(NeighbourState state) {
    switch (state) {
        case NeighbourState::none:
        case NeighbourState::failed:
            return 0;
        case NeighbourState::incomplete:
            return 1;
        case NeighbourState::stale:
            return 2;
        case NeighbourState::reachable:
        case NeighbourState::delay:
        case NeighbourState::probe:
        case NeighbourState::permanent:
            return kKept;
    }
    return kKept;
}

}  // namespace

// A new entry in state none. kNoNeighbour if there is no room and nothing that may go.
NeighbourIndex NeighbourResolver::create(InterfaceId interface, const IpAddress& address, Instant now) {
    auto index = table_.insert({interface, address});
    if (!index) {
        table_.reclaim(grace_);
        if (table_.size() < table_.max_entries() || make_room())
            index = table_.insert({interface, address});
    }
    if (!index)
        return kNoNeighbour;
    Entry& fresh = entry(*index);
    fresh = Entry{};
    fresh.since = fresh.mac_since = fresh.last_used = now;
    fresh.live_place = static_cast<uint32_t>(live_.size());
    live_.push_back(*index);
    return *index;
}

// Removes the entry that can best be missed.
bool NeighbourResolver::make_room() {
    NeighbourIndex victim = kNoNeighbour;
    std::pair<int, Instant> best{kKept, Instant{}};
    for (const NeighbourIndex index : live_) {
        const Entry& candidate = entry(index);
        const std::pair rank{eviction_class(candidate.state), candidate.state == NeighbourState::stale
                                                                  ? candidate.last_used
                                                                  : candidate.since};
        if (candidate.pins != 0 || rank.first == kKept || (victim != kNoNeighbour && rank >= best))
            continue;
        victim = index;
        best = rank;
    }
    if (victim == kNoNeighbour)
        return false;
    ++counters_.evictions;
    forget(victim, NeighbourDropReason::evicted);
    return true;
}

void NeighbourResolver::forget(NeighbourIndex index, NeighbourDropReason reason) {
    drop_held(index, reason);
    Entry& old = entry(index);
    old.configured = false;
    old.router = false;
    set_state(index, NeighbourState::none, old.since);
    if (old.pins == 0)
        erase(index);
}

void NeighbourResolver::erase(NeighbourIndex index) {
    const uint32_t place = entry(index).live_place;
    live_[place] = live_.back();
    entry(live_[place]).live_place = place;
    live_.pop_back();
    table_.remove(index, grace_);
    table_.reclaim(grace_);
}

void NeighbourResolver::set_permanent(NeighbourIndex index, MacAddress mac, Instant now) {
    set_mac(index, mac, NeighbourState::permanent, now);
}

// The neighbour has this MAC; what waited for it goes out.
void NeighbourResolver::set_mac(NeighbourIndex index, MacAddress mac, NeighbourState state, Instant now) {
    const NeighbourLink link = NeighbourLink::usable(mac);
    if (table_.link(index) != link) {
        table_.set_link(index, link);
        entry(index).mac_since = now;
    }
    set_state(index, state, now);
    release_held(index);
}

// Enters a state, or the same one anew, and starts its timer.
void NeighbourResolver::set_state(NeighbourIndex index, NeighbourState state, Instant now) {
    Entry& changed = entry(index);
    const size_t interface = sluice::index(table_.key(index).interface);
    if (changed.state == NeighbourState::incomplete)
        --incomplete_[interface];
    if (state == NeighbourState::incomplete)
        ++incomplete_[interface];
    changed.state = state;
    changed.since = now;
    changed.requests = 0;
    switch (state) {
        case NeighbourState::incomplete:
        case NeighbourState::probe:
            changed.deadline = now + timing_.retransmit;
            break;
        case NeighbourState::reachable: {
            // 0.5 to 1.5 times the base (RFC 4861 6.3.2), so that neighbours are not all probed at once.
            const int64_t base = timing_.reachable.count();
            changed.deadline = now + Duration(base / 2 + base / 1024 * random_.below(1025));
            break;
        }
        case NeighbourState::delay:
            changed.deadline = now + timing_.delay;
            break;
        case NeighbourState::stale:
            table_.take_used(index);  // what was used before proves nothing
            changed.last_used = now;
            break;
        case NeighbourState::none:
        case NeighbourState::failed:
            table_.set_link(index, {});
            break;
        case NeighbourState::permanent:
            break;
    }
}

void NeighbourResolver::begin_incomplete(NeighbourIndex index, Instant now) {
    const InterfaceId interface = table_.key(index).interface;
    if (incomplete_[sluice::index(interface)] >= limits_.incomplete_per_interface)
        evict_incomplete(interface);
    set_state(index, NeighbourState::incomplete, now);
    ask(index);
}

// The oldest one being resolved on the interface makes room (R4861).
void NeighbourResolver::evict_incomplete(InterfaceId interface) {
    NeighbourIndex oldest = kNoNeighbour;
    for (const NeighbourIndex index : live_) {
        const Entry& candidate = entry(index);
        if (candidate.state != NeighbourState::incomplete || table_.key(index).interface != interface)
            continue;
        if (oldest == kNoNeighbour || candidate.since < entry(oldest).since)
            oldest = index;
    }
    if (oldest == kNoNeighbour)
        return;
    ++counters_.evictions;
    forget(oldest, NeighbourDropReason::evicted);
}

void NeighbourResolver::hold(NeighbourIndex index, HeldPacket packet) {
    const NeighbourKey& key = table_.key(index);
    auto& held = entry(index).held;
    const bool queue_full = held.size() >= limits_.packets_per_neighbour;
    if (queue_full || waiting_ >= limits_.packets) {
        // The oldest of the same neighbour goes; the packet at hand only if none waits there.
        if (held.empty())
            return drop(key.interface, key.address, NeighbourDropReason::queue_full, std::move(packet));
        drop(key.interface, key.address, NeighbourDropReason::queue_full, std::move(held.front()));
        held.erase(held.begin());
        --waiting_;
    }
    held.push_back(std::move(packet));
    ++waiting_;
}

void NeighbourResolver::release_held(NeighbourIndex index) {
    auto& held = entry(index).held;
    const InterfaceId out = table_.key(index).interface;
    const MacAddress mac = table_.link(index).mac();
    for (auto& packet : held)
        actions_.released.push_back({out, mac, std::move(packet)});
    waiting_ -= held.size();
    if (!held.empty())
        table_.mark_used(index);
    held.clear();
    held.shrink_to_fit();
}

void NeighbourResolver::drop_held(NeighbourIndex index, NeighbourDropReason reason) {
    const NeighbourKey& key = table_.key(index);
    auto& held = entry(index).held;
    for (auto& packet : held)
        drop(key.interface, key.address, reason, std::move(packet));
    waiting_ -= held.size();
    held.clear();
    held.shrink_to_fit();
}

void NeighbourResolver::drop(InterfaceId out, const IpAddress& address, NeighbourDropReason reason,
                             HeldPacket packet) {
    actions_.dropped.push_back({out, address, reason, std::move(packet)});
}

}  // namespace sluice::routing
