// Frames that wait for the end of the burst to leave through one port. A queue belongs to one worker.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/interface_id.hh"
#include "dpdk/packet.hh"

namespace sluice::pipeline {

class Egress {
  public:
    static constexpr uint16_t kCapacity = 1024;

    [[nodiscard]] bool push(dpdk::Packet* packet, InterfaceId out) {
        if (count_ == kCapacity)
            return false;
        packets_[count_] = packet;
        lengths_[count_] = dpdk::length(packet);
        outs_[count_] = out;
        ++count_;
        return true;
    }
    [[nodiscard]] std::span<dpdk::Packet*> packets() { return {packets_.data(), count_}; }
    // Kept beside the packets, which are gone once they are sent.
    [[nodiscard]] uint16_t length(size_t place) const { return lengths_[place]; }
    [[nodiscard]] InterfaceId out(size_t place) const { return outs_[place]; }
    [[nodiscard]] bool empty() const { return count_ == 0; }
    void clear() { count_ = 0; }

  private:
    uint16_t count_ = 0;
    std::array<dpdk::Packet*, kCapacity> packets_;
    std::array<uint16_t, kCapacity> lengths_;
    std::array<InterfaceId, kCapacity> outs_;
};

}  // namespace sluice::pipeline
