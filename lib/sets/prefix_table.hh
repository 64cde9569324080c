// Which addresses a set of networks held when it was loaded: all lengths of prefixes in one search, which
// costs nearly the same at a thousand elements and at a million. It never changes; what has changed since is
// its owner's to know.
//
// Many networks of IPv4 are bits of a map of all addresses, which answers by one line of memory or two; few
// of them would not pay for it, and are a trie, as those of IPv6.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "sets/fields.hh"
#include "sets/piece.hh"
#include "table/ip4_cover.hh"
#include "table/lpm.hh"

namespace sluice::sets {

class PrefixTable {
  public:
    // Pieces of a type whose one field is a network.
    PrefixTable(Family family, const std::vector<Piece>& pieces);

    [[nodiscard]] bool contains(const Fields& fields) const;
    // A bit for each of at most table::kMaxLpmBurst probes, which are of the family if their answer matters.
    [[nodiscard]] uint64_t contains_burst(std::span<const Fields> probes) const;
    // The same of a table of IPv4.
    [[nodiscard]] uint64_t contains_burst(std::span<const Ip4Address> addresses) const;

    [[nodiscard]] size_t memory_bytes() const;

  private:
    std::variant<table::Lpm<Ip4Address>, table::Lpm<Ip6Address>, table::Ip4Cover> prefixes_;
};

}  // namespace sluice::sets
