// Which of the offloads that a profile asks for a device can do. Names are DPDK's in lower case.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::dpdk {

struct OffloadChoice {
    uint64_t bits = 0;
    std::vector<std::string> used;
    std::vector<std::string> refused;  // asked for, but the device cannot, or the name is unknown
};

OffloadChoice choose_rx_offloads(const std::vector<std::string>& asked, uint64_t capabilities);
OffloadChoice choose_tx_offloads(const std::vector<std::string>& asked, uint64_t capabilities);
OffloadChoice choose_rss(const std::vector<std::string>& asked, uint64_t capabilities);

}  // namespace sluice::dpdk
