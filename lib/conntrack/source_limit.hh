// How many flows each source address holds, by the interface they began at.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/interface_id.hh"
#include "conntrack/tuple.hh"
#include "conntrack/tuple_hash.hh"
#include "table/flow_index.hh"
#include "table/zeroed_array.hh"

namespace sluice::conntrack {

// Of one worker. Room for as many sources as there can be flows, which takes memory as it is used.
class SourceLimit {
  public:
    SourceLimit(size_t sources, const TupleHash& hash) : sources_(sources), hash_(hash) {}

    // Makes room for counting, once. Address space only: a worker does it between two bursts.
    void prepare();

    // Counts a flow that begins; false if the source holds `most` already.
    [[nodiscard]] bool take(const Tuple& original, InterfaceId in, uint32_t most);
    // Of a flow that take() has counted.
    void give_back(const Tuple& original, InterfaceId in);

    [[nodiscard]] size_t sources() const { return index_.size(); }

  private:
    static constexpr uint32_t kNone = table::FlowIndex::kNone;
    struct Entry {
        std::array<uint8_t, 16> address;
        uint32_t flows;  // of a free entry: the next free one
        InterfaceId in;
        Family family;
    };
    [[nodiscard]] uint64_t hash_of(const Tuple& original, InterfaceId in) const;
    [[nodiscard]] uint32_t find(uint64_t hash, const Tuple& original, InterfaceId in) const;

    size_t sources_;
    TupleHash hash_;
    table::FlowIndex index_{0};
    table::ZeroedArray<Entry> entries_;
    uint32_t used_ = 0;  // places that ever were: those behind them are free, and not in memory
    uint32_t free_ = kNone;
};

}  // namespace sluice::conntrack
