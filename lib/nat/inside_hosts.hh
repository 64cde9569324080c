// What each inside host holds: how many mappings, and the external address it is paired with.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/address.hh"
#include "conntrack/tuple.hh"
#include "conntrack/tuple_hash.hh"
#include "nat/keyed_hash.hh"
#include "nat/slots.hh"
#include "table/flow_index.hh"

namespace sluice::nat {

struct InsideHost {
    IpAddress address;
    IpAddress paired;       // the external address of its first mapping, for all protocols (R6888-2)
    uint32_t mappings = 0;  // never 0
};

// A host's place while it has mappings.
using HostRef = uint32_t;
inline constexpr HostRef kNoHost = 0xffffffff;

// A place in a walk through the hosts.
struct HostCursor {
    uint32_t next = 0;
    bool done = false;
};

// Of one worker; bounded: a host is remembered while it has mappings.
class InsideHosts {
  public:
    InsideHosts(size_t capacity, const conntrack::TupleHash& hash);

    // Nothing while it has no mapping.
    [[nodiscard]] const InsideHost* find(const IpAddress& address) const {
        const HostRef host = ref(address);
        return host == kNoHost ? nullptr : &hosts_[host];
    }
    [[nodiscard]] HostRef ref(const IpAddress& address) const;
    // The same of IPv4; the hash is the address's.
    [[nodiscard]] HostRef ref(Ip4Address address, uint64_t hash) const {
        return index_.find(hash, [&](HostRef host) {
            return hosts_[host].address.is_ip4() && hosts_[host].address.ip4() == address;
        });
    }
    [[nodiscard]] const InsideHost& operator[](HostRef host) const { return hosts_[host]; }

    // One mapping more of a host that has some.
    void add_mapping(HostRef host) { ++hosts_[host].mappings; }
    // The first of one that has none. kNoHost if there is no room for another host.
    [[nodiscard]] HostRef add_first_mapping(const IpAddress& address, const IpAddress& external);
    void end_mapping(HostRef host);

    // For lookups of many: the index's line, then, once that is there, the host that will probably be found.
    // Gives its place.
    [[nodiscard]] uint64_t hash_of(const IpAddress& address) const {
        return hash_between(hash_, address, 0, address, 0, wire::IpProtocol{});
    }
    void prefetch(uint64_t hash) const { index_.prefetch(hash); }
    HostRef prefetch_found(uint64_t hash) const {
        const HostRef host = index_.candidate(hash);
        if (host != kNoHost)
            hosts_.prefetch(host);
        return host;
    }
    void prefetch_host(HostRef host) const { hosts_.prefetch(host); }

    // Looks at `budget` places from the cursor on and moves it: for top holders.
    template <typename Visit>
    void visit(HostCursor& cursor, size_t budget, Visit&& visit) const {
        for (; budget > 0 && cursor.next < hosts_.touched(); --budget, ++cursor.next)
            if (hosts_.is_in_use(cursor.next))
                visit(hosts_[cursor.next]);
        cursor.done = cursor.next >= hosts_.touched();
    }
    [[nodiscard]] size_t size() const { return hosts_.size(); }

  private:
    static_assert(kNoHost == table::FlowIndex::kNone && kNoHost == Slots<InsideHost>::kNone);

    conntrack::TupleHash hash_;
    Slots<InsideHost> hosts_;
    table::FlowIndex index_;
};

}  // namespace sluice::nat
