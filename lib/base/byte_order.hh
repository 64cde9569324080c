// Integers in network byte order as types of their own, so that a value can never be read in the wrong order.
#pragma once

#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>

namespace sluice {

static_assert(std::endian::native == std::endian::little, "Sluice runs on little-endian machines");

// A 16-bit number as it stands on the wire. Compares by value, converts only when asked.
class Be16 {
  public:
    constexpr Be16() = default;
    static constexpr Be16 from_host(uint16_t value) { return from_wire(__builtin_bswap16(value)); }
    static constexpr Be16 from_wire(uint16_t wire) {
        Be16 result;
        result.wire_ = wire;
        return result;
    }
    static Be16 load(const void* from) {
        uint16_t wire;
        std::memcpy(&wire, from, sizeof wire);
        return from_wire(wire);
    }
    void store(void* to) const { std::memcpy(to, &wire_, sizeof wire_); }
    [[nodiscard]] constexpr uint16_t host() const { return __builtin_bswap16(wire_); }
    [[nodiscard]] constexpr uint16_t wire() const { return wire_; }
    constexpr bool operator==(const Be16&) const = default;
    constexpr auto operator<=>(const Be16& other) const { return host() <=> other.host(); }

  private:
    uint16_t wire_ = 0;
};

// A 32-bit number as it stands on the wire.
class Be32 {
  public:
    constexpr Be32() = default;
    static constexpr Be32 from_host(uint32_t value) { return from_wire(__builtin_bswap32(value)); }
    static constexpr Be32 from_wire(uint32_t wire) {
        Be32 result;
        result.wire_ = wire;
        return result;
    }
    static Be32 load(const void* from) {
        uint32_t wire;
        std::memcpy(&wire, from, sizeof wire);
        return from_wire(wire);
    }
    void store(void* to) const { std::memcpy(to, &wire_, sizeof wire_); }
    [[nodiscard]] constexpr uint32_t host() const { return __builtin_bswap32(wire_); }
    [[nodiscard]] constexpr uint32_t wire() const { return wire_; }
    constexpr bool operator==(const Be32&) const = default;
    constexpr auto operator<=>(const Be32& other) const { return host() <=> other.host(); }

  private:
    uint32_t wire_ = 0;
};

}  // namespace sluice
