#include "telemetry/protocol_counters.hh"

namespace sluice::telemetry {
namespace {

constexpr std::array<ProtocolInfo, kProtocolCounters> kCatalog{{
#define SLUICE_PROTOCOL_COUNTER(name, help) {#name, help},
#include "telemetry/protocol_counters.def"
#undef SLUICE_PROTOCOL_COUNTER
}};

}  // namespace

std::span<const ProtocolInfo> protocol_catalog() {
    return kCatalog;
}

}  // namespace sluice::telemetry
