// Addresses that no packet from outside may have as its source: the box's own and the broadcast addresses of
// its networks (R1812-4.2.2.11). Small and immutable; one cache line a lookup in the usual case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/address.hh"
#include "base/prefix.hh"

namespace sluice::routing {

class SourceFilter {
  public:
    SourceFilter() : SourceFilter(std::span<const InterfaceAddress>()) {}
    explicit SourceFilter(std::span<const InterfaceAddress> own);

    [[nodiscard]] bool contains(Ip4Address source) const {
        const uint32_t wanted = source.wire().wire();
        for (size_t at = place(wanted);; at = (at + 1) & mask4_) {
            if (ip4_[at] == wanted)
                return wanted != 0;
            if (ip4_[at] == 0)
                return false;
        }
    }
    [[nodiscard]] bool contains(const Ip6Address& source) const {
        for (size_t at = place(source);; at = (at + 1) & mask6_) {
            if (ip6_[at] == source)
                return !source.is_unspecified();
            if (ip6_[at].is_unspecified())
                return false;
        }
    }

    // Whether contains() has to be asked about an address as it lies in a header, which is so for few: for
    // loops over packets.
    template <Family family>
    [[nodiscard]] bool may_have(const uint8_t* address) const {
        if constexpr (family == Family::ip4) {
            uint32_t wire;
            std::memcpy(&wire, address, sizeof wire);
            return ip4_[place(wire)] != 0;
        } else {
            return !ip6_[place(Ip6Address::load(address))].is_unspecified();
        }
    }

  private:
    // Neighbours of the box differ in the last bytes of their addresses, which are the highest of these
    // words: they must count.
    [[nodiscard]] size_t place(uint32_t wire) const { return (wire * 0x9e3779b97f4a7c15U >> 40) & mask4_; }
    [[nodiscard]] size_t place(const Ip6Address& address) const {
        uint64_t halves[2];
        address.store(halves);
        const uint64_t both = halves[0] ^ halves[1];
        return ((both ^ both >> 32) * 0x9e3779b97f4a7c15U >> 40) & mask6_;
    }
    void add(Ip4Address address);
    void add(const Ip6Address& address);

    // Open addressing, nearly empty, so that runs are short; zero is free.
    std::vector<uint32_t> ip4_;
    std::vector<Ip6Address> ip6_;
    size_t mask4_;
    size_t mask6_;
};

}  // namespace sluice::routing
