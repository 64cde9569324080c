// The packet path of one live worker: what the loop of lib/pipeline calls.
#pragma once

#include <atomic>
#include <optional>
#include <span>
#include <variant>

#include "conntrack/flow_job.hh"
#include "dpdk/device.hh"
#include "nat/nat_job.hh"
#include "pipeline/burst.hh"
#include "sluice/snapshot.hh"
#include "sluice/stages.hh"
#include "table/spsc_ring.hh"

namespace sluice {

// The bucket for one worker's share of what the box may send.
table::TokenBucket error_bucket(const routing::IcmpConfig& icmp, size_t workers);

// A question about what a worker owns: its flows, or its NAT.
using WorkerJob = std::variant<std::monostate, conntrack::FlowJob*, nat::NatJob*>;

class WorkerPath {
  public:
    WorkerPath(pipeline::Worker& worker, size_t workers, uint64_t seed, filter::Firewall& firewall,
               const std::atomic<const Snapshot*>& published, std::span<const dpdk::Device> devices)
        : worker_(worker),
          workers_(workers),
          state_(seed),
          firewall_(firewall),
          published_(published),
          devices_(devices) {}

    // Takes the snapshot that is used until the next call.
    void begin_round() {
        const Snapshot* newest = published_.load(std::memory_order_acquire);
        if (newest != snapshot_) [[unlikely]]
            adopt(newest);
    }

    void process(pipeline::PortId port, pipeline::Burst& burst, uint64_t began) {
        const bool sampled = worker_.stages.sample();
        StageTimer timer(worker_.stages, sampled, began);
        timer.end(pipeline::Stage::receive);
        auto context = this->context();
        run_stages(context, firewall_, port, burst, timer);
        pipeline::flush(worker_, snapshot_->tables.interfaces, devices_);
        timer.end(pipeline::Stage::transmit);
        if (sampled)
            worker_.stages.add_packets(burst.count);
    }

    // A slice of a question to this worker; true while there is one.
    bool serve() {
        if (job_.index() == 0) [[likely]] {
            if (!jobs_.pop(job_)) [[likely]]
                return false;
            // What was published before the question holds from its first slice on.
            begin_round();
        }
        run_job();
        return true;
    }

    // The control thread's: false if too many wait already. The job stays its owner's.
    [[nodiscard]] bool ask(const WorkerJob& job) { return jobs_.push(job); }

    void errands(std::span<dpdk::Packet*> packets);
    void tick();

  private:
    routing::Context context() {
        return {worker_, state_, snapshot_->tables, snapshot_->firewall ? &firewall_ : nullptr};
    }
    void adopt(const Snapshot* newest);
    void run_job();

    static constexpr size_t kWaitingJobs = 64;

    pipeline::Worker& worker_;
    size_t workers_;
    routing::WorkerState state_;
    filter::Firewall& firewall_;
    table::SpscRing<WorkerJob> jobs_{kWaitingJobs};
    WorkerJob job_;  // being worked on
    const std::atomic<const Snapshot*>& published_;
    const Snapshot* snapshot_ = nullptr;
    std::optional<routing::IcmpConfig> icmp_;  // that the bucket was made for
    std::span<const dpdk::Device> devices_;
};

}  // namespace sluice
