// Large frames: one frame of a device that stands for several TCP segments of a connection ("LRO", "GRO", or
// what a virtual machine sends with "TSO"). They go through the pipeline as one where all their segments
// would go the same way, and are cut into these where a closer look is needed, or where they leave through a
// device that cannot cut them. What leaves is what would have left if they had come as segments.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/interface_id.hh"
#include "dpdk/packet.hh"
#include "pipeline/burst.hh"
#include "pipeline/interfaces.hh"
#include "pipeline/worker.hh"
#include "wire/tcp_segmentation.hh"

namespace sluice::pipeline {

// No frame is cut into more: who sends tiny segments sends them by himself.
inline constexpr uint32_t kMaxSegments = 1024;

// The parts of a large frame, all headers of which lie in its first buffer.
struct LargeFrame {
    uint16_t ip;            // where the IP header begins in the frame
    uint16_t tcp;           // and the TCP header
    uint16_t headers;       // bytes in front of the data
    uint16_t segment_size;  // data in each segment but the last
    uint32_t payload;       // data in all

    // Of a frame that is_large(): nothing if it is not TCP, in fragments, without data, of too many segments,
    // or if the lengths in its headers do not fit those of the frame. IP options and extension headers may be
    // there, checksums are not looked at.
    static std::optional<LargeFrame> find(const dpdk::Packet* packet, uint16_t ip);
    // Of one that find() has found before, possibly with another link header.
    static LargeFrame of(const dpdk::Packet* packet, uint16_t ip) { return *find(packet, ip); }

    [[nodiscard]] uint32_t segments() const { return (payload + segment_size - 1) / segment_size; }
    // Of the longest segment's IP packet.
    [[nodiscard]] uint32_t largest() const {
        return headers - ip + std::min<uint32_t>(segment_size, payload);
    }
    // Of the IP packets of all segments.
    [[nodiscard]] uint32_t ip_bytes() const { return payload + segments() * (headers - ip); }
};

// Where the IP header of an untagged or tagged frame begins; it may be none.
uint16_t ip_offset(const dpdk::Packet* frame);

// Cuts a large frame into frames of their own, one after the other. A large frame that has been counted as
// received goes on as its first segment, and the others have been originated as far as the balance of packets
// is concerned. Segments of one that has not are to be counted as received themselves.
class LargeFrameCutter {
  public:
    enum class Origin : uint8_t { received, device };
    // `charged`: which interface counts segments for which there was no buffer.
    LargeFrameCutter(Worker& worker, dpdk::PacketOwner large, uint16_t ip, InterfaceId charged,
                     Origin origin = Origin::received);
    // The next segment, with the link header of the large frame; null after the last one.
    [[nodiscard]] dpdk::Packet* next();

  private:
    void copy_data(uint8_t* to, uint32_t size);
    void skip_data(uint32_t size);

    Worker& worker_;
    dpdk::PacketOwner large_;
    LargeFrame parts_;
    wire::TcpSegmentation segmentation_;
    InterfaceId charged_;
    Origin origin_;
    uint32_t segment_ = 0;
    const dpdk::Packet* buffer_;  // where the next segment's data begins
    uint32_t at_;
};

// Computes the TCP or UDP checksum of an IP packet that came without; other packets stay as they are.
void complete_transport_checksum(wire::MutableBytes packet);

// A burst from a device that gives large frames, in parts small enough that their segments have room in the
// egress queues. All large frames are cut if `cut` says so: then the burst has not been counted. Large frames
// that are none are left as they are.
class BurstParts {
  public:
    BurstParts(Worker& worker, const Burst& burst, InterfaceId device, bool cut)
        : worker_(worker), burst_(burst), device_(device), cut_(cut) {}
    // False if nothing is left. The part has the meta of the burst, for packets that were not cut.
    [[nodiscard]] bool next(Burst& part);

  private:
    Worker& worker_;
    const Burst& burst_;
    InterfaceId device_;
    bool cut_;
    uint16_t place_ = 0;
    std::optional<LargeFrameCutter> cutter_;
};

}  // namespace sluice::pipeline
