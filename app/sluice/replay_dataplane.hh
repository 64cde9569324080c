// The packet path for replay: the same stages as the live gateway's, one worker, no devices, and the control
// thread's part done at once.
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
#include "telemetry/drop_reason.hh"

namespace sluice {

class ReplayDataplane final : public replay::Dataplane {
  public:
    // EAL without devices and hugepages, in which packet paths may follow one another.
    static Expected<std::unique_ptr<dpdk::Eal>> start_eal();
    // EAL has been started, and like the configuration outlives it. `strict`: only configured neighbours are
    // known.
    static Expected<std::unique_ptr<ReplayDataplane>> create(const GatewayConfig& config, bool strict);
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
    [[nodiscard]] filter::Firewall& worker_firewall() { return firewall_.of(worker_.id); }

  private:
    ReplayDataplane(dpdk::PacketPool pool, dpdk::PacketRing to_control, const GatewayConfig& config,
                    bool strict);
    routing::Context context() {
        return {worker_, state_, snapshot_->tables, snapshot_->firewall ? &worker_firewall() : nullptr};
    }
    // Puts the configuration in force as of worker_.now.
    Expected<void> apply();
    void end_masquerade(const Snapshot& before);
    // The clock goes on to `now`: what depends on it alone happens.
    Expected<void> tell_time(Instant now);
    // Does the control thread's work until nothing is left of it.
    void run_errands();
    Expected<void> run_timers(Instant at);
    void collect(std::vector<replay::Output>& outputs);
    void tell(const filter::Judgement& judgement, replay::Outcome& outcome) const;
    [[nodiscard]] std::optional<Instant> next_timer() const;

    const GatewayConfig* config_;
    dpdk::PacketPool pool_;
    dpdk::PacketRing to_control_;
    telemetry::DropCatalog catalog_;
    pipeline::Worker worker_;
    routing::WorkerState state_;
    telemetry::PacketCounters control_counters_;
    routing::NoGracePeriod grace_;
    routing::NeighbourService neighbours_;
    FirewallControl firewall_;
    std::vector<dpdk::Packet*> to_worker_;
    std::unique_ptr<const Snapshot> snapshot_;  // from begin() on
    pipeline::Burst burst_;
};

}  // namespace sluice
