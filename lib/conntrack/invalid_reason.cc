#include "conntrack/invalid_reason.hh"

#include <array>

namespace sluice::conntrack {
namespace {

constexpr std::array<InvalidReasonInfo, kInvalidReasons> kCatalog{{
    {"none", "not invalid"},
#define SLUICE_INVALID(name, help) {#name, help},
#include "conntrack/invalid_reason.def"
#undef SLUICE_INVALID
}};

}  // namespace

std::span<const InvalidReasonInfo> invalid_reason_catalog() {
    return kCatalog;
}

}  // namespace sluice::conntrack
