// Large frames (pipeline/large.hh) on their way through the router: as one, or segment by segment.
#pragma once

#include "pipeline/burst.hh"
#include "routing/context.hh"
#include "routing/fib.hh"
#include "routing/neighbour_table.hh"

namespace sluice::routing {

// Where no hooks are asked: sends a large frame as one. False if not all of its segments would leave at once
// and whole; nothing has happened then.
[[nodiscard]] bool forward_large(Context& context, dpdk::Packet* packet, const pipeline::PacketMeta& meta);

// Sends one whose segments fit the way out, and whose way is known, over a link that is usable.
void send_large(Context& context, dpdk::Packet* packet, const pipeline::PacketMeta& meta, const NextHop& hop,
                const NeighbourTable::Found& neighbour, Family family);

// Takes each segment to its end, or on its way, as a packet of its own that does not go at burst speed.
void forward_in_segments(Context& context, dpdk::Packet* packet, const pipeline::PacketMeta& meta);

}  // namespace sluice::routing
