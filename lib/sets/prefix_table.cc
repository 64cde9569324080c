#include "sets/prefix_table.hh"

#include <array>
#include <cstring>

namespace sluice::sets {
namespace {

using Lpm4 = table::Lpm<Ip4Address>;
using Lpm6 = table::Lpm<Ip6Address>;

constexpr uint32_t kInside = 1;

uint32_t host_order(const KeyWords& key) {
    return __builtin_bswap32(static_cast<uint32_t>(key[0]));
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
            entries.push_back({Ip4Address::from_host(host_order(piece.key)), piece.lengths[0], kInside});
        else
            entries.push_back({ip6_of(piece.key), piece.lengths[0], kInside});
    }
    return table::Lpm<Address>::build(entries);
}

}  // namespace

PrefixTable::PrefixTable(Family family, const std::vector<Piece>& pieces) {
    if (family == Family::ip4)
        prefixes_ = build<Ip4Address>(pieces);
    else
        prefixes_ = build<Ip6Address>(pieces);
}

bool PrefixTable::contains(const Fields& fields) const {
    if (const auto* ip4 = std::get_if<Lpm4>(&prefixes_))
        return ip4->lookup(Ip4Address::from_host(host_order(fields.words()))) == kInside;
    return std::get_if<Lpm6>(&prefixes_)->lookup(ip6_of(fields.words())) == kInside;
}

uint64_t PrefixTable::contains_burst(std::span<const Fields> probes) const {
    std::array<uint32_t, table::kMaxLpmBurst> values{};
    if (const auto* ip4 = std::get_if<Lpm4>(&prefixes_)) {
        std::array<uint32_t, table::kMaxLpmBurst> keys{};
        for (size_t i = 0; i < probes.size(); ++i)
            keys[i] = host_order(probes[i].words());
        ip4->lookup_burst(keys.data(), values.data(), probes.size());
    } else {
        // Probes of IPv4 among them have bytes enough: a probe has room for the longest key.
        std::array<const uint8_t*, table::kMaxLpmBurst> keys{};
        for (size_t i = 0; i < probes.size(); ++i)
            keys[i] = probes[i].bytes();
        std::get_if<Lpm6>(&prefixes_)->lookup_burst(keys.data(), values.data(), probes.size());
    }
    return bits_of(std::span(values).first(probes.size()));
}

uint64_t PrefixTable::contains_burst(std::span<const Ip4Address> addresses) const {
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
