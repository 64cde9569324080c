// Values that configuration files write in a way of their own: rates, sizes, ports, percentages, modes,
// paths.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "base/address.hh"
#include "base/time.hh"

namespace sluice::config {

// So many per unit of time: `10/second`.
struct Rate {
    enum class Unit : uint8_t { second, minute, hour, day };
    uint64_t amount = 0;
    Unit unit = Unit::second;

    [[nodiscard]] Duration period() const;  // the unit as a duration
    [[nodiscard]] double per_second() const { return static_cast<double>(amount) / seconds(period()); }
    bool operator==(const Rate&) const = default;
};

// A size in bytes: `64k`, `16M`, `1G`, `1T` (powers of 1024) or plain bytes.
struct Bytes {
    uint64_t count = 0;
    auto operator<=>(const Bytes&) const = default;
};

// A transport port. 0 is allowed here; bound it where it is not.
struct Port {
    uint16_t number = 0;
    auto operator<=>(const Port&) const = default;
};

// Ports from first to last, both included: `80` or `1000-2000`.
struct PortRange {
    uint16_t first = 0;
    uint16_t last = 0;
    [[nodiscard]] bool contains(uint16_t port) const { return first <= port && port <= last; }
    auto operator<=>(const PortRange&) const = default;
};

// An address and a port: `127.0.0.1:9273`, `[::1]:80`.
struct Endpoint {
    IpAddress address;
    uint16_t port = 0;
    auto operator<=>(const Endpoint&) const = default;
};

// A share of something, `2%` or `0.25%`, in hundredths of a percent: 0 to 10000.
struct Percent {
    uint32_t hundredths = 0;
    [[nodiscard]] double share() const { return hundredths / 10000.0; }
    // That share of a whole, rounded down; exact for wholes below 2^50.
    [[nodiscard]] uint64_t of(uint64_t whole) const { return whole * hundredths / 10000; }
    auto operator<=>(const Percent&) const = default;
};

// Permission bits of a file, written as four octal digits: `"0660"`.
struct FileMode {
    uint32_t bits = 0;
    auto operator<=>(const FileMode&) const = default;
};

// A path as written, and where that is, seen from the folder of the file it was written in. `full` is empty
// for a path made by the program until someone sets it.
struct Path {
    std::string written;
    std::string full;
    bool operator==(const Path&) const = default;
};

}  // namespace sluice::config
