// Where a worker's cycles go, by stage. Measured on a sample of the bursts, since reading the time stamp
// counter costs as much as a stage does for one packet.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "telemetry/counter.hh"

namespace sluice::pipeline {

enum class Stage : uint8_t { receive, parse, steer, route, forward, transmit };
inline constexpr std::array<std::string_view, 6> kStageNames{"receive", "parse",   "steer",
                                                             "route",   "forward", "transmit"};

class StageCycles {
  public:
    // Bursts. Odd, since where devices send with every fourth burst it is to be each of the four in turn.
    static constexpr uint32_t kSampleEvery = 31;

    // True for a burst that is to be measured.
    [[nodiscard]] bool sample() { return ++bursts_ % kSampleEvery == 0; }
    void add(Stage stage, uint64_t cycles) { cycles_[static_cast<size_t>(stage)].add(cycles); }
    void add_packets(uint64_t packets) { packets_.add(packets); }

    [[nodiscard]] uint64_t cycles(size_t stage) const { return cycles_[stage].read(); }
    [[nodiscard]] uint64_t packets() const { return packets_.read(); }

  private:
    uint32_t bursts_ = 0;
    std::array<telemetry::Counter, kStageNames.size()> cycles_;
    telemetry::Counter packets_;
};

}  // namespace sluice::pipeline
