// The packet path for replay: the same stages as the live gateway's, no devices, and the control thread's
// part done at once. Of several workers each packet comes to the next in turn, and what they hand over is
// taken before anything else happens.
#pragma once

#include <memory>
#include <vector>

#include "dpdk/eal.hh"
#include "dpdk/packet_pool.hh"
#include "dpdk/packet_ring.hh"
#include "pipeline/burst.hh"
#include "pipeline/worker.hh"
#include "replay/dataplane.hh"
#include "routing/context.hh"
#include "routing/neighbour_service.hh"
#include "sluice/config.hh"
#include "sluice/firewall.hh"
#include "sluice/snapshot.hh"
#include "sluice/steering.hh"
#include "telemetry/drop_reason.hh"

namespace sluice {

class ReplayDataplane final : public replay::Dataplane {
  public:
    // EAL without devices and hugepages, in which packet paths may follow one another.
    static Expected<std::unique_ptr<dpdk::Eal>> start_eal();
    // EAL has been started, and like the configuration outlives it. `strict`: only configured neighbours are
    // known.
    static Expected<std::unique_ptr<ReplayDataplane>> create(const GatewayConfig& config, bool strict,
                                                             size_t workers = 1);
    ~ReplayDataplane() override;

    [[nodiscard]] std::vector<Interface> interfaces() const override;
    Expected<void> begin(Instant first) override;
    Expected<void> advance(Instant now, std::vector<replay::TimerOutcome>& caused) override;
    replay::Outcome inject(InterfaceId interface, std::span<const uint8_t> frame, Instant now) override;
    [[nodiscard]] replay::PacketTotals totals() const override;
    [[nodiscard]] std::vector<replay::NamedCount> drops() const override;
    [[nodiscard]] std::vector<replay::NamedCount> counters() const override;
    std::vector<std::string> flows() override;
    std::vector<std::string> rules() override;

    // Another configuration from now on, as a live gateway takes it; on an error the former one. What a live
    // gateway cannot change is the same.
    Expected<void> reload(const GatewayConfig& config);
    // The first worker's.
    [[nodiscard]] filter::Firewall& worker_firewall() { return firewall_of(*lanes_.front()); }

  private:
    // One worker and all that belongs to it.
    struct Lane {
        Lane(WorkerId id, const GatewayConfig& config, size_t workers, const dpdk::PacketPool& pool,
             dpdk::PacketRing ring, uint64_t seed);

        dpdk::PacketRing to_control;
        pipeline::Worker worker;
        routing::WorkerState state;
        std::unique_ptr<WorkerSteering> steering;  // null: there is one worker
    };
    ReplayDataplane(dpdk::PacketPool pool, const GatewayConfig& config, bool strict, size_t workers);
    Expected<void> make_lanes(size_t workers);
    routing::Context context(Lane& lane) {
        return {lane.worker, lane.state, snapshot_->tables,
                snapshot_->firewall ? &firewall_of(lane) : nullptr};
    }
    filter::Firewall& firewall_of(const Lane& lane) { return firewall_.of(lane.worker.id); }
    // The lanes' clocks.
    void set_time(Instant now);
    // Puts the configuration in force as of now.
    Expected<void> apply();
    void end_masquerade(const Snapshot& before);
    // Lets the workers take what they were given by others until nothing is left of it.
    void take_over();
    // The clock goes on to `now`: what depends on it alone happens.
    Expected<void> tell_time(Instant now);
    // Does the control thread's work until nothing is left of it.
    void run_errands();
    Expected<void> run_timers(Instant at);
    void collect(std::vector<replay::Output>& outputs);
    void tell(const filter::Judgement& judgement, replay::Outcome& outcome) const;
    [[nodiscard]] std::optional<Instant> next_timer() const;
    [[nodiscard]] size_t datagrams() const;  // under reassembly

    const GatewayConfig* config_;
    dpdk::PacketPool pool_;
    telemetry::DropCatalog catalog_;
    std::unique_ptr<SharedSteering> steering_;  // null: there is one worker
    std::vector<std::unique_ptr<Lane>> lanes_;
    Instant now_;
    uint64_t injected_ = 0;
    telemetry::PacketCounters control_counters_;
    routing::NoGracePeriod grace_;
    routing::NeighbourService neighbours_;
    FirewallControl firewall_;
    std::vector<dpdk::Packet*> to_worker_;
    std::unique_ptr<const Snapshot> snapshot_;  // from begin() on
    pipeline::Burst burst_;
};

}  // namespace sluice
