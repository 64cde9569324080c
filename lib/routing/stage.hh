// The router's stages: where does each packet of a burst go, and sending it there. What is ordinary is done
// here, at burst speed; everything else goes packet by packet through slow4.cc and slow6.cc, in its turn, so
// that the order of packets is kept.
#pragma once

#include <array>

#include "pipeline/burst.hh"
#include "routing/context.hh"

namespace sluice::routing {

// The next hop of each packet on a fast path; the others' places mean nothing.
using BurstRoutes = std::array<NextHopIndex, pipeline::kMaxBurst>;

// Looks up the next hops of a parsed burst and fetches what forward() will touch.
void route(Context& context, const pipeline::Burst& burst, BurstRoutes& routes);

// Takes every packet of the burst to its end, or on its way.
void forward(Context& context, pipeline::Burst& burst, const BurstRoutes& routes);

// A packet that does not go at burst speed, whatever its path: counts it, and takes it to its end or on its
// way.
pipeline::Verdict forward_slowly(Context& context, dpdk::Packet* packet, const pipeline::PacketMeta& meta);

// A packet that comes back from the control thread with an errand: to be sent, or given up.
void handle_errand(Context& context, dpdk::Packet* packet);

}  // namespace sluice::routing
