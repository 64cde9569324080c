#include "sets/prefix_table.hh"

#include <array>
#include <cstring>

namespace sluice::sets {
namespace {

using Lpm4 = table::Lpm<Ip4Address>;
using Lpm6 = table::Lpm<Ip6Address>;

using table::Ip4Cover;

constexpr uint32_t kInside = 1;
// From so many on, a map of all addresses takes no more memory than a trie.
constexpr size_t kCoverFrom = 65536;

Ip4Address ip4_of(const KeyWords& key) {
    return Ip4Address::from_host(__builtin_bswap32(static_cast<uint32_t>(key[0])));
}

Ip6Address ip6_of(const KeyWords& key) {
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), key.data(), bytes.size());
    return Ip6Address(bytes);
}

// A bit for each that is kInside.
uint64_t bits_of(std::span<const uint32_t> values) {
    uint64_t inside = 0;
    for (size_t i = 0; i < values.size(); ++i)
        inside |= uint64_t{values[i]} << i;  // kInside is the lowest bit
    return inside;
}

template <typename Address>
table::Lpm<Address> build(const std::vector<Piece>& pieces) {
    std::vector<table::LpmEntry<Address>> entries;
    entries.reserve(pieces.size());
    for (const Piece& piece : pieces) {
        if constexpr (std::is_same_v<Address, Ip4Address>)
            entries.push_back({ip4_of(piece.key), piece.lengths[0], kInside});
        else
            entries.push_back({ip6_of(piece.key), piece.lengths[0], kInside});
    }
    return table::Lpm<Address>::build(entries);
}

Ip4Cover cover_of(const std::vector<Piece>& pieces) {
    std::vector<Ip4Cover::Prefix> prefixes;
    prefixes.reserve(pieces.size());
    for (const Piece& piece : pieces)
        prefixes.push_back({.address = ip4_of(piece.key), .length = piece.lengths[0]});
    return Ip4Cover(prefixes);
}

}  // namespace

PrefixTable::PrefixTable(Family family, const std::vector<Piece>& pieces) {
    if (family == Family::ip4 && pieces.size() >= kCoverFrom)
        prefixes_ = cover_of(pieces);
    else if (family == Family::ip4)
        prefixes_ = build<Ip4Address>(pieces);
    else
        prefixes_ = build<Ip6Address>(pieces);
}

bool PrefixTable::contains(const Fields& fields) const {
    if (const auto* cover = std::get_if<Ip4Cover>(&prefixes_))
        return cover->contains(ip4_of(fields.words()));
    if (const auto* ip4 = std::get_if<Lpm4>(&prefixes_))
        return ip4->lookup(ip4_of(fields.words())) == kInside;
    return std::get_if<Lpm6>(&prefixes_)->lookup(ip6_of(fields.words())) == kInside;
}

uint64_t PrefixTable::contains_burst(std::span<const Fields> probes) const {
    if (const auto* ip6 = std::get_if<Lpm6>(&prefixes_)) {
        // Probes of IPv4 among them have bytes enough: a probe has room for the longest key.
        std::array<const uint8_t*, table::kMaxLpmBurst> keys{};
        std::array<uint32_t, table::kMaxLpmBurst> values{};
        for (size_t i = 0; i < probes.size(); ++i)
            keys[i] = probes[i].bytes();
        ip6->lookup_burst(keys.data(), values.data(), probes.size());
        return bits_of(std::span(values).first(probes.size()));
    }
    std::array<Ip4Address, table::kMaxLpmBurst> addresses;
    for (size_t i = 0; i < probes.size(); ++i)
        addresses[i] = ip4_of(probes[i].words());
    return contains_burst(std::span(addresses).first(probes.size()));
}

uint64_t PrefixTable::contains_burst(std::span<const Ip4Address> addresses) const {
    if (const auto* cover = std::get_if<Ip4Cover>(&prefixes_))
        return cover->contains_burst(addresses);
    std::array<uint32_t, table::kMaxLpmBurst> keys{};
    std::array<uint32_t, table::kMaxLpmBurst> values{};
    for (size_t i = 0; i < addresses.size(); ++i)
        keys[i] = addresses[i].host();
    std::get_if<Lpm4>(&prefixes_)->lookup_burst(keys.data(), values.data(), addresses.size());
    return bits_of(std::span(values).first(addresses.size()));
}

size_t PrefixTable::memory_bytes() const {
    return std::visit([](const auto& prefixes) { return prefixes.memory_bytes(); }, prefixes_);
}

}  // namespace sluice::sets
