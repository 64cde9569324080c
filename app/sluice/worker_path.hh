// The packet path of one live worker: what the loop of lib/pipeline calls.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <variant>

#include "conntrack/flow_job.hh"
#include "dpdk/device.hh"
#include "nat/nat_job.hh"
#include "pipeline/burst.hh"
#include "sluice/published_snapshot.hh"
#include "sluice/snapshot.hh"
#include "sluice/stages.hh"
#include "sluice/steering.hh"
#include "table/spsc_ring.hh"

namespace sluice {

// The bucket for one worker's share of what the box may send.
table::TokenBucket error_bucket(const routing::IcmpConfig& icmp, size_t workers);

// A question about what a worker owns: its flows, or its NAT.
using WorkerJob = std::variant<std::monostate, conntrack::FlowJob*, nat::NatJob*>;

class WorkerPath {
  public:
    WorkerPath(pipeline::Worker& worker, size_t workers, uint64_t seed, filter::Firewall& firewall,
               WorkerSteering* steering, const PublishedSnapshot& published,
               std::span<const dpdk::Device> devices)
        : worker_(worker),
          workers_(workers),
          state_(seed),
          firewall_(firewall),
          steering_(steering),
          published_(published),
          devices_(devices),
          has_large_(std::ranges::any_of(devices, &dpdk::Device::large_receive)) {}

    // Takes the snapshot that is used until the next call.
    void begin_round() {
        if (const uint64_t newest = published_.number(); newest != number_) [[unlikely]] {
            number_ = newest;
            adopt(published_.get());
        }
    }

    void process(pipeline::PortId port, pipeline::Burst& burst, uint64_t began) {
        const bool sampled = worker_.stages.sample();
        StageTimer timer(worker_.stages, sampled, began);
        timer.end(pipeline::Stage::receive);
        const uint16_t received = burst.count;
        if (devices_[index(port)].large_receive()) [[unlikely]]
            process_parts(port, burst, timer);
        else
            process_whole(port, burst, timer);
        if (sampled)
            worker_.stages.add_packets(received);
    }

    // A burst that another worker has handed over.
    void take_over(pipeline::Burst& burst) {
        const bool sampled = worker_.stages.sample();
        StageTimer timer(worker_.stages, sampled, dpdk::cycles());
        const uint16_t taken = burst.count;
        steering_->steerer.take(worker_, *snapshot_->plan, burst);
        timer.end(pipeline::Stage::steer);
        if (has_large_) [[unlikely]]
            take_over_parts(burst, timer);
        else
            take_over_whole(burst, timer);
        if (sampled)
            worker_.stages.add_packets(taken);
    }

    // What waited for more, which has not come.
    void send_waiting() { pipeline::flush(worker_, snapshot_->tables.interfaces, devices_); }

    // A slice of a question to this worker; true while there is one.
    bool serve() {
        if (!flows_at_home_.done) [[unlikely]]
            bring_home();
        if (job_.index() == 0) [[likely]] {
            if (!jobs_.pop(job_)) [[likely]]
                return !flows_at_home_.done;
            // What was published before the question holds from its first slice on.
            begin_round();
        }
        run_job();
        return true;
    }

    // The control thread's: false if too many wait already. The job stays its owner's.
    [[nodiscard]] bool ask(const WorkerJob& job) { return jobs_.push(job); }

    void errands(std::span<dpdk::Packet*> packets);
    bool tick();

  private:
    routing::Context context() {
        return {worker_, state_, snapshot_->tables, snapshot_->firewall ? &firewall_ : nullptr};
    }
    void process_whole(pipeline::PortId port, pipeline::Burst& burst, StageTimer& timer) {
        auto context = this->context();
        run_stages(context, firewall_, steering_, snapshot_->plan.get(), port, burst, timer);
        pipeline::flush(worker_, snapshot_->tables.interfaces, devices_);
        timer.end(pipeline::Stage::transmit);
    }
    // With large frames, whose segments take more room than a burst has. Early rules see segments.
    void process_parts(pipeline::PortId port, const pipeline::Burst& burst, StageTimer& timer);
    void take_over_parts(const pipeline::Burst& burst, StageTimer& timer);
    void take_over_whole(pipeline::Burst& burst, StageTimer& timer) {
        auto context = this->context();
        run_own_stages(context, firewall_, burst, timer);
        pipeline::flush(worker_, snapshot_->tables.interfaces, devices_);
        timer.end(pipeline::Stage::transmit);
    }
    void adopt(const Snapshot* newest);
    void run_job();
    void bring_home();

    static constexpr size_t kWaitingJobs = 64;

    pipeline::Worker& worker_;
    size_t workers_;
    routing::WorkerState state_;
    filter::Firewall& firewall_;
    WorkerSteering* steering_;  // null: there is one worker
    steering::PlanOptions planned_;
    conntrack::FlowCursor flows_at_home_{.next = 0, .in_ip6 = true, .done = true};
    table::SpscRing<WorkerJob> jobs_{kWaitingJobs};
    WorkerJob job_;  // being worked on
    const PublishedSnapshot& published_;
    uint64_t number_ = 0;  // of the snapshot
    const Snapshot* snapshot_ = nullptr;
    std::optional<routing::IcmpConfig> icmp_;  // that the bucket was made for
    std::span<const dpdk::Device> devices_;
    bool has_large_;  // a device may give large frames
};

}  // namespace sluice
