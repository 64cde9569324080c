// Flows that a helper has announced: what begins there is related to the flow it was announced in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.hh"
#include "conntrack/counters.hh"
#include "conntrack/flow.hh"
#include "conntrack/tuple.hh"
#include "conntrack/tuple_hash.hh"
#include "table/flow_index.hh"

namespace sluice::conntrack {

// What becomes of the ends of an expected flow because the flow that announced it is translated. What
// nf_nat_follow_master does.
struct ExpectedTranslation {
    IpAddress destination;          // the announced endpoint as who announced it knows it
    uint16_t destination_port = 0;  // host order
    IpAddress source;               // what the announcing end knows the other by
};

struct Expectation {
    Tuple tuple;               // of the first packet; sport counts only if source_port_known is set
    bool source_known = true;  // otherwise from any address
    bool source_port_known = false;
    uint32_t master_id = 0;                               // of the flow that announced it
    uint32_t mark = 0;                                    // ct_mark that the expected flow begins with
    Helper helper = Helper::none;                         // that reads the expected flow
    std::optional<ExpectedTranslation> translation = {};  // none: NAT's rules are asked
};

// Of one worker. Bounded; a flow expects one other at a time, as with Linux's helpers, and the newest is what
// counts. The flow that comes uses its expectation up.
class Expectations {
  public:
    static constexpr size_t kCapacity = 4096;
    static constexpr Duration kTimeout = std::chrono::minutes(5);

    Expectations(const TupleHash& hash, Counters& counters);

    // False if there is no room, or another flow's expectation would be met by the same packets. One for the
    // same packets by the same master is replaced.
    [[nodiscard]] bool add(const Expectation& expectation, Ticks now);

    // Takes the expectation that a flow's first packet meets.
    [[nodiscard]] std::optional<Expectation> take(const Tuple& first, Ticks now);

    // What a flow has announced; null for nothing.
    [[nodiscard]] const Expectation* of(uint32_t master) const;
    // Ends it.
    void forget(uint32_t master);
    void expire(Ticks now);

    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }

  private:
    static constexpr uint32_t kNone = table::FlowIndex::kNone;
    struct Entry {
        Expectation expectation;
        Ticks deadline = 0;
        uint32_t older = kNone;  // entries in the order they were made, which is that of their deadlines
        uint32_t newer = kNone;
    };
    [[nodiscard]] uint64_t hash_of(const Tuple& tuple) const;
    [[nodiscard]] static uint64_t hash_of(uint32_t master);
    void remove(uint32_t place);

    TupleHash hash_;
    Counters* counters_;
    std::vector<Entry> entries_;
    table::FlowIndex index_;  // by destination and protocol
    table::FlowIndex by_master_;
    uint32_t oldest_ = kNone;
    uint32_t newest_ = kNone;
    uint32_t free_ = 0;
    size_t size_ = 0;
};

}  // namespace sluice::conntrack
