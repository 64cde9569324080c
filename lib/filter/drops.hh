// Drop reasons of the rules.
#pragma once

#include <span>

#include "telemetry/drop_reason.hh"

namespace sluice::filter::drops {

namespace places {
enum Place : uint16_t {
#define SLUICE_DROP(name, family, help) name,
#include "filter/drops.def"
#undef SLUICE_DROP
};
}  // namespace places

#define SLUICE_DROP(name, family, help) \
    inline constexpr auto name = telemetry::drop_reason(telemetry::DropBlock::filter, places::name);
#include "filter/drops.def"
#undef SLUICE_DROP

std::span<const telemetry::DropInfo> catalog();

}  // namespace sluice::filter::drops
