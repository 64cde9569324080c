// A packet as a program sees it: struct sluice_packet of include/sluice_bpf.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::bpf {

inline constexpr uint32_t kFrameBytes = 256;

struct PacketView {
    uint64_t now = 0;     // ns of a clock that never goes back
    uint32_t length = 0;  // of the frame
    uint16_t l3 = 0;      // where the IP header begins in it
    uint16_t l4 = 0;      // and the transport header; 0: there is none
    uint8_t family = 0;   // 4 or 6
    uint8_t protocol = 0;
    uint8_t fragment = 0;  // 1: any fragment but the first
    uint8_t reserved[5] = {};
    uint8_t frame[kFrameBytes];  // its beginning; zero behind its end
};

// One run: what the helpers find by the program's argument, and the copy of the packet that it works on. The
// program cannot reach what lies in front of its argument.
struct alignas(64) Run {
    void* host = nullptr;  // of whoever runs the program
    PacketView packet;

    static Run& of(uint64_t argument) {
        // rte_bpf hands pointers on as integers. NOLINTNEXTLINE(performance-no-int-to-ptr)
        return *reinterpret_cast<Run*>(argument - offsetof(Run, packet));
    }
};
static_assert(offsetof(Run, packet) == 8 && offsetof(PacketView, frame) == 24);

}  // namespace sluice::bpf
