// Which remote addresses the flows of a mapping are with, beside the one that the mapping itself counts: what
// address-dependent filtering asks (RFC 4787 5).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/address.hh"
#include "conntrack/tuple.hh"
#include "conntrack/tuple_hash.hh"
#include "nat/mapping.hh"
#include "nat/slots.hh"
#include "table/flow_index.hh"

namespace sluice::nat {

// Of one worker; bounded. Counts flows by mapping and remote address.
class Contacts {
  public:
    Contacts(size_t capacity, const conntrack::TupleHash& hash);

    // A flow began. With no room left it is not remembered, and the remote not let in.
    void add(MappingRef mapping, const IpAddress& remote);
    void end(MappingRef mapping, const IpAddress& remote);
    [[nodiscard]] bool has(MappingRef mapping, const IpAddress& remote) const;
    [[nodiscard]] size_t size() const { return contacts_.size(); }

  private:
    struct Contact {
        IpAddress remote;
        MappingRef mapping = kNoMapping;
        uint32_t flows = 0;
    };
    [[nodiscard]] uint64_t hash_of(MappingRef mapping, const IpAddress& remote) const;
    [[nodiscard]] uint32_t find(MappingRef mapping, const IpAddress& remote) const;

    conntrack::TupleHash hash_;
    Slots<Contact> contacts_;
    table::FlowIndex index_;
};

}  // namespace sluice::nat
