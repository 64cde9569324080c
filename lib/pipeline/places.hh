// Sets of places in a burst, a bit for each.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace sluice::pipeline {

constexpr uint64_t place_bit(size_t place) {
    return uint64_t{1} << place;
}

// The first so many, at most 64.
constexpr uint64_t first_places(size_t count) {
    return count == 0 ? 0 : ~uint64_t{0} >> (64 - count);
}

// Calls fn(place) for each, in their order.
template <typename Fn>
[[gnu::always_inline]] constexpr void for_each_place(uint64_t places, Fn&& fn) {
    for (; places != 0; places &= places - 1)
        fn(static_cast<size_t>(std::countr_zero(places)));
}

}  // namespace sluice::pipeline
