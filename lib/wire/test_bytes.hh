// Bytes for tests.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "wire/bytes.hh"

namespace sluice::wire {

using Buffer = std::vector<uint8_t>;

// "4500 0021": the bytes these digits spell.
inline Buffer from_hex(std::string_view digits) {
    const auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
    Buffer result;
    int high = -1;
    for (const char digit : digits) {
        if (digit == ' ') {
            continue;
        }
        if (high < 0) {
            high = value(digit);
        } else {
            result.push_back(static_cast<uint8_t>(high << 4 | value(digit)));
            high = -1;
        }
    }
    return result;
}

// The bytes with one of them replaced.
inline Buffer with(Buffer bytes, size_t at, uint8_t value) {
    bytes.at(at) = value;
    return bytes;
}

// What emit() writes, asked for in a buffer of just that size, and refused one byte less.
template <typename Value, typename... Arguments>
Buffer emitted(const Value& value, size_t size, const Arguments&... arguments) {
    Buffer result(size);
    if (size != 0 && value.emit(MutableBytes(result).first(size - 1), arguments...) != 0) {
        return {};
    }
    return value.emit(result, arguments...) == size ? result : Buffer{};
}

}  // namespace sluice::wire
