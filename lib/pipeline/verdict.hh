// What a stage says about a packet. A drop cannot be built without a reason, and no verdict can be ignored.
#pragma once

#include <cstdint>

#include "telemetry/drop_reason.hh"

namespace sluice::pipeline {

class [[nodiscard]] Verdict {
  public:
    enum class Kind : uint8_t {
        next,      // goes on to the next stage
        sent,      // put into a transmit queue: the stage has passed it on
        consumed,  // ended in the box as it should; to be freed and counted
        held,      // the box keeps it for later: the stage has passed it on
        drop,      // to be counted under its reason and freed
    };

    static constexpr Verdict next() { return Verdict(Kind::next); }
    static constexpr Verdict sent() { return Verdict(Kind::sent); }
    static constexpr Verdict consumed() { return Verdict(Kind::consumed); }
    static constexpr Verdict held() { return Verdict(Kind::held); }
    static constexpr Verdict drop(telemetry::DropReason reason) { return {Kind::drop, reason}; }

    [[nodiscard]] constexpr Kind kind() const { return kind_; }
    // Of a drop only.
    [[nodiscard]] constexpr telemetry::DropReason reason() const { return reason_; }
    constexpr bool operator==(const Verdict&) const = default;

  private:
    explicit constexpr Verdict(Kind kind) : kind_(kind) {}
    constexpr Verdict(Kind kind, telemetry::DropReason reason) : kind_(kind), reason_(reason) {}
    Kind kind_;
    telemetry::DropReason reason_{};
};

}  // namespace sluice::pipeline
