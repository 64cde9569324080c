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

// Whether there is none between the first of them, of which there is one, and the last.
constexpr bool are_in_a_row(uint64_t places) {
    return (places & (places + (places & -places))) == 0;
}

// Calls fn(place) for each in their order until it is false: those for which it was true. For places that are
// in a row more often than not; there is one at least.
template <typename Fn>
[[gnu::always_inline]] constexpr uint64_t while_each_place(uint64_t places, Fn&& fn) {
    if (are_in_a_row(places)) [[likely]] {
        const auto first = static_cast<size_t>(std::countr_zero(places));
        const size_t end = first + static_cast<size_t>(std::popcount(places));
        for (size_t place = first; place < end; ++place)
            if (!fn(place)) [[unlikely]]
                return places & (place_bit(place) - 1);
        return places;
    }
    for (uint64_t rest = places; rest != 0; rest &= rest - 1)
        if (!fn(static_cast<size_t>(std::countr_zero(rest)))) [[unlikely]]
            return places & ((rest & -rest) - 1);
    return places;
}
// For each of them.
template <typename Fn>
[[gnu::always_inline]] constexpr void for_each_place_in_row(uint64_t places, Fn&& fn) {
    while_each_place(places, [&](size_t place) {
        fn(place);
        return true;
    });
}

}  // namespace sluice::pipeline
