// The way out that packets in a row share. Looked up for the first of them; those that follow to the same
// next hop are sent with a few stores.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "base/address.hh"
#include "pipeline/burst.hh"
#include "pipeline/egress.hh"
#include "pipeline/worker.hh"
#include "routing/context.hh"
#include "routing/fib.hh"

namespace sluice::routing {

// The first twelve bytes of a frame, in two registers while frames are written.
class FrameAddresses {
  public:
    FrameAddresses() = default;
    FrameAddresses(MacAddress destination, MacAddress source) {
        std::array<uint8_t, sizeof low_ + sizeof high_> bytes;
        destination.store(bytes.data());
        source.store(bytes.data() + 6);
        std::memcpy(&low_, bytes.data(), sizeof low_);
        std::memcpy(&high_, bytes.data() + sizeof low_, sizeof high_);
    }

    void write(uint8_t* frame) const {
        std::memcpy(frame, &low_, sizeof low_);
        std::memcpy(frame + sizeof low_, &high_, sizeof high_);
    }

  private:
    uint64_t low_ = 0;
    uint32_t high_ = 0;
};

// One worker's own. What it knows may change between two bursts.
class Exit {
  public:
    // Of the next hop asked for last.
    [[nodiscard]] NextHopIndex next_hop() const { return next_hop_; }
    // Whether its packets can leave like this: through a gateway whose link is usable, untagged.
    [[nodiscard]] bool is_open() const { return mtu_ != 0; }
    [[nodiscard]] uint16_t mtu() const { return mtu_; }

    // Another next hop from here on.
    void turn_to(Context& context, NextHopIndex next_hop);
    // In another burst, with the same tables: it is forgotten unless it is open, and still as it was.
    void renew(const Context& context) {
        if (!is_open() || context.tables.neighbours.link(neighbour_) != link_) [[unlikely]]
            *this = {};
    }
    // Packets have left since renew(): its neighbour is used.
    void note_use(const Context& context) const {
        if (is_open())
            context.tables.neighbours.mark_used(neighbour_);
    }
    // Asks memory for what this, and sending, will read.
    void prefetch(const Context& context) const {
        if (!is_open())
            return;
        context.tables.neighbours.prefetch_link(neighbour_);
        queue_->prefetch();
    }

    // Sends a packet that came untagged, fits the MTU, and whose hop is counted, while is_open(). `frame` is
    // where it begins.
    [[gnu::always_inline]] void send(Context& context, dpdk::Packet* packet, uint8_t* frame,
                                     uint16_t length) const {
        addresses_.write(frame);
        if (!queue_->push(packet, length, out_)) [[unlikely]]
            pipeline::drop_egress(context.worker, out_, packet);
    }

    // For frames that are sent in other ways than by the above: what to write into them,
    [[nodiscard]] const FrameAddresses& addresses() const { return addresses_; }
    // and where they go, one by one
    [[nodiscard]] pipeline::Egress::Tail tail() const { return {*queue_, out_}; }
    // or together: those at these places, for which there is room and of which there is one at least. Their
    // bytes, from the IP headers on.
    uint64_t send(const pipeline::Burst& burst, uint64_t places) const;
    [[nodiscard]] size_t room() const { return queue_->room(); }

  private:
    NextHopIndex next_hop_ = kNoNextHop;
    uint16_t mtu_ = 0;
    InterfaceId out_ = kNoInterface;
    NeighbourIndex neighbour_ = kNoNeighbour;
    NeighbourLink link_;
    FrameAddresses addresses_;
    pipeline::Egress* queue_ = nullptr;
};

}  // namespace sluice::routing
