// The packet buffer: an mbuf with headroom, and the few operations on it that the pipeline needs. Every
// packet in Sluice lies in one buffer, as large as the largest MTU needs, but for large frames: a device made
// one of several TCP segments, and its data may go on in a chain of further buffers (pipeline/large.hh).
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <memory>
#include <span>

#include "base/address.hh"
#include "base/interface_id.hh"

namespace sluice::dpdk {

// Handed around as a raw pointer while it is part of a burst; whoever holds it last frees or sends it.
using Packet = rte_mbuf;

struct PacketFree {
    void operator()(Packet* packet) const { rte_pktmbuf_free(packet); }
};
// Owns a packet on the slow path.
using PacketOwner = std::unique_ptr<Packet, PacketFree>;

// Frees all of them. As rte_pktmbuf_free_bulk(), in fewer steps where they are what receiving gives: of one
// pool, in one buffer each that nobody else holds.
inline void free_burst(std::span<Packet*> packets) {
    if (packets.empty())
        return;
    rte_mempool* const pool = packets[0]->pool;
    uint64_t unusual = 0;
    for (const Packet* packet : packets) {
        unusual |= packet->ol_flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
        unusual |= static_cast<uint64_t>((rte_mbuf_refcnt_read(packet) ^ 1) | (packet->nb_segs ^ 1));
        unusual |= reinterpret_cast<uintptr_t>(packet->pool) ^ reinterpret_cast<uintptr_t>(pool);
        unusual |= reinterpret_cast<uintptr_t>(packet->next);
    }
    const auto count = static_cast<unsigned>(packets.size());
    if (unusual == 0)
        rte_mempool_put_bulk(pool, reinterpret_cast<void**>(packets.data()), count);
    else
        rte_pktmbuf_free_bulk(packets.data(), count);
}

inline uint8_t* data(Packet* packet) {
    return rte_pktmbuf_mtod(packet, uint8_t*);
}
inline const uint8_t* data(const Packet* packet) {
    return rte_pktmbuf_mtod(packet, const uint8_t*);
}
inline uint16_t length(const Packet* packet) {
    return packet->data_len;
}
inline bool is_contiguous(const Packet* packet) {
    return packet->nb_segs == 1;
}
// Bytes of the whole packet, also where it came in several buffers.
inline uint32_t total_length(const Packet* packet) {
    return packet->pkt_len;
}
// Whether the device says that the frame stands for several TCP segments, and how much data each has.
inline bool is_large(const Packet* packet) {
    return (packet->ol_flags & RTE_MBUF_F_RX_LRO) != 0 && packet->tso_segsz != 0;
}
inline uint16_t segment_size(const Packet* packet) {
    return packet->tso_segsz;
}
inline std::span<const uint8_t> bytes(const Packet* packet) {
    return {data(packet), length(packet)};
}
inline std::span<uint8_t> bytes(Packet* packet) {
    return {data(packet), length(packet)};
}
// Moves the start of the packet; the caller knows that the headroom or the packet is long enough.
inline void move_start(Packet* packet, int by) {
    packet->data_off = static_cast<uint16_t>(packet->data_off + by);
    packet->data_len = static_cast<uint16_t>(packet->data_len - by);
    packet->pkt_len = static_cast<uint32_t>(static_cast<int>(packet->pkt_len) - by);
}
// Cuts or extends the end; the caller knows that the buffer is long enough.
inline void set_length(Packet* packet, uint16_t length) {
    packet->data_len = length;
    packet->pkt_len = length;
}
// Bytes that a packet starting where this one starts can have.
inline uint16_t room(const Packet* packet) {
    return static_cast<uint16_t>(packet->buf_len - packet->data_off);
}
// True where the device has checked the IPv4 header checksum and found it right.
inline bool ip4_checksum_is_good(const Packet* packet) {
    return (packet->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
}
// What the device said of the IPv4 header checksum holds no longer: the packet was changed.
inline void forget_ip4_checksum(Packet* packet) {
    packet->ol_flags &= ~RTE_MBUF_F_RX_IP_CKSUM_MASK;
}
// True where the device vouches for what the packet carries but left its TCP or UDP checksum undone, as the
// other end of a virtual link may.
inline bool lacks_transport_checksum(const Packet* packet) {
    return (packet->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE;
}
inline void prefetch_data(const Packet* packet) {
    rte_prefetch0(data(packet));
}
inline void prefetch_header(const Packet* packet) {
    rte_prefetch0(packet);
}

// Why a packet travels between a worker and the control thread.
enum class Errand : uint8_t {
    neighbour_input,  // to control: an ARP or ND frame
    resolve,     // to control: wants the link-layer address of `next_hop` on `interface`; starts at its IP
                 // header
    unresolved,  // to a worker: nobody answered for `next_hop`
    transmit,    // to a worker: a complete frame to send on `interface`
};

// What stands in a packet's private area while it is on an errand; written and read only then.
struct PacketNote {
    Errand errand;
    bool forwarded;         // resolve, unresolved: received on `arrival`, not made by the box
    bool link_multicast;    // it came as link-layer broadcast or multicast
    WorkerId worker;        // that it came from and goes back to
    InterfaceId interface;  // where it shall leave; of neighbour_input where it came in
    InterfaceId arrival;    // where it came in
    IpAddress next_hop;
};

inline PacketNote& note(Packet* packet) {
    return *static_cast<PacketNote*>(rte_mbuf_to_priv(packet));
}

inline constexpr uint16_t kPrivateSize = 64;
static_assert(sizeof(PacketNote) <= kPrivateSize && kPrivateSize % RTE_MBUF_PRIV_ALIGN == 0);

}  // namespace sluice::dpdk
