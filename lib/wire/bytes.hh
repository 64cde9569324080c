// Spans of bytes and numbers in network order inside them. The caller has checked the bounds.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "base/byte_order.hh"

namespace sluice::wire {

using Bytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

inline uint16_t read16(const uint8_t* from) {
    return Be16::load(from).host();
}
inline uint32_t read32(const uint8_t* from) {
    return Be32::load(from).host();
}
inline void write16(uint8_t* to, uint16_t value) {
    Be16::from_host(value).store(to);
}
inline void write32(uint8_t* to, uint32_t value) {
    Be32::from_host(value).store(to);
}

// memcpy that accepts an empty source.
inline void copy_bytes(uint8_t* to, Bytes from) {
    if (!from.empty()) {
        std::memcpy(to, from.data(), from.size());
    }
}

// Do both spans hold the same bytes?
inline bool same_bytes(Bytes a, Bytes b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace sluice::wire
