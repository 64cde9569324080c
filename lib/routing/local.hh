// Packets to the box itself: reassembly, ICMP, and refusals where nobody listens.
#pragma once

#include "dpdk/packet.hh"
#include "pipeline/burst.hh"
#include "pipeline/verdict.hh"
#include "routing/context.hh"
#include "routing/icmp_output.hh"
#include "routing/output.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"

namespace sluice::routing {

// To whom a packet was addressed.
enum class Addressed : uint8_t {
    host,
    group
};  // group: multicast or broadcast, which gets no errors and no resets

// IPv4. Fragments are kept until the datagram is whole.
pipeline::Verdict deliver(Context& context, Passage& passage, Addressed to, const Offence& how);

// IPv6. Neighbour Discovery is handed to the control thread with its frame, and then held.
pipeline::Verdict deliver(Context& context, dpdk::Packet* frame, const pipeline::PacketMeta& meta,
                          Passage& passage, Addressed to, const Offence& how);

// How the packet came, for errors about it.
inline Offence offence_of(const Passage& passage) {
    return {.in = passage.in, .link_group = passage.link_group, .tracked = &passage.tracked};
}

// Puts fragments together before the hooks see them, where those want that. `next`: the passage has a whole
// datagram, and `came` says how it came. Otherwise the fragment has been kept, or is refused without a word
// to its sender, as Linux does in a tracking router.
pipeline::Verdict collect_ip4(Context& context, Passage& passage, Fragmented& came);
pipeline::Verdict collect_ip6(Context& context, Passage& passage, Fragmented& came);

// Hands an ARP or ND frame to the control thread, which knows the neighbours. The frame is held.
void send_to_resolver(Context& context, dpdk::Packet* frame, const pipeline::PacketMeta& meta);

// The reason under which a fragment that was not kept is dropped.
telemetry::DropReason fragment_reason(table::FragmentRefusal refusal);

// Counts datagrams that were let go for another's fragment.
void count_evicted(Context& context, const table::EvictedDatagrams& evicted);

// Forgets datagrams whose fragments did not come in time, and tells the sender (RFC 792, RFC 8200 4.5).
void expire_fragments(Context& context);

// The reset that answers a segment to a port where nobody listens (RFC 9293 3.10.7.1); nothing for a reset.
// Writes the segment with its checksum; bytes written.
size_t build_reset(wire::Bytes segment, const IpAddress& source, const IpAddress& destination,
                   wire::MutableBytes to);

}  // namespace sluice::routing
