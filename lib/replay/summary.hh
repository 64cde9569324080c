// The sum of a replay: summary.json.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/time.hh"
#include "replay/dataplane.hh"
#include "replay/merge.hh"

namespace sluice::replay {

// What passed one interface.
struct InterfaceTally {
    std::string name;
    uint64_t rx_packets = 0;
    uint64_t rx_bytes = 0;
    uint64_t tx_packets = 0;
    uint64_t tx_bytes = 0;
};

struct Summary {
    Instant first;  // of the virtual clock
    Instant last;
    PacketTotals packets;                             // the packet path's own count
    std::array<uint64_t, kFinalVerdicts> verdicts{};  // lines of packets.jsonl
    std::vector<NamedCount> drops;
    std::vector<InterfaceTally> interfaces;
    std::vector<NamedCount> counters;
    std::vector<CaptureTally> captures;

    // Lists of names are sorted, so that equal sums are equal texts.
    [[nodiscard]] std::string to_json() const;
};

}  // namespace sluice::replay
