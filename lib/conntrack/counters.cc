#include "conntrack/counters.hh"

namespace sluice::conntrack {
namespace {

constexpr std::array<CountInfo, kCounts> kCatalog{{
#define SLUICE_CONNTRACK_COUNTER(name, help) {#name, help},
#include "conntrack/counters.def"
#undef SLUICE_CONNTRACK_COUNTER
}};

}  // namespace

std::span<const CountInfo> count_catalog() {
    return kCatalog;
}

}  // namespace sluice::conntrack
