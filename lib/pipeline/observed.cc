#include "pipeline/observed.hh"

namespace sluice::pipeline {
namespace {

double ratio(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

InterfaceSums sum_of(const Observed& observed, InterfaceId id) {
    InterfaceSums sums;
    for (const auto& thread : observed.threads) {
        const auto& counters = thread.counters->interface(id);
        sums.rx_packets += counters.rx_packets.read();
        sums.rx_bytes += counters.rx_bytes.read();
        sums.tx_packets += counters.tx_packets.read();
        sums.tx_bytes += counters.tx_bytes.read();
        for (const auto& info : observed.catalog->all())
            sums.dropped += thread.counters->drops(id, info.reason).packets.read();
    }
    return sums;
}

std::vector<uint64_t> protocol_sums(const Observed& observed) {
    std::vector<uint64_t> sums(telemetry::kProtocolCounters);
    for (const auto& thread : observed.threads) {
        for (size_t i = 0; i < sums.size(); ++i)
            sums[i] += thread.counters->protocol.read(i);
    }
    return sums;
}

double cycles_per_packet(const Worker& worker, size_t stage) {
    return ratio(worker.stages.cycles(stage), worker.stages.packets());
}

double cycles_per_packet(const Worker& worker) {
    return ratio(worker.loop.busy_cycles.read(),
                 worker.counters.received.read() + worker.loop.taken_over.read());
}

telemetry::LatencyCounts latency_of(const Observed& observed) {
    telemetry::LatencyCounts sums;
    for (const auto& one : observed.workers)
        sums += one.worker->latency.read();
    return sums;
}

double busy_share(const Worker& worker) {
    return ratio(worker.loop.busy_cycles.read(), worker.loop.total_cycles.read());
}

}  // namespace sluice::pipeline
