#include "nat/address_choice.hh"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <ranges>

namespace sluice::nat {
namespace {

// Address words in wire order, as they lie in memory.
using Words = std::array<uint32_t, 4>;

Words words_of(const IpAddress& address) {
    Words result{};
    if (address.is_ip4())
        address.ip4().store(result.data());
    else
        address.ip6().store(result.data());
    return result;
}

uint32_t swapped(uint32_t word) {
    return __builtin_bswap32(word);
}

uint64_t scaled(uint32_t hash, uint64_t size) {
    return hash * size >> 32;
}

// Every word gets its part of the range, until one lies below the range's end; the words behind it are free.
IpAddress choose_ip6(const NatTarget& target, uint32_t hash, const Words& remote, bool by_client_alone) {
    const Words first = words_of(target.first);
    const Words last = words_of(target.last);
    Words chosen{};
    bool is_below = false;
    for (size_t place = 0; place < chosen.size(); ++place) {
        const uint32_t least = is_below ? 0 : swapped(first[place]);
        const uint32_t size = is_below ? 0xffffffff : swapped(last[place]) - least + 1;
        chosen[place] = swapped(least + static_cast<uint32_t>(scaled(hash, size)));
        is_below = is_below || chosen[place] != last[place];
        if (!by_client_alone)
            hash ^= remote[place];
    }
    return Ip6Address::load(chosen.data());
}

uint64_t size_of(const NatTarget& target) {
    return uint64_t{target.last.ip4().host()} - target.first.ip4().host() + 1;
}

IpAddress choose_ip4(const Pool& pool, uint32_t hash) {
    uint64_t size = 0;
    for (const auto& target : pool.targets)
        if (target.first.is_ip4())
            size += size_of(target);
    uint64_t rest = scaled(hash, std::min(size, uint64_t{1} << 32));
    for (const auto& target : pool.targets) {
        if (!target.first.is_ip4())
            continue;
        if (rest < size_of(target))
            return Ip4Address::from_host(target.first.ip4().host() + static_cast<uint32_t>(rest));
        rest -= size_of(target);
    }
    return {};
}

IpAddress successor(const IpAddress& address) {
    if (address.is_ip4())
        return Ip4Address::from_host(address.ip4().host() + 1);
    auto bytes = address.ip6().bytes();
    for (auto& byte : std::views::reverse(bytes)) {
        if (++byte != 0)
            break;
    }
    return Ip6Address(bytes);
}

// NatTarget::contains(), for IPv4 without a comparison of sixteen bytes that are zero.
bool is_of(const NatTarget& target, const IpAddress& address) {
    if (address.is_ip6())
        return target.contains(address);
    return target.first.is_ip4() && target.first.ip4().host() <= address.ip4().host() &&
           address.ip4().host() <= target.last.ip4().host();
}

}  // namespace

const NatTarget* Pool::target_of(const IpAddress& address) const {
    const auto found =
        std::ranges::find_if(targets, [&](const NatTarget& target) { return is_of(target, address); });
    return found == targets.end() ? nullptr : &*found;
}

bool Pool::contains(const Endpoint& endpoint, bool has_port) const {
    return std::ranges::any_of(targets, [&](const NatTarget& target) {
        const auto& range = ports_of(target);
        return is_of(target, endpoint.address) && (!has_port || !range || range->contains(endpoint.port));
    });
}

uint32_t address_hash(const IpAddress& address, uint32_t seed) {
    const Words words = words_of(address);
    uint32_t a = 0xdeadbeef + (4U << 2) + seed;
    uint32_t b = a;
    uint32_t c = a;
    a += words[0];
    b += words[1];
    c += words[2];
    // Each variable in turn is stirred with the two others, first reversibly, then for good.
    constexpr std::array<int, 6> kStir{4, 6, 8, 16, 19, 4};
    for (const int by : kStir) {
        a -= c;
        a ^= std::rotl(c, by);
        c += b;
        const uint32_t stirred = a;
        a = b;
        b = c;
        c = stirred;
    }
    a += words[3];
    constexpr std::array<int, 7> kFinish{14, 11, 25, 16, 4, 14, 24};
    for (const int by : kFinish) {
        c ^= b;
        c -= std::rotl(b, by);
        const uint32_t finished = c;
        c = a;
        a = b;
        b = finished;
    }
    return b;
}

std::optional<IpAddress> choose_address(const Pool& pool, const IpAddress& client, const IpAddress& remote,
                                        bool by_client_alone) {
    const auto is_of_family = [&](const NatTarget& target) {
        return target.first.family() == client.family();
    };
    const auto count = static_cast<uint32_t>(std::ranges::count_if(pool.targets, is_of_family));
    if (count == 0)
        return std::nullopt;
    const Words words = words_of(remote);
    const uint32_t hash = address_hash(client, by_client_alone ? 0 : words[client.is_ip4() ? 0 : 3]);
    if (client.is_ip4())
        return choose_ip4(pool, hash);
    // IPv6 ranges are all alike large: one of them first, then an address in it by other bits.
    auto rest = static_cast<uint32_t>(scaled(hash, count));
    for (const auto& target : pool.targets)
        if (is_of_family(target) && rest-- == 0)
            return choose_ip6(target, count == 1 ? hash : hash * 0x9e3779b1U, words, by_client_alone);
    return std::nullopt;
}

IpAddress next_address(const Pool& pool, const IpAddress& address) {
    const NatTarget* const target = pool.target_of(address);
    if (target != nullptr && address != target->last)
        return successor(address);
    const NatTarget* first = nullptr;
    bool is_behind = false;
    for (const auto& other : pool.targets) {
        if (other.first.family() != address.family())
            continue;
        if (is_behind)
            return other.first;
        first = first == nullptr ? &other : first;
        is_behind = &other == target;
    }
    return first == nullptr ? address : first->first;
}

}  // namespace sluice::nat
