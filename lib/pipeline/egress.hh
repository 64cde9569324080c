// Frames that wait for the end of the burst to leave through one port. A queue belongs to one worker.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "base/interface_id.hh"
#include "base/prefetch.hh"
#include "dpdk/packet.hh"

namespace sluice::pipeline {

class Egress {
  public:
    static constexpr uint16_t kCapacity = 1024;

    [[nodiscard]] bool push(dpdk::Packet* packet, InterfaceId out) {
        return push(packet, dpdk::length(packet), out);
    }
    // Of a length that the caller has at hand; also of a packet in several buffers that the device takes as
    // it is.
    [[nodiscard]] bool push(dpdk::Packet* packet, uint16_t bytes, InterfaceId out) {
        if (count_ == kCapacity) [[unlikely]]
            return false;
        if (out != out_) [[unlikely]]
            note(out, {&bytes, 1});
        packets_[count_] = packet;
        bytes_ += bytes;
        ++count_;
        return true;
    }
    [[nodiscard]] size_t room() const { return kCapacity - count_; }
    // Asks memory for what every push reads and writes.
    void prefetch() const { prefetch_line_to_write(this); }

    // Appends frames that all leave as one interface and for which there is room; `length_of(i)` is the
    // length of one. That of all.
    template <typename LengthOf>
    uint64_t append(std::span<dpdk::Packet* const> packets, InterfaceId out, LengthOf length_of) {
        std::ranges::copy(packets, packets_.data() + count_);
        uint32_t bytes = 0;
        for (size_t i = 0; i < packets.size(); ++i)
            bytes += length_of(i);
        if (out != out_) [[unlikely]] {
            std::array<uint16_t, kCapacity> lengths;
            for (size_t i = 0; i < packets.size(); ++i)
                lengths[i] = length_of(i);
            note(out, std::span(lengths).first(packets.size()));
        }
        bytes_ += bytes;
        count_ = static_cast<uint16_t>(count_ + packets.size());
        return bytes;
    }
    // The same one by one, with the count in a register. Nobody else appends until commit().
    class Tail {
      public:
        Tail(Egress& egress, InterfaceId out) : egress_(egress), next_(egress.count_), out_(out) {
            if (out != egress.out_) [[unlikely]]
                egress.note(out, {});
            is_mixed_ = egress.is_mixed();
        }
        void push(dpdk::Packet* packet, uint16_t length) {
            if (is_mixed_) [[unlikely]]
                egress_.frames_[next_] = {length, out_};
            egress_.packets_[next_] = packet;
            ++next_;
        }
        // `bytes`: of all of them.
        void commit(uint64_t bytes) {
            egress_.count_ = static_cast<uint16_t>(next_);
            egress_.bytes_ += bytes;
        }

      private:
        Egress& egress_;
        size_t next_;
        InterfaceId out_;
        bool is_mixed_;
    };
    [[nodiscard]] std::span<dpdk::Packet*> packets() { return {packets_.data(), count_}; }
    // Whether frames leave as several interfaces. If not, all do as out(0).
    [[nodiscard]] bool is_mixed() const { return out_ == kNoInterface; }
    [[nodiscard]] InterfaceId out(size_t place) const { return is_mixed() ? frames_[place].out : out_; }
    // Of a frame that has not been sent, or of any if is_mixed().
    [[nodiscard]] uint16_t length(size_t place) const {
        return is_mixed() ? frames_[place].length
                          : static_cast<uint16_t>(dpdk::total_length(packets_[place]));
    }
    [[nodiscard]] uint64_t bytes() const { return bytes_; }  // of all
    [[nodiscard]] bool empty() const { return count_ == 0; }
    [[nodiscard]] bool full() const { return count_ == kCapacity; }
    void clear() {
        count_ = 0;
        bytes_ = 0;
        has_large_ = false;
    }

    // A large frame, which is cut before the others are sent, or becomes the device's to cut.
    [[nodiscard]] bool push_large(dpdk::Packet* packet, InterfaceId out) {
        has_large_ = true;
        return push(packet, 0, out);
    }
    [[nodiscard]] bool has_large() const { return has_large_; }
    // Whether its frames wait for more while more come, for a device that wants so many at once.
    [[nodiscard]] bool waits_for(uint16_t batch) const { return count_ < batch && !has_large_; }

  private:
    struct Frame {
        uint16_t length;
        InterfaceId out;
    };
    // Frames of these lengths are about to be appended that leave otherwise than those before them. From then
    // on each frame's way and length are kept beside it, which is gone once it is sent.
    [[gnu::noinline]] void note(InterfaceId out, std::span<const uint16_t> lengths);

    uint64_t bytes_ = 0;
    uint16_t count_ = 0;
    InterfaceId out_ = kNoInterface;  // of all frames, now and in the burst before; kNoInterface: they differ
    bool has_large_ = false;
    std::array<dpdk::Packet*, kCapacity> packets_;
    std::array<Frame, kCapacity> frames_;  // if they differ
};

}  // namespace sluice::pipeline
