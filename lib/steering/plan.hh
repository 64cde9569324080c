// Which worker owns a packet, told from its headers: the two directions of a flow, and the errors about it,
// give the same worker. What flows are translated to is the exception: FlowDirectory.
//
// Ports of external addresses belong to workers (nat::PortShare), and a worker gives out its own only: what
// comes to them from outside goes to their owner. Where inside hosts keep their external endpoints whatever
// they speak to, an inside address alone decides, so that one worker has all mappings of a host. All else
// is spread by a symmetric hash, which is the one that devices compute with the symmetric RSS key.
#pragma once

#include <array>
#include <bit>
#include <bitset>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "conntrack/flow.hh"
#include "conntrack/settings.hh"
#include "conntrack/tuple.hh"
#include "nat/settings.hh"
#include "steering/places.hh"
#include "wire/ip_packet.hh"

namespace sluice::routing {
class Fib;
}

namespace sluice::steering {

namespace detail {

inline constexpr uint16_t kKey = 0x6d5a;

// Toeplitz is linear: what each byte of the folded word adds to the hash.
inline constexpr auto kToeplitz = [] {
    std::array<std::array<uint8_t, 256>, 2> table{};
    for (unsigned half = 0; half < 2; ++half) {
        for (unsigned value = 0; value < 256; ++value) {
            uint16_t hash = 0;
            for (unsigned bit = 0; bit < 8; ++bit) {
                if ((value << bit & 0x80) != 0)
                    hash ^= std::rotl(kKey, static_cast<int>(half * 8 + bit));
            }
            table[half][value] = static_cast<uint8_t>(hash % kBuckets);
        }
    }
    return table;
}();

}  // namespace detail

// The low seven bits of the Toeplitz hash of words that come to `folded` when they are XORed, with the key
// 6d5a, 6d5a...: as that repeats itself, nothing else of the words counts. Host order.
inline uint8_t toeplitz_bucket(uint16_t folded) {
    return detail::kToeplitz[0][folded >> 8] ^ detail::kToeplitz[1][folded & 0xff];
}

struct AddressRange {
    IpAddress first;
    IpAddress last;  // of the same family
    auto operator<=>(const AddressRange&) const = default;
};

struct PlanOptions {
    uint16_t workers = 1;
    bool tracks = false;  // without, only fragments are steered: they are to meet each other
    // How many of the kBuckets places each worker has; empty: all workers as many.
    std::vector<uint8_t> places = {};
    bool by_addresses =
        false;  // ports do not count: flows that helpers announce stay with who announced them
    // Interfaces behind which hosts outside are; with `fib` they tell inside addresses. None: no address
    // decides alone.
    std::bitset<kMaxInterfaces> outside = {};
    std::vector<AddressRange> external = {};  // where NAT gives out ports
    conntrack::Settings settings = {};

    bool operator==(const PlanOptions&) const = default;
};

// Immutable, read by all workers.
class Plan {
  public:
    // The FIB outlives the plan.
    Plan(PlanOptions options, const routing::Fib& fib);

    [[nodiscard]] bool tracks() const { return options_.tracks; }
    [[nodiscard]] const PlanOptions& options() const { return options_; }

    // What a packet is steered by: its tuple, or that of the flow's direction in which an ICMP error travels.
    // None for later fragments, and where tracking finds no flow either.
    [[nodiscard]] std::optional<conntrack::Tuple> tuple_of(const wire::IpPacket& packet) const;

    [[nodiscard]] WorkerId owner_of(const conntrack::Tuple& tuple) const;
    // Whether the hash decides alone; then the owner of an IPv4 packet of TCP or UDP, from the words of its
    // header: both addresses and both ports.
    [[nodiscard]] bool only_spreads() const {
        return options_.tracks && options_.external.empty() && options_.outside.none();
    }
    [[nodiscard]] WorkerId spread(uint64_t addresses, uint32_t ports) const {
        const uint64_t words = addresses ^ (options_.by_addresses ? 0 : ports);
        const auto half = static_cast<uint32_t>(words ^ words >> 32);
        return buckets_[toeplitz_bucket(__builtin_bswap16(static_cast<uint16_t>(half ^ half >> 16)))];
    }
    // The same of so many packets by their keys, at most kMost; where one has none it may be anybody.
    static constexpr size_t kMost = 64;
    void spread(const conntrack::Ip4PortsKeys& keys, size_t count, std::array<WorkerId, kMost>& owners) const;
    // Of packets without a tuple.
    [[nodiscard]] WorkerId owner_of(const wire::IpPacket& packet) const;
    // Who finds out whose the fragments of a datagram are.
    [[nodiscard]] WorkerId collector_of(const conntrack::Tuple& datagram) const {
        return buckets_[toeplitz_bucket(
            static_cast<uint16_t>(fold(datagram) ^ datagram.sport ^ datagram.dport))];
    }

  private:
    [[nodiscard]] static uint16_t fold(const conntrack::Tuple& tuple);
    [[nodiscard]] bool is_external(const IpAddress& address) const;
    [[nodiscard]] bool is_outside(const IpAddress& address) const;

    PlanOptions options_;
    const routing::Fib& fib_;
    std::array<WorkerId, kBuckets> buckets_{};
    std::array<WorkerId, 65536 / nat::kPortBlock> port_owners_{};
};

// What the fragments of one datagram have in common, as a tuple: addresses and identification, which stands
// in the place of the ports; in IPv4 the protocol too (RFC 791, RFC 8200 4.5).
conntrack::Tuple datagram_of(const wire::IpPacket& fragment);

}  // namespace sluice::steering
