// Drop reasons of connection tracking.
#pragma once

#include <span>

#include "telemetry/drop_reason.hh"

namespace sluice::conntrack::drops {

namespace places {
enum Place : uint16_t {
#define SLUICE_DROP(name, family, help) name,
#include "conntrack/drops.def"
#undef SLUICE_DROP
};
}  // namespace places

#define SLUICE_DROP(name, family, help) \
    inline constexpr auto name = telemetry::drop_reason(telemetry::DropBlock::conntrack, places::name);
#include "conntrack/drops.def"
#undef SLUICE_DROP

std::span<const telemetry::DropInfo> catalog();

}  // namespace sluice::conntrack::drops
