// A worker's own things: what the stages get as their first argument. One thread writes them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/interface_id.hh"
#include "base/random.hh"
#include "base/time.hh"
#include "dpdk/packet.hh"
#include "dpdk/packet_pool.hh"
#include "dpdk/packet_ring.hh"
#include "pipeline/egress.hh"
#include "pipeline/interfaces.hh"
#include "pipeline/stage_cycles.hh"
#include "pipeline/verdict.hh"
#include "pipeline/worker_clock.hh"
#include "telemetry/latency_histogram.hh"
#include "telemetry/packet_counters.hh"

namespace sluice::pipeline {

struct WorkerCounters {
    telemetry::Counter bursts;            // that had packets
    telemetry::Counter empty_rounds;      // polls of all queues that found nothing
    telemetry::Counter budget_exhausted;  // turns in which a queue gave a full budget: time squeeze
    telemetry::Counter sleeps;
    telemetry::Counter wakeups;      // sleeps that ended before their time
    telemetry::Counter handed_over;  // packets given to the workers that own them
    telemetry::Counter taken_over;   // packets that other workers gave to this one
    telemetry::Counter busy_cycles;  // of rounds in which there was something to do
    telemetry::Counter total_cycles;
};

// Tells the end of one packet to somebody who wants to know: replay. Costs the fast path nothing.
struct Watch {
    const dpdk::Packet* packet = nullptr;
    std::optional<Verdict> end;  // `drop` or `consumed`; nothing if it went on

    void tell(const dpdk::Packet* ended, Verdict verdict) {
        if (ended == packet)
            end = verdict;
    }
    // A packet that is cut into pieces goes on as the first of them.
    void pass_on(const dpdk::Packet* whole, const dpdk::Packet* first) {
        if (whole != nullptr && whole == packet)
            packet = first;
    }
};

struct Worker {
    Worker(WorkerId id_, size_t interfaces, size_t ports, const dpdk::PacketPool& pool_,
           dpdk::PacketRing& to_control_, uint64_t seed)
        : id(id_), pool(pool_), to_control(to_control_), random(seed), counters(interfaces), egress(ports) {}

    WorkerId id;
    WorkerClock clock;
    Instant now;               // the clock's, at the beginning of the burst
    uint64_t burst_began = 0;  // cycles() before the present burst was received
    const dpdk::PacketPool& pool;
    dpdk::PacketRing& to_control;
    bool control_has_work = false;  // something was pushed since the control thread was last woken
    Random random;
    telemetry::PacketCounters counters;
    WorkerCounters loop;
    StageCycles stages;
    // Of packets that were sent: from before the receive of their burst until after its transmit.
    telemetry::LatencyHistogram latency;
    std::vector<Egress> egress;  // by port
    bool more_comes = false;     // a queue has just given all that it was asked for, and will be asked again
    bool frames_wait = false;    // for those, by the last flush()
    Watch watch;
};

// Where a packet ends (many at once: drop() of burst_end.hh): counts it, tells why, frees it. For verdicts
// `consumed` and `drop`; with the others the packet has an owner already.
void finish(Worker& worker, dpdk::Packet* packet, InterfaceId in, Verdict verdict);

// Counts and frees a frame for which there was no room.
void drop_egress(Worker& worker, InterfaceId out, dpdk::Packet* packet);

// Puts a complete frame into the transmit queue of the interface's port; the packet is gone afterwards, with
// a drop counted on `out` if the queue was full.
inline void transmit(Worker& worker, PortId port, InterfaceId out, dpdk::Packet* packet) {
    if (!worker.egress[index(port)].push(packet, out)) [[unlikely]]
        drop_egress(worker, out, packet);
}

// Gives a packet to the control thread with the note already written; held until it is answered.
void send_to_control(Worker& worker, dpdk::Packet* packet, InterfaceId in);

}  // namespace sluice::pipeline
