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
        if (count_ == kCapacity) [[unlikely]]
            return false;
        const uint16_t bytes = dpdk::length(packet);
        packets_[count_] = packet;
        frames_[count_] = {bytes, out};
        bytes_ += bytes;
        ++count_;
        return true;
    }
    [[nodiscard]] std::span<dpdk::Packet*> packets() { return {packets_.data(), count_}; }
    // Kept beside the packets, which are gone once they are sent.
    [[nodiscard]] uint16_t length(size_t place) const { return frames_[place].length; }
    [[nodiscard]] InterfaceId out(size_t place) const { return frames_[place].out; }
    [[nodiscard]] uint64_t bytes() const { return bytes_; }  // of all
    [[nodiscard]] bool empty() const { return count_ == 0; }
    void clear() {
        count_ = 0;
        bytes_ = 0;
    }

  private:
    struct Frame {
        uint16_t length;
        InterfaceId out;
    };
    uint64_t bytes_ = 0;
    uint16_t count_ = 0;
    std::array<dpdk::Packet*, kCapacity> packets_;
    std::array<Frame, kCapacity> frames_;
};

}  // namespace sluice::pipeline
