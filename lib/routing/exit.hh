// The way out that packets in a row share. Looked up for the first of them; those that follow to the same
// next hop are sent with a few stores.
#pragma once

#include <cstring>

#include "pipeline/burst.hh"
#include "pipeline/egress.hh"
#include "pipeline/worker.hh"
#include "routing/context.hh"
#include "routing/fib.hh"

namespace sluice::routing {

// On a worker's stack, for one burst: what it knows may change between two.
class Exit {
  public:
    // Of the next hop asked for last.
    [[nodiscard]] NextHopIndex next_hop() const { return next_hop_; }
    // Whether its packets can leave like this: through a gateway whose link is usable, untagged.
    [[nodiscard]] bool is_open() const { return mtu_ != 0; }
    [[nodiscard]] uint16_t mtu() const { return mtu_; }

    // Another next hop from here on.
    void turn_to(Context& context, NextHopIndex next_hop);

    // Sends a packet that came untagged, fits the MTU, and whose hop is counted, while is_open(). `frame` is
    // where it begins.
    [[gnu::always_inline]] void send(Context& context, dpdk::Packet* packet, uint8_t* frame,
                                     uint16_t length) const {
        std::memcpy(frame, &addresses_low_, sizeof addresses_low_);
        std::memcpy(frame + sizeof addresses_low_, &addresses_high_, sizeof addresses_high_);
        if (!queue_->push(packet, length, out_)) [[unlikely]]
            pipeline::drop_egress(context.worker, out_, packet);
    }

    // Of packets in a row, which have their addresses written one by one and are sent together.
    class Row {
      public:
        explicit Row(const Exit& exit)
            : addresses_low_(exit.addresses_low_), addresses_high_(exit.addresses_high_) {}
        void address(uint8_t* frame) const {
            std::memcpy(frame, &addresses_low_, sizeof addresses_low_);
            std::memcpy(frame + sizeof addresses_low_, &addresses_high_, sizeof addresses_high_);
        }

      private:
        uint64_t addresses_low_;
        uint32_t addresses_high_;
    };
    // For frames that are sent one by one.
    [[nodiscard]] pipeline::Egress::Tail tail() const { return {*queue_, out_}; }
    // Those at these places, for which there is room and of which there is one at least. Their bytes, from
    // the IP headers on.
    uint64_t send(const pipeline::Burst& burst, uint64_t places) const;
    [[nodiscard]] size_t room() const { return queue_->room(); }

  private:
    NextHopIndex next_hop_ = kNoNextHop;
    uint16_t mtu_ = 0;
    InterfaceId out_ = kNoInterface;
    // The frame's first twelve bytes: both MAC addresses.
    uint64_t addresses_low_ = 0;
    uint32_t addresses_high_ = 0;
    pipeline::Egress* queue_ = nullptr;
};

}  // namespace sluice::routing
