// One element of a set as operators write it: "10.0.0.0/8", "192.0.2.1-192.0.2.9", "2001:db8::1,443",
// "10.0.0.0/8,1000-2000" ...
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.hh"
#include "base/error.hh"
#include "base/time.hh"
#include "sets/fields.hh"
#include "sets/type.hh"

namespace sluice::sets {

// The box of keys an element stands for: in every field all values from low to high. Bytes in wire order, the
// fields one behind the other, zero behind the last.
struct ElementValue {
    Family family = Family::ip4;
    std::array<uint8_t, kMaxKeyBytes> low{};
    std::array<uint8_t, kMaxKeyBytes> high{};

    static ElementValue of(const Fields& fields);  // a single key
    bool operator==(const ElementValue&) const = default;
};

struct Element {
    ElementValue value;
    std::optional<Duration> timeout;  // nothing: the set's own; zero: never expires
    std::string comment;
    bool operator==(const Element&) const = default;
};

inline constexpr size_t kMaxCommentLength = 128;
// A timeout of more than this is refused, so that no clock overflows.
inline constexpr Duration kMaxTimeout = std::chrono::hours(24 * 365 * 10);

// The fields are separated by "," or " . ". A field is a single value, for `net` also a prefix or range of
// addresses (set bits behind a prefix are refused), for `port` also a range; protocols may be named.
// Addresses of one element are of one family. About 50 ns for an address.
Expected<ElementValue> parse_element(const SetType& type, std::string_view text);
// The shortest way to write it: parse_element() of it gives the value again.
std::string format(const SetType& type, const ElementValue& value);

// Any text of one line, at most kMaxCommentLength bytes long, without quotes.
Expected<std::string> check_comment(std::string_view text);

// "1d2h3m4s", "90s", "500ms", or seconds; at least a millisecond, at most kMaxTimeout.
Expected<Duration> parse_timeout(std::string_view text);

}  // namespace sluice::sets
