// The first argument of everything that handles a packet in this folder.
#pragma once

#include <cstdint>
#include <vector>

#include "pipeline/worker.hh"
#include "routing/hooks.hh"
#include "routing/tables.hh"
#include "table/reassembly.hh"
#include "table/token_bucket.hh"

namespace sluice::routing {

// What routing keeps for each worker, besides the tables all share.
struct WorkerState {
    explicit WorkerState(uint64_t seed) : reassembler(table::ReassemblyLimits{}, seed) {}

    table::TokenBucket icmp_errors = table::TokenBucket::unlimited();  // R1812-4.3.2.8, R4443-2.4f
    table::Reassembler reassembler;  // of datagrams for the box, and of all where flows are tracked
    std::vector<uint8_t> scratch =
        std::vector<uint8_t>(65536 + 64);  // where the box writes a packet of its own
};

struct Context {
    pipeline::Worker& worker;
    WorkerState& state;
    const Tables& tables;
    Hooks* hooks = nullptr;  // none: every packet passes
};

}  // namespace sluice::routing
