#include "sluice/worker_path.hh"

#include <algorithm>

#include "pipeline/large.hh"
#include "pipeline/loop.hh"

namespace sluice {

table::TokenBucket error_bucket(const routing::IcmpConfig& icmp, size_t workers) {
    const auto all = icmp.errors_per_second();
    if (!all)
        return table::TokenBucket::unlimited();
    const uint64_t rate = (*all + workers - 1) / workers;
    // A tenth of a second's worth may come at once, so that a traceroute is answered (R4443-2.4f).
    return {rate, std::max<uint64_t>(rate / 10, (10 + workers - 1) / workers)};
}

void WorkerPath::adopt(const Snapshot* newest) {
    // The snapshot in use so far may be gone already: the worker has said that it holds none.
    if (icmp_ != newest->icmp) {
        icmp_ = newest->icmp;
        state_.icmp_errors = error_bucket(newest->icmp, workers_);
    }
    firewall_.adopt(newest->firewall.get());
    if (steering_ != nullptr) {
        steering_->homes.adopt(*newest->plan);
        firewall_.steer_by(&steering_->homes);
        // Where routes decide what is inside, these may have changed too.
        const auto& options = newest->plan->options();
        if (snapshot_ != nullptr && (planned_ != options || options.outside.any()))
            flows_at_home_ = {};
        planned_ = options;
    }
    snapshot_ = newest;
}

void WorkerPath::process_parts(pipeline::PortId port, const pipeline::Burst& burst, StageTimer& timer) {
    const InterfaceId device = snapshot_->tables.interfaces.of_port(port);
    const bool cut = snapshot_->firewall && firewall_.has_early();
    pipeline::BurstParts parts(worker_, burst, device, cut);
    for (pipeline::Burst part; parts.next(part);)
        process_whole(port, part, timer);
}

void WorkerPath::take_over_parts(const pipeline::Burst& burst, StageTimer& timer) {
    pipeline::BurstParts parts(worker_, burst, kNoInterface, false);
    for (pipeline::Burst part; parts.next(part);)
        take_over_whole(part, timer);
}

void WorkerPath::errands(std::span<dpdk::Packet*> packets) {
    auto context = this->context();
    for (auto* packet : packets)
        routing::handle_errand(context, packet);
    pipeline::flush(worker_, snapshot_->tables.interfaces, devices_);
}

namespace {

// So few that packets do not wait: a place is one cache line or two.
constexpr size_t kPlacesAtOnce = 256;

}  // namespace

void WorkerPath::bring_home() {
    worker_.now = worker_.clock.read();
    firewall_.bring_home(flows_at_home_, kPlacesAtOnce, worker_.now);
}

void WorkerPath::run_job() {
    worker_.now = worker_.clock.read();
    bool is_back = false;
    if (auto* const* about_flows = std::get_if<conntrack::FlowJob*>(&job_))
        is_back = (*about_flows)->run(firewall_.tracker(), worker_.now, kPlacesAtOnce);
    else if (auto* const* about_nat = std::get_if<nat::NatJob*>(&job_))
        is_back = (*about_nat)->run(firewall_.translator(), kPlacesAtOnce);
    if (is_back)
        job_ = {};
}

bool WorkerPath::tick() {
    auto context = this->context();
    routing::expire_fragments(context);
    if (steering_ != nullptr)
        steering_->steerer.expire(worker_);
    const bool all = firewall_.expire(worker_.now);
    if (snapshot_->firewall)
        firewall_.answer_held_syns(context);
    pipeline::flush(worker_, snapshot_->tables.interfaces, devices_);
    return all;
}

}  // namespace sluice
