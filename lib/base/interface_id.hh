// Numbers of interfaces and workers, used as array indexes on the packet path.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

// The place of an interface (a device or a VLAN on one) in the configuration, in its order.
enum class InterfaceId : uint16_t {};
inline constexpr size_t kMaxInterfaces = 256;
inline constexpr InterfaceId kNoInterface{0xffff};

constexpr size_t index(InterfaceId id) {
    return static_cast<size_t>(id);
}

// The place of a worker in the engine, from 0.
enum class WorkerId : uint16_t {};
inline constexpr size_t kMaxWorkers = 64;

constexpr size_t index(WorkerId id) {
    return static_cast<size_t>(id);
}

}  // namespace sluice
