// The running gateway: devices, workers, the published snapshot. Everything here happens on the control
// thread, except what the workers' loops do.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "admin/control_loop.hh"
#include "dpdk/bell.hh"
#include "dpdk/device.hh"
#include "dpdk/eal.hh"
#include "dpdk/packet_pool.hh"
#include "dpdk/packet_ring.hh"
#include "dpdk/rcu.hh"
#include "dpdk/sleeper.hh"
#include "nat/nat_job.hh"
#include "pipeline/loop.hh"
#include "pipeline/worker.hh"
#include "routing/neighbour_service.hh"
#include "sluice/config.hh"
#include "sluice/firewall.hh"
#include "sluice/published_snapshot.hh"
#include "sluice/snapshot.hh"
#include "sluice/steering.hh"
#include "sluice/worker_path.hh"
#include "telemetry/log.hh"

namespace sluice {

class Gateway {
  public:
    // Starts EAL, opens the devices and launches the workers.
    static Expected<std::unique_ptr<Gateway>> start(const GatewayConfig& config, admin::ControlLoop& loop,
                                                    telemetry::Log& log);
    // Stops the workers and closes the devices.
    ~Gateway();
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;

    // Replaces what the workers read, between two bursts. The configuration was checked and changes nothing
    // that is fixed. With `files`, what was read for it before, none is read.
    Expected<void> apply(const GatewayConfig& config, uint64_t generation,
                         const FirewallFiles* files = nullptr);

    [[nodiscard]] const Snapshot& snapshot() const { return *snapshot_; }
    // Good for as long as it is kept, also when another one is in force.
    [[nodiscard]] std::shared_ptr<const Snapshot> snapshot_to_keep() const { return snapshot_; }
    [[nodiscard]] const std::vector<dpdk::Device>& devices() const { return devices_; }
    [[nodiscard]] std::vector<const pipeline::Worker*> workers() const;
    [[nodiscard]] const telemetry::PacketCounters& control_counters() const { return control_counters_; }
    [[nodiscard]] const dpdk::Eal& eal() const { return *eal_; }
    [[nodiscard]] const dpdk::PacketPool& pool() const { return pool_; }
    [[nodiscard]] routing::NeighbourService& neighbours() { return *neighbours_; }
    [[nodiscard]] FirewallControl& firewall() { return *firewall_; }
    // Of a device, as last seen; a VLAN has its parent's.
    [[nodiscard]] dpdk::Link link(pipeline::PortId port) const { return links_[index(port)]; }
    [[nodiscard]] telemetry::PacketTotals totals() const;
    // Lets a worker answer a question about its flows or its NAT, and keeps the question until it has.
    void ask(size_t worker, std::shared_ptr<conntrack::FlowJob> job);
    void ask(size_t worker, std::shared_ptr<nat::NatJob> job);
    // Of all workers.
    [[nodiscard]] uint64_t flows() const;

  private:
    // One worker and all that belongs to it.
    struct Lane {
        dpdk::PacketRing to_control;
        dpdk::PacketRing from_control;
        dpdk::Sleeper sleeper;
        std::unique_ptr<pipeline::Worker> worker;
        std::unique_ptr<WorkerSteering> steering;  // null: there is one worker
        std::unique_ptr<WorkerPath> path;
        std::function<void()> body;
    };
    // Readers of retired snapshots and removed neighbours are the workers.
    class WorkerGrace final : public routing::GracePeriod {
      public:
        explicit WorkerGrace(const dpdk::Rcu& rcu) : rcu_(rcu) {}
        uint64_t begin() override { return rcu_.begin_grace(); }
        bool passed(uint64_t token) override { return rcu_.passed(token); }

      private:
        const dpdk::Rcu& rcu_;
    };
    struct Retired {
        std::shared_ptr<const Snapshot> snapshot;
        uint64_t token;
    };
    // A question that is with a worker, or has to wait since too many are.
    struct Asked {
        size_t worker;
        std::variant<std::shared_ptr<conntrack::FlowJob>, std::shared_ptr<nat::NatJob>> job;
    };
    struct Postponed {
        std::function<void()> run;
        uint64_t token;
    };

    Gateway(std::unique_ptr<dpdk::Eal> eal, dpdk::PacketPool pool, dpdk::Rcu rcu, dpdk::Bell bell,
            admin::ControlLoop& loop, telemetry::Log& log);
    Expected<void> open_devices(const GatewayConfig& config);
    Expected<void> make_lanes(const GatewayConfig& config);
    [[nodiscard]] std::vector<pipeline::PolledQueue> queues_of(size_t worker) const;
    // Of the table of steering.
    [[nodiscard]] std::vector<uint8_t> places() const;
    Expected<void> launch(const GatewayConfig& config);
    Expected<void> schedule();
    void take_errands();
    bool send_to_worker(dpdk::Packet* packet);
    void ask(Asked asked);
    void end_masquerade(const Snapshot& before, const Snapshot& after);
    void watch_links();
    void tick();
    void reclaim();
    // Without waiting for workers: there are none any more.
    void run_postponed();
    void log_rules();

    std::unique_ptr<dpdk::Eal> eal_;
    dpdk::PacketPool pool_;
    dpdk::Rcu rcu_;
    dpdk::Bell control_bell_;
    admin::ControlLoop& loop_;
    telemetry::Log& log_;
    telemetry::PacketCounters control_counters_;
    WorkerGrace grace_;
    std::unique_ptr<routing::NeighbourService> neighbours_;
    std::unique_ptr<FirewallControl> firewall_;
    std::vector<dpdk::Device> devices_;
    std::vector<dpdk::Link> links_;
    std::vector<OpenedDevice> opened_;
    std::shared_ptr<const Snapshot> snapshot_;
    std::vector<Retired> retired_;
    std::vector<Postponed> postponed_;  // until all workers have been quiescent
    PublishedSnapshot published_;
    std::atomic<bool> stop_{false};
    std::atomic<size_t> receiving_{0};          // workers that may still hand over something
    std::unique_ptr<SharedSteering> steering_;  // null: there is one worker
    std::vector<Lane> lanes_;
    std::vector<Asked> jobs_;     // with the workers
    std::vector<Asked> unasked_;  // there was no room
    std::vector<admin::ControlLoop::Registration> registrations_;
};

}  // namespace sluice
