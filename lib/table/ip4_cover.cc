#include "table/ip4_cover.hh"

#include <algorithm>

#include "base/prefetch.hh"

namespace sluice::table {
namespace {

// So many bits from a place on, within a word.
uint64_t bits_from(unsigned place, uint64_t count) {
    return (count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1) << place;
}

}  // namespace

Ip4Cover::Ip4Cover(std::span<const Prefix> prefixes) : blocks_(kBlocks, true) {
    for (const Prefix& prefix : prefixes) {
        if (prefix.length <= 32 - kNetworkBits)
            cover_networks(prefix);
        else
            blocks_[block_of(prefix.address)].in_part |= uint64_t{1} << network_of(prefix.address);
    }
    uint32_t parts = 0;
    for (size_t place = 0; place < kBlocks; ++place) {
        // Only read where nothing is, so that it stays memory that was never written.
        const Block& block = blocks_[place];
        if (block.in_part == 0)
            continue;
        blocks_[place].in_part &= ~block.whole;
        blocks_[place].first_part = parts;
        parts += static_cast<uint32_t>(__builtin_popcountll(block.in_part));
    }
    parts_ = ZeroedArray<Part>(parts, true);
    for (const Prefix& prefix : prefixes)
        if (prefix.length > 32 - kNetworkBits)
            cover_addresses(prefix);
}

void Ip4Cover::cover_networks(const Prefix& prefix) {
    const uint64_t networks = uint64_t{1} << (32 - kNetworkBits - prefix.length);
    const size_t first = block_of(prefix.address);
    const size_t blocks = std::max<uint64_t>(networks >> kBlockBits, 1);
    for (size_t place = first; place < first + blocks; ++place)
        blocks_[place].whole |= bits_from(network_of(prefix.address), networks);
}

void Ip4Cover::cover_addresses(const Prefix& prefix) {
    const Block& block = blocks_[block_of(prefix.address)];
    const unsigned network = network_of(prefix.address);
    if ((block.whole >> network & 1) != 0)
        return;
    const uint32_t addresses = uint32_t{1} << (32 - prefix.length);
    const uint32_t last = prefix.address.host() & 0xff;
    Part& part = parts_[part_of(block, network)];
    for (uint32_t word = last >> 6; word <= (last + addresses - 1) >> 6; ++word)
        part[word] |= bits_from(last & 63, addresses);
}

bool Ip4Cover::contains(Ip4Address address) const {
    const Block& block = blocks_[block_of(address)];
    const unsigned network = network_of(address);
    if ((block.in_part >> network & 1) != 0)
        return is_in_part(part_of(block, network), address);
    return (block.whole >> network & 1) != 0;
}

uint64_t Ip4Cover::contains_burst(std::span<const Ip4Address> addresses) const {
    std::array<uint32_t, kMaxBurst> parts;
    for (const Ip4Address address : addresses)
        prefetch_line(&blocks_[block_of(address)]);
    uint64_t found = 0;
    uint64_t open = 0;
    for (size_t i = 0; i < addresses.size(); ++i) {
        const Block& block = blocks_[block_of(addresses[i])];
        const unsigned network = network_of(addresses[i]);
        found |= (block.whole >> network & 1) << i;
        open |= (block.in_part >> network & 1) << i;
        parts[i] = static_cast<uint32_t>(part_of(block, network));
    }
    for (uint64_t left = open; left != 0; left &= left - 1)
        prefetch_line(&parts_[parts[static_cast<size_t>(__builtin_ctzll(left))]]);
    for (uint64_t left = open; left != 0; left &= left - 1) {
        const auto i = static_cast<size_t>(__builtin_ctzll(left));
        found |= uint64_t{is_in_part(parts[i], addresses[i])} << i;
    }
    return found;
}

size_t Ip4Cover::memory_bytes() const {
    return blocks_.size() * sizeof(Block) + parts_.size() * sizeof(Part);
}

}  // namespace sluice::table
