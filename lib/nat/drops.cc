#include "nat/drops.hh"

#include <array>

namespace sluice::nat::drops {
namespace {

using telemetry::DropFamily;

constexpr std::array kCatalog{
#define SLUICE_DROP(name, family, help) telemetry::DropInfo{drops::name, DropFamily::family, #name, help},
#include "nat/drops.def"
#undef SLUICE_DROP
};

}  // namespace

std::span<const telemetry::DropInfo> catalog() {
    return kCatalog;
}

}  // namespace sluice::nat::drops
