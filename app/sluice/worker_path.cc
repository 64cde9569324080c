#include "sluice/worker_path.hh"

#include <algorithm>

namespace sluice {

table::TokenBucket error_bucket(const routing::IcmpConfig& icmp, size_t workers) {
    const auto all = icmp.errors_per_second();
    if (!all)
        return table::TokenBucket::unlimited();
    const uint64_t rate = (*all + workers - 1) / workers;
    // A tenth of a second's worth may come at once, so that a traceroute is answered (R4443-2.4f).
    return {rate, std::max<uint64_t>(rate / 10, 10)};
}

void WorkerPath::adopt(const Snapshot* newest) {
    if (snapshot_ == nullptr || !(snapshot_->icmp == newest->icmp))
        state_.icmp_errors = error_bucket(newest->icmp, workers_);
    snapshot_ = newest;
}

void WorkerPath::errands(std::span<dpdk::Packet*> packets) {
    auto context = this->context();
    for (auto* packet : packets)
        routing::handle_errand(context, packet);
    pipeline::flush(worker_, snapshot_->tables.interfaces, devices_);
}

void WorkerPath::tick() {
    auto context = this->context();
    routing::expire_fragments(context);
    pipeline::flush(worker_, snapshot_->tables.interfaces, devices_);
}

}  // namespace sluice
