#include "nat/prefix_translation.hh"

#include <algorithm>
#include <optional>

#include "wire/bytes.hh"

namespace sluice::nat {
namespace {

constexpr size_t kSubnetWord = 3;
constexpr size_t kIdentifierWord = 4;
constexpr size_t kWords = 8;
constexpr uint16_t kOnes = 0xffff;

// One's complement addition, in which zero and 0xffff are the same number; the result is never 0xffff.
constexpr uint16_t add(uint16_t a, uint16_t b) {
    uint32_t sum = uint32_t{a} + b;
    sum = (sum & 0xffff) + (sum >> 16);
    return sum == kOnes ? 0 : static_cast<uint16_t>(sum);
}

uint16_t word_of(const Ip6Address& address, size_t word) {
    return wire::read16(address.bytes().data() + 2 * word);
}

uint16_t sum_of(const Ip6Address& address) {
    uint16_t sum = 0;
    for (size_t word = 0; word < kWords; ++word)
        sum = add(sum, word_of(address, word));
    return sum;
}

IpPrefix filled_up(const IpPrefix& prefix, const IpPrefix& other) {
    return {prefix.address(), std::max(prefix.length(), other.length())};
}

// The word that makes up for the prefix: one that is not 0xffff, which would not come back.
std::optional<size_t> adjusted_word(const Ip6Address& address, uint8_t length) {
    if (length <= PrefixTranslation::kMaxSubnetLength)
        return word_of(address, kSubnetWord) == kOnes ? std::nullopt : std::optional(kSubnetWord);
    for (size_t word = kIdentifierWord; word < kWords; ++word)
        if (word_of(address, word) != kOnes)
            return word;
    return std::nullopt;
}

}  // namespace

PrefixTranslation::PrefixTranslation(const IpPrefix& from, const IpPrefix& to)
    : from_(filled_up(from, to)),
      to_(filled_up(to, from)),
      adjustment_(add(sum_of(from.address().ip6()), static_cast<uint16_t>(~sum_of(to.address().ip6())))) {}

std::expected<Ip6Address, PrefixTranslationError> PrefixTranslation::translate(
    const Ip6Address& address) const {
    using enum PrefixTranslationError;
    if (!from_.contains(IpAddress(address)))
        return std::unexpected(not_in_prefix);
    const auto word = adjusted_word(address, from_.length());
    if (!word)
        return std::unexpected(from_.length() <= kMaxSubnetLength ? subnet_ones : interface_ones);
    auto bytes = address.bytes();
    const auto& prefix = to_.address().ip6().bytes();
    const size_t whole = from_.length() / 8;
    std::copy_n(prefix.begin(), whole, bytes.begin());
    if (const unsigned rest = from_.length() % 8; rest != 0) {
        const auto host = static_cast<uint8_t>(0xffU >> rest);
        bytes[whole] = static_cast<uint8_t>(prefix[whole] | (bytes[whole] & host));
    }
    wire::write16(bytes.data() + 2 * *word, add(word_of(address, *word), adjustment_));
    return Ip6Address(bytes);
}

}  // namespace sluice::nat
