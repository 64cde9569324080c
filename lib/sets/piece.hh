// Elements cut into pieces a hash can find: in each piece every field is a prefix. Which lengths the prefixes
// of a piece have is its shape; a lookup masks the key once for each shape there is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sets/element.hh"
#include "sets/type.hh"

namespace sluice::sets {

using KeyWords = std::array<uint64_t, Fields::kWords>;
using PrefixLengths = std::array<uint8_t, kMaxFields>;

// An address range is at most 62 (IPv4) or 254 prefixes, a port range 30; an element of several ranges has
// the product. More than this many pieces are refused.
inline constexpr size_t kMaxPieces = 16384;

struct Piece {
    KeyWords key{};  // zero behind the prefixes
    PrefixLengths lengths{};
};

// How many pieces the element has; counts on beyond kMaxPieces.
size_t count_pieces(const SetType& type, const ElementValue& value);
inline bool is_single(const ElementValue& value) {
    return value.low == value.high;
}
// The ordinary case: every field is one value or one prefix. False if not; then `piece` is nothing.
bool is_one_piece(const SetType& type, const ElementValue& value, Piece& piece);
std::vector<Piece> pieces_of(const SetType& type, const ElementValue& value);

// Calls fn(piece) for each; nothing on the heap if it is one piece.
template <typename Fn>
void for_each_piece(const SetType& type, const ElementValue& value, Fn&& fn) {
    if (Piece whole; is_one_piece(type, value, whole)) {
        fn(whole);
        return;
    }
    for (const Piece& piece : pieces_of(type, value))
        fn(piece);
}
// The first of them.
Piece first_piece(const SetType& type, const ElementValue& value);

PrefixLengths full_lengths(const SetType& type, Family family);
// Ones where the prefixes are, as the words of a key.
KeyWords mask_of(const SetType& type, Family family, const PrefixLengths& lengths);

}  // namespace sluice::sets
