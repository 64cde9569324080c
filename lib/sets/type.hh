// What the elements of a set are made of: one field, or a concatenation of up to three.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.hh"
#include "base/error.hh"

namespace sluice::sets {

enum class FieldKind : uint8_t {
    ip,     // one address of either family
    net,    // a prefix or a range of addresses of either family
    port,   // a transport port or a range of them
    mac,    // an Ethernet address
    proto,  // a protocol number
    mark,   // a packet mark
};

inline constexpr size_t kMaxFields = 3;
inline constexpr size_t kMaxKeyBytes = 48;  // three IPv6 addresses

std::string_view to_string(FieldKind kind);
// Bytes of a field in a key; only addresses depend on the family.
constexpr size_t width_of(FieldKind kind, Family family) {
    switch (kind) {
        case FieldKind::ip:
        case FieldKind::net:
            return family == Family::ip4 ? 4 : 16;
        case FieldKind::port:
            return 2;
        case FieldKind::mac:
            return 6;
        case FieldKind::proto:
            return 1;
        case FieldKind::mark:
            return 4;
    }
    return 0;
}
constexpr bool is_address(FieldKind kind) {
    return kind == FieldKind::ip || kind == FieldKind::net;
}
// Whether an element may hold a range in this field.
constexpr bool is_interval(FieldKind kind) {
    return kind == FieldKind::net || kind == FieldKind::port;
}

// "ip", "net,port", "ip,port,ip" ... A value.
class SetType {
  public:
    constexpr SetType() = default;  // one address
    static Expected<SetType> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;

    [[nodiscard]] constexpr size_t size() const { return count_; }  // fields
    [[nodiscard]] constexpr FieldKind operator[](size_t field) const { return kinds_[field]; }
    [[nodiscard]] constexpr const FieldKind* begin() const { return kinds_.data(); }
    [[nodiscard]] constexpr const FieldKind* end() const { return kinds_.data() + count_; }
    // Bytes of a key: the fields one behind the other in wire order.
    [[nodiscard]] constexpr size_t key_bytes(Family family) const {
        size_t sum = 0;
        for (const FieldKind kind : *this)
            sum += width_of(kind, family);
        return sum;
    }
    // Without an address all elements count as of IPv4 and match packets of both families.
    [[nodiscard]] constexpr bool has_address() const {
        for (const FieldKind kind : *this)
            if (is_address(kind))
                return true;
        return false;
    }
    [[nodiscard]] constexpr bool has_interval() const {
        for (const FieldKind kind : *this)
            if (is_interval(kind))
                return true;
        return false;
    }
    constexpr bool operator==(const SetType&) const = default;

  private:
    std::array<FieldKind, kMaxFields> kinds_{};
    uint8_t count_ = 1;
};

}  // namespace sluice::sets
