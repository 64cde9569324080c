// Keeps net_af_packet from asking the kernel to put fragments together. The driver joins a packet fanout
// group with PACKET_FANOUT_FLAG_DEFRAG; the kernel then delivers a datagram's fragments as one frame, which
// does not fit the driver's ring and is lost.
#pragma once

namespace sluice::dpdk {

// While one exists, sockets of the calling thread join fanout groups without that flag.
class FanoutWithoutDefrag {
  public:
    FanoutWithoutDefrag();
    ~FanoutWithoutDefrag();
    FanoutWithoutDefrag(const FanoutWithoutDefrag&) = delete;
    FanoutWithoutDefrag& operator=(const FanoutWithoutDefrag&) = delete;
};

}  // namespace sluice::dpdk
