// The order of the stages, for everyone to read: what happens to a burst between a receive queue and the
// transmit queues.
#pragma once

#include "dpdk/eal.hh"
#include "filter/stage.hh"
#include "pipeline/parse.hh"
#include "pipeline/transmit.hh"
#include "pipeline/worker.hh"
#include "routing/local.hh"
#include "routing/stage.hh"
#include "sluice/snapshot.hh"
#include "sluice/steering.hh"

namespace sluice {

// Measures the stages of a sampled burst.
class StageTimer {
  public:
    StageTimer(pipeline::StageCycles& stages, bool sampled, uint64_t began)
        : stages_(stages), sampled_(sampled), last_(began) {}
    void end(pipeline::Stage stage) {
        if (!sampled_)
            return;
        const uint64_t now = dpdk::cycles();
        stages_.add(stage, now - last_);
        last_ = now;
    }

  private:
    pipeline::StageCycles& stages_;
    bool sampled_;
    uint64_t last_;
};

// What a worker does with packets that it owns. The rules at the five hooks are asked by routing, on the way
// (routing/hooks.hh).
inline void run_own_stages(routing::Context& context, filter::Firewall& firewall, pipeline::Burst& burst,
                           StageTimer& timer) {
    if (context.hooks != nullptr) {
        firewall.forward(context, burst);
        timer.end(pipeline::Stage::forward);
        return;
    }
    routing::BurstRoutes routes;
    routing::route(context, burst, routes);
    timer.end(pipeline::Stage::route);
    routing::forward(context, burst, routes);
    timer.end(pipeline::Stage::forward);
}

// Everything between receive and transmit. Frames that leave are in the egress queues afterwards, and those
// that others own are with them. `steering`: null where there is one worker.
inline void run_stages(routing::Context& context, filter::Firewall& firewall, WorkerSteering* steering,
                       const steering::Plan* plan, pipeline::PortId port, pipeline::Burst& burst,
                       StageTimer& timer) {
    const bool has_early = firewall.has_early();
    uint64_t asked_early = 0;
    if (has_early) [[unlikely]]
        asked_early = firewall.early_frames(context, port, burst);
    if (context.hooks != nullptr)
        firewall.prefetch(context);
    pipeline::parse(context.worker, context.tables.interfaces, port, burst);
    timer.end(pipeline::Stage::parse);
    if (has_early) [[unlikely]]
        firewall.early(context, burst, asked_early);
    if (steering != nullptr) {
        steering->steerer.steer(context.worker, *plan, burst);
        timer.end(pipeline::Stage::steer);
    }
    run_own_stages(context, firewall, burst, timer);
}

}  // namespace sluice
