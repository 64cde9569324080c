// Protocol counters by their SNMP and nstat names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "telemetry/counter.hh"

namespace sluice::telemetry {

// Names are the counters' own, so that the operator, nstat and the code say the same.
enum class Protocol : uint16_t {
#define SLUICE_PROTOCOL_COUNTER(name, help) name,
#include "telemetry/protocol_counters.def"
#undef SLUICE_PROTOCOL_COUNTER
};

struct ProtocolInfo {
    std::string_view name;
    std::string_view help;
};

// In the order of the enumeration.
std::span<const ProtocolInfo> protocol_catalog();

inline constexpr size_t kProtocolCounters = 0
#define SLUICE_PROTOCOL_COUNTER(name, help) +1
#include "telemetry/protocol_counters.def"
#undef SLUICE_PROTOCOL_COUNTER
    ;

// One per worker.
class ProtocolCounters {
  public:
    void add(Protocol counter, uint64_t amount = 1) { values_[static_cast<size_t>(counter)].add(amount); }
    [[nodiscard]] uint64_t read(size_t place) const { return values_[place].read(); }

  private:
    std::array<Counter, kProtocolCounters> values_;
};

}  // namespace sluice::telemetry
