// The mappings of one worker, found from either side with one lookup.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "conntrack/tuple.hh"
#include "conntrack/tuple_hash.hh"
#include "nat/endpoint.hh"
#include "nat/keyed_hash.hh"
#include "nat/mapping.hh"
#include "nat/slots.hh"
#include "table/flow_index.hh"
#include "table/zeroed_array.hh"
#include "wire/protocol.hh"

namespace sluice::nat {

// A place in a walk through the mappings; those that are there all the time are met once.
struct MappingCursor {
    MappingRef next = 0;
    bool done = false;
};

// Bounded and of one owner. Counts the flows of mappings; ports and hosts are others' business.
class MappingTable {
  public:
    MappingTable(size_t capacity, const conntrack::TupleHash& hash);

    // A mapping without flows; none when the table is full. Unless it overlaps nobody has its external
    // endpoint. Until the next settle() it may be without flows. `is_first`: first() has just found none.
    [[nodiscard]] MappingRef create(const Mapping& mapping, bool is_first = false);
    void erase(MappingRef ref);

    // The same for mappings of IPv4 with ports that overlap with none; hashes are hash_of()'s. It is the
    // first of its inside endpoint and remote.
    [[nodiscard]] MappingRef create_first(const Ip4Mapping& mapping, uint64_t inside_hash);
    [[nodiscard]] MappingRef first(const Ip4Endpoint& inside, const Ip4Endpoint& remote,
                                   wire::IpProtocol protocol, uint64_t inside_hash) const {
        return by_inside_.find(inside_hash, [&](MappingRef ref) {
            return is_alone(ref, protocol) && is_end(ref, Side::inside, inside) &&
                   is_end(ref, Side::remote, remote);
        });
    }
    [[nodiscard]] MappingRef between(const Ip4Endpoint& inside, const Ip4Endpoint& external,
                                     wire::IpProtocol protocol) const {
        return by_external_.find(hash_of(external, external, protocol), [&](MappingRef ref) {
            return is_alone(ref, protocol) && is_end(ref, Side::external, external) &&
                   is_end(ref, Side::inside, inside);
        });
    }
    // From the inside endpoint to the remote, or from the external endpoint to itself.
    [[nodiscard]] uint64_t hash_of(const Ip4Endpoint& from, const Ip4Endpoint& to,
                                   wire::IpProtocol protocol) const {
        return hash_between(hash_, from, to, protocol);
    }
    [[nodiscard]] Ip4Endpoint external_ip4(MappingRef ref) const { return ip4_end(ref, Side::external); }
    // One more flow, with this remote: add_flow() and, where filtering asks for it, add_contact(). False if
    // the contact is to be counted elsewhere.
    [[nodiscard]] bool add_flow(MappingRef ref, Ip4Address remote) {
        Entry& entry = entries_[ref];
        ++entry.flows;
        entry.had_flows = true;
        if (entry.filtering != Dependence::address_dependent)
            return true;
        uint32_t& contact = entry.addresses[static_cast<size_t>(Side::contact)];
        if (entry.contact_flows == 0)
            contact = remote.wire().wire();
        else if (contact != remote.wire().wire())
            return false;
        ++entry.contact_flows;
        return true;
    }
    [[nodiscard]] bool end_contact(MappingRef ref, Ip4Address remote) {
        Entry& entry = entries_[ref];
        if (entry.contact_flows == 0 ||
            entry.addresses[static_cast<size_t>(Side::contact)] != remote.wire().wire())
            return false;
        --entry.contact_flows;
        return true;
    }

    // The mappings of an inside endpoint that overlap or do not, for a remote as Mapping::remote has it.
    // First comes that which overlaps and got a flow last, or which does not and is the oldest.
    [[nodiscard]] MappingRef first(const Endpoint& inside, const Endpoint& remote, wire::IpProtocol protocol,
                                   bool overlaps) const;
    [[nodiscard]] MappingRef next(MappingRef ref) const { return entries_[ref].next; }
    // The one mapping that has an external endpoint for itself.
    [[nodiscard]] MappingRef by_external(const Endpoint& external, wire::IpProtocol protocol) const;
    // The mapping with these two ends, be it one that overlaps or not.
    [[nodiscard]] MappingRef between(const Endpoint& inside, const Endpoint& external,
                                     wire::IpProtocol protocol) const;

    [[nodiscard]] Mapping operator[](MappingRef ref) const;
    [[nodiscard]] Endpoint external(MappingRef ref) const;
    [[nodiscard]] bool has_inside(MappingRef ref, const Endpoint& endpoint) const {
        return is_end(ref, Side::inside, endpoint);
    }
    [[nodiscard]] Dependence filtering(MappingRef ref) const { return entries_[ref].filtering; }

