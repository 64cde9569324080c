// Drop reasons of NAT.
#pragma once

#include <span>

#include "telemetry/drop_reason.hh"

namespace sluice::nat::drops {

namespace places {
enum Place : uint16_t {
#define SLUICE_DROP(name, family, help) name,
#include "nat/drops.def"
#undef SLUICE_DROP
};
}  // namespace places

#define SLUICE_DROP(name, family, help) \
    inline constexpr auto name = telemetry::drop_reason(telemetry::DropBlock::nat, places::name);
#include "nat/drops.def"
#undef SLUICE_DROP

std::span<const telemetry::DropInfo> catalog();

}  // namespace sluice::nat::drops
