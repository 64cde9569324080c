// A packet that waits until the MAC of its next hop is known.
#pragma once

#include <utility>

namespace sluice::routing {

// Owns a packet without knowing what it is; frees it when destroyed, unless it was taken. Move-only.
class HeldPacket {
  public:
    using Free = void (*)(void* packet) noexcept;
    HeldPacket() = default;
    HeldPacket(void* packet, Free free) : packet_(packet), free_(free) {}
    HeldPacket(HeldPacket&& other) noexcept
        : packet_(std::exchange(other.packet_, nullptr)), free_(other.free_) {}
    HeldPacket& operator=(HeldPacket&& other) noexcept {
        if (this != &other) {
            reset();
            packet_ = std::exchange(other.packet_, nullptr);
            free_ = other.free_;
        }
        return *this;
    }
    HeldPacket(const HeldPacket&) = delete;
    HeldPacket& operator=(const HeldPacket&) = delete;
    ~HeldPacket() { reset(); }

    [[nodiscard]] void* get() const { return packet_; }
    // Hands the packet to the caller, who owns it from now on.
    [[nodiscard]] void* take() { return std::exchange(packet_, nullptr); }

  private:
    void reset() {
        if (packet_ != nullptr)
            free_(std::exchange(packet_, nullptr));
    }
    void* packet_ = nullptr;
    Free free_ = nullptr;
};

}  // namespace sluice::routing