    // One more flow.
    void add_flow(MappingRef ref);
    // A flow is about to begin: though its last flow ends it is not erased before the next settle().
    void keep(MappingRef ref);
    // One flow less. True if the mapping is to be erased now: it was the last and settle() will not come by.
    [[nodiscard]] bool end_flow(MappingRef ref) {
        Entry& entry = entries_[ref];
        return --entry.flows == 0 && entry.settled;
    }
    // Gives the mappings that were made or kept since the last time and have no flow to idle(ref), which is
    // to erase them.
    template <typename Idle>
    void settle(Idle&& idle) {
        while (unsettled_count_ != 0) {
            const MappingRef ref = unsettled_[--unsettled_count_];
            entries_[ref].settled = true;
            if (entries_[ref].flows == 0)
                idle(ref);
        }
    }

    // A mapping has room to count the flows with one remote address, which is all that most need. False if
    // it counts those with another; then nothing has changed.
    [[nodiscard]] bool add_contact(MappingRef ref, const IpAddress& remote);
    [[nodiscard]] bool end_contact(MappingRef ref, const IpAddress& remote);
    [[nodiscard]] bool has_contact(MappingRef ref, const IpAddress& remote) const;

    // Asks memory for what create() will read and write, for mappings that are probably about to begin. Of
    // those that overlap the hash of inside endpoint and remote is hash_of()'s inverted.
    void prefetch_first(uint64_t hash) const { by_inside_.prefetch(hash); }
    [[nodiscard]] uint64_t hash_of_external(const Ip4Endpoint& inside, const Ip4Endpoint& external,
                                            wire::IpProtocol protocol, bool overlaps) const {
        return overlaps ? ~hash_of(external, inside, protocol) : hash_of(external, external, protocol);
    }
    void prefetch_external(uint64_t hash) const { by_external_.prefetch(hash); }
    void prefetch_free(size_t count) const { entries_.prefetch_free(count); }
    // Once the line of an external endpoint's hash is there: asks for the mapping that will probably be
    // found, and gives its place.
    MappingRef prefetch_found(uint64_t external_hash) const {
        const MappingRef ref = by_external_.candidate(external_hash);
        if (ref != kNoMapping)
            entries_.prefetch(ref);
        return ref;
    }
    // What is to be done when a mapping ends. Addresses are those of IPv4.
    struct Ending {
        Ip4Endpoint inside;
        Ip4Endpoint external;
        Instant began;
        HostRef host;
        PortSpaceRef port_space;
        wire::IpProtocol protocol;
        Family family;
        Dependence filtering;
        bool had_flows;
        bool overlaps;
    };
    [[nodiscard]] Ending ending(MappingRef ref) const {
        const Entry& entry = entries_[ref];
        return {.inside = ip4_end(ref, Side::inside),
                .external = ip4_end(ref, Side::external),
                .began = std::bit_cast<Instant>(entry.began),
                .host = entry.host,
                .port_space = entry.port_space,
                .protocol = entry.protocol,
                .family = entry.family,
                .filtering = entry.filtering,
                .had_flows = entry.had_flows,
                .overlaps = entry.overlaps};
    }
    // Where a mapping's port and host are counted.
    struct Holdings {
        HostRef host;
        PortSpaceRef port_space;
        uint16_t port;
    };
    // Once the mapping is there: asks for the rest of what erase() reads and writes.
    [[nodiscard]] Holdings prefetch_rest(MappingRef ref) const;

    // Looks at `budget` places from the cursor on and moves it.
    template <typename Visit>
    void visit(MappingCursor& cursor, size_t budget, Visit&& visit) const {
        for (; budget > 0 && cursor.next < entries_.touched(); --budget, ++cursor.next)
            if (entries_.is_in_use(cursor.next))
                visit((*this)[cursor.next]);
        cursor.done = cursor.next >= entries_.touched();
    }

    [[nodiscard]] size_t size() const { return entries_.size(); }
    [[nodiscard]] size_t capacity() const { return entries_.capacity(); }

  private:
    // Which of a mapping's addresses.
    enum class Side : uint8_t { inside, external, remote, contact };
    static constexpr size_t kSides = 4;

