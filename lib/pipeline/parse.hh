// The first stage: Ethernet, VLAN tags, and the fixed IP headers, each checked once. Everything behind it may
// rely on what it found.
#pragma once

#include "pipeline/burst.hh"
#include "pipeline/interfaces.hh"
#include "pipeline/plain.hh"
#include "pipeline/worker.hh"

namespace sluice::pipeline {

// Counts what was received, fills the meta of every packet and the burst's keys, and finishes those that are
// no good. IP packets are cut to the length their header gives.
void parse(Worker& worker, const Interfaces& interfaces, PortId port, Burst& burst);

// Counts frames that a device gave.
void count_received(Worker& worker, InterfaceId device, uint64_t packets, uint64_t bytes);

// Fills the keys of packets that another worker has parsed.
void find_keys(Burst& burst);

// One packet of the above: the verdict is `next` or a drop. `meta.in` and `meta.l3` are set in any case.
Verdict parse_packet(const Interfaces& interfaces, PortId port, dpdk::Packet* packet, PacketMeta& meta);

// What plain.hh asks of a device, and what packets on a fast path that came by it untagged have in common.
plain::Device plain_device(InterfaceId device, MacAddress own, Path path);

// A segment that was cut from a large frame, whose link header was looked at: of `meta`, all but its length
// and path is set.
Verdict parse_segment(dpdk::Packet* packet, PacketMeta& meta);

}  // namespace sluice::pipeline
