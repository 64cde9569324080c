// What the control thread shows of the packet path: read-only views for the admin verbs and the metrics, good
// for the length of one answer.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/interface_id.hh"
#include "dpdk/device.hh"
#include "pipeline/interfaces.hh"
#include "pipeline/worker.hh"
#include "telemetry/drop_reason.hh"
#include "telemetry/latency_histogram.hh"
#include "telemetry/packet_counters.hh"

namespace sluice::pipeline {

// The counters of one thread: a worker's, or those of the control thread.
struct ThreadCounters {
    std::optional<WorkerId> worker;
    const telemetry::PacketCounters* counters = nullptr;
};

struct ObservedWorker {
    const Worker* worker = nullptr;
    uint32_t cpu = 0;
};

struct Observed {
    const Interfaces* interfaces = nullptr;
    std::span<const dpdk::Device> devices;  // by port
    std::vector<dpdk::Link> links;          // by port
    std::vector<ObservedWorker> workers;
    std::vector<ThreadCounters> threads;  // the workers, then the control thread
    const telemetry::DropCatalog* catalog = nullptr;
};

// Over all threads.
struct InterfaceSums {
    uint64_t rx_packets = 0;
    uint64_t rx_bytes = 0;
    uint64_t tx_packets = 0;
    uint64_t tx_bytes = 0;
    uint64_t dropped = 0;
};
InterfaceSums sum_of(const Observed& observed, InterfaceId id);

// By place in telemetry::protocol_catalog(), over all threads.
std::vector<uint64_t> protocol_sums(const Observed& observed);

// Calls each(thread, interface, info, packets, bytes) for every drop counter that is not zero.
template <typename Each>
void for_each_drop(const Observed& observed, Each&& each) {
    for (const auto& thread : observed.threads) {
        for (const auto& interface : observed.interfaces->all()) {
            for (const auto& info : observed.catalog->all()) {
                const auto& counter = thread.counters->drops(interface.id, info.reason);
                if (const uint64_t packets = counter.packets.read(); packets != 0)
                    each(thread.worker, interface, info, packets, counter.bytes.read());
            }
        }
    }
}

// Cycles a packet by stage, as measured on the sampled bursts; 0 before the first.
double cycles_per_packet(const Worker& worker, size_t stage);
// All stages and everything around them, over all packets that it received or took over.
double cycles_per_packet(const Worker& worker);
// Of all workers together.
telemetry::LatencyCounts latency_of(const Observed& observed);
// Share of the time that went to rounds in which there was something to do, from 0 to 1.
double busy_share(const Worker& worker);

}  // namespace sluice::pipeline