    // A line of memory, with the word that Slots adds.
    struct Entry {
        std::array<uint32_t, 2> began;  // an Instant
        // By Side, in wire order; those of IPv6 are in ip6_.
        std::array<uint32_t, kSides> addresses;
        std::array<uint16_t, 3> ports;  // likewise; the contact has none
        InterfaceId out;
        uint32_t flows;
        uint32_t contact_flows;  // with the contact
        HostRef host;
        PortSpaceRef port_space;
        // Of the same inside endpoint and remote.
        MappingRef next;
        MappingRef previous;
        wire::IpProtocol protocol;
        Family family;
        Dependence filtering;
        bool hairpin : 1;
        bool had_flows : 1;
        bool overlaps : 1;
        bool settled : 1;  // not to be looked at by settle()
    };
    static_assert(sizeof(Slots<Entry>::Slot) == 64);
    using Addresses6 = std::array<Ip6Address, kSides>;

    // Of a mapping that has no flows yet; settle() is to look at it.
    template <typename AnyMapping>
    [[nodiscard]] static Entry entry_of(const AnyMapping& mapping,
                                        const std::array<uint32_t, kSides>& addresses, Family family,
                                        bool overlaps);
    // One of IPv4 that overlaps with none.
    [[nodiscard]] bool is_alone(MappingRef ref, wire::IpProtocol protocol) const {
        const Entry& entry = entries_[ref];
        return entry.protocol == protocol && entry.family == Family::ip4 && !entry.overlaps;
    }
    [[nodiscard]] Ip4Endpoint ip4_end(MappingRef ref, Side side) const {
        return {.address = entries_[ref].addresses[static_cast<size_t>(side)],
                .port = entries_[ref].ports[static_cast<size_t>(side)]};
    }
    [[nodiscard]] bool is_end(MappingRef ref, Side side, const Ip4Endpoint& endpoint) const {
        return ip4_end(ref, side) == endpoint;
    }
    [[nodiscard]] IpAddress address(MappingRef ref, Side side) const {
        const Entry& entry = entries_[ref];
        if (entry.family == Family::ip4) [[likely]]
            return Ip4Address::from_wire(Be32::from_wire(entry.addresses[static_cast<size_t>(side)]));
        return ip6_[ref][static_cast<size_t>(side)];
    }
    void set_address(MappingRef ref, Side side, const IpAddress& address) {
        if (address.is_ip4()) [[likely]]
            entries_[ref].addresses[static_cast<size_t>(side)] = address.ip4().wire().wire();
        else
            ip6_[ref][static_cast<size_t>(side)] = address.ip6();
    }
    [[nodiscard]] bool is_address(MappingRef ref, Side side, const IpAddress& address) const {
        const Entry& entry = entries_[ref];
        if (entry.family != address.family()) [[unlikely]]
            return false;
        if (address.is_ip4()) [[likely]]
            return entry.addresses[static_cast<size_t>(side)] == address.ip4().wire().wire();
        return ip6_[ref][static_cast<size_t>(side)] == address.ip6();
    }
    [[nodiscard]] uint64_t hash_between_sides(MappingRef ref, Side from, Side to) const;
    [[nodiscard]] Endpoint end(MappingRef ref, Side side) const {
        return {address(ref, side), entries_[ref].ports[static_cast<size_t>(side)]};
    }
    [[nodiscard]] bool is_end(MappingRef ref, Side side, const Endpoint& endpoint) const {
        return entries_[ref].ports[static_cast<size_t>(side)] == endpoint.port &&
               is_address(ref, side, endpoint.address);
    }

    [[nodiscard]] uint64_t inside_hash(const Endpoint& inside, const Endpoint& remote,
                                       wire::IpProtocol protocol, bool overlaps) const;
    [[nodiscard]] uint64_t inside_hash(MappingRef ref) const;
    [[nodiscard]] uint64_t external_hash(const Endpoint& external, wire::IpProtocol protocol) const;
    [[nodiscard]] uint64_t shared_hash(const Endpoint& inside, const Endpoint& external,
                                       wire::IpProtocol protocol) const;
    [[nodiscard]] uint64_t external_hash(MappingRef ref) const;
    [[nodiscard]] bool put_in_chain(MappingRef ref, bool is_first);
    void take_out_of_chain(MappingRef ref);

    conntrack::TupleHash hash_;
    Slots<Entry> entries_;
    table::ZeroedArray<Addresses6> ip6_;  // by MappingRef
    table::FlowIndex by_inside_;          // the first of each inside endpoint and remote
    table::FlowIndex by_external_;        // of those that overlap with the inside endpoint
    table::ZeroedArray<MappingRef> unsettled_;
    size_t unsettled_count_ = 0;
};

}  // namespace sluice::nat
