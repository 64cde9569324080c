#include "sets/piece.hh"

#include <algorithm>
#include <cstring>
#include <vector>

#include "sets/wide.hh"

namespace sluice::sets {
namespace {

struct Prefix {
    Wide base;
    uint8_t length;
};

// The longest run of numbers from `low` on that is a prefix and does not reach beyond `high`: how many of its
// bits are free.
unsigned free_bits(Wide low, Wide high, unsigned bits) {
    const unsigned aligned = low == 0 ? bits : std::min(trailing_zeros(low), bits);
    const Wide more = high - low;  // numbers behind low
    const unsigned fitting = more == ~Wide{0} ? 128 : bit_width(more + 1) - 1;
    return std::min(aligned, fitting);
}

template <typename Fn>
void for_each_prefix(Wide low, Wide high, unsigned bits, Fn&& fn) {
    for (;;) {
        const unsigned free = free_bits(low, high, bits);
        fn(Prefix{low, static_cast<uint8_t>(bits - free)});
        const Wide last = low | ones(free);
        if (last == high)
            return;
        low = last + 1;
    }
}

}  // namespace

bool is_one_piece(const SetType& type, const ElementValue& value, Piece& piece) {
    size_t at = 0;
    for (size_t field = 0; field < type.size(); ++field) {
        const size_t width = width_of(type[field], value.family);
        const Wide low = load_wide(&value.low[at], width);
        const Wide differing = low ^ load_wide(&value.high[at], width);
        if ((low & differing) != 0 || (differing & (differing + 1)) != 0)
            return false;
        piece.lengths[field] = static_cast<uint8_t>(width * 8 - bit_width(differing));
        at += width;
    }
    std::memcpy(piece.key.data(), value.low.data(), sizeof piece.key);
    return true;
}

size_t count_pieces(const SetType& type, const ElementValue& value) {
    if (Piece whole; is_one_piece(type, value, whole))
        return 1;
    size_t product = 1;
    size_t at = 0;
    for (const FieldKind kind : type) {
        const size_t width = width_of(kind, value.family);
        size_t count = 0;
        for_each_prefix(load_wide(&value.low[at], width), load_wide(&value.high[at], width),
                        static_cast<unsigned>(width * 8), [&count](const Prefix&) { ++count; });
        product *= count;
        at += width;
    }
    return product;
}

std::vector<Piece> pieces_of(const SetType& type, const ElementValue& value) {
    std::vector<Piece> pieces;
    std::array<std::vector<Prefix>, kMaxFields> prefixes;
    std::array<size_t, kMaxFields + 1> begins{};
    for (size_t field = 0; field < type.size(); ++field) {
        const size_t width = width_of(type[field], value.family);
        const size_t at = begins[field];
        for_each_prefix(load_wide(&value.low[at], width), load_wide(&value.high[at], width),
                        static_cast<unsigned>(width * 8),
                        [&, field](const Prefix& prefix) { prefixes[field].push_back(prefix); });
        begins[field + 1] = at + width;
    }
    // Counts through all combinations, the last field fastest.
    std::array<size_t, kMaxFields> chosen{};
    for (;;) {
        Piece piece;
        for (size_t field = 0; field < type.size(); ++field) {
            const Prefix& prefix = prefixes[field][chosen[field]];
            store_wide(prefix.base, reinterpret_cast<uint8_t*>(piece.key.data()) + begins[field],
                       begins[field + 1] - begins[field]);
            piece.lengths[field] = prefix.length;
        }
        pieces.push_back(piece);
        size_t field = type.size();
        while (field > 0 && ++chosen[field - 1] == prefixes[field - 1].size())
            chosen[--field] = 0;
        if (field == 0)
            return pieces;
    }
}

Piece first_piece(const SetType& type, const ElementValue& value) {
    Piece piece;
    size_t at = 0;
    for (size_t field = 0; field < type.size(); ++field) {
        const size_t width = width_of(type[field], value.family);
        const auto bits = static_cast<unsigned>(width * 8);
        const unsigned free =
            free_bits(load_wide(&value.low[at], width), load_wide(&value.high[at], width), bits);
        piece.lengths[field] = static_cast<uint8_t>(bits - free);
        at += width;
    }
    std::memcpy(piece.key.data(), value.low.data(), sizeof piece.key);
    return piece;
}

PrefixLengths full_lengths(const SetType& type, Family family) {
    PrefixLengths lengths{};
    for (size_t field = 0; field < type.size(); ++field)
        lengths[field] = static_cast<uint8_t>(width_of(type[field], family) * 8);
    return lengths;
}

KeyWords mask_of(const SetType& type, Family family, const PrefixLengths& lengths) {
    std::array<uint8_t, kMaxKeyBytes> bytes{};
    size_t at = 0;
    for (size_t field = 0; field < type.size(); ++field) {
        const size_t width = width_of(type[field], family);
        const auto bits = static_cast<unsigned>(width * 8);
        store_wide(ones(bits) ^ ones(bits - lengths[field]), &bytes[at], width);
        at += width;
    }
    KeyWords words;
    std::memcpy(words.data(), bytes.data(), sizeof words);
    return words;
}

}  // namespace sluice::sets
