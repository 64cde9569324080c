// The port spaces of one worker, by external address and protocol, and the ports in them that are held down.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/address.hh"
#include "base/time.hh"
#include "conntrack/tuple.hh"
#include "conntrack/tuple_hash.hh"
#include "nat/keyed_hash.hh"
#include "nat/port_space.hh"
#include "nat/settings.hh"
#include "table/flow_index.hh"
#include "wire/protocol.hh"

namespace sluice::nat {

using PortSpaceRef = uint32_t;
inline constexpr PortSpaceRef kNoPortSpace = 0xffffffff;

class PortSpaces {
  public:
    // At most so many spaces, and so many ports held down at a time.
    PortSpaces(size_t capacity, size_t hold_down, const PortShare& share, const conntrack::TupleHash& hash);

    // The space of an external address and protocol, made if there is none: 8 KB, the one thing that NAT
    // allocates while it runs. At the bound a space none of whose ports is in use makes room; none if there
    // is no such.
    [[nodiscard]] PortSpaceRef open(const IpAddress& external, wire::IpProtocol protocol);
    [[nodiscard]] PortSpaceRef find(const IpAddress& external, wire::IpProtocol protocol) const;
    [[nodiscard]] PortSpaceRef find(Ip4Address external, wire::IpProtocol protocol) const {
        const Ip4Endpoint end{external.wire().wire(), 0};
        return index_.find(hash_between(hash_, end, end, protocol), [&](PortSpaceRef ref) {
            const Owner& owner = owners_[ref];
            return owner.protocol == protocol && owner.external.is_ip4() && owner.external.ip4() == external;
        });
    }

    // Whether an address may have spaces: false of nearly all that have none.
    [[nodiscard]] bool may_have(Ip4Address external) const {
        const uint32_t bit = bit_of(external);
        return (addresses_[bit / 64] >> bit % 64 & 1) != 0;
    }

    PortSpace& operator[](PortSpaceRef ref) { return *spaces_[ref]; }
    const PortSpace& operator[](PortSpaceRef ref) const { return *spaces_[ref]; }

    // Keeps a port in use from being used again until then (R6888-8). If too many wait, the first that would
    // be free is freed.
    void hold(PortSpaceRef ref, uint16_t port, Instant until);
    // Frees those whose time has come, `budget` at most; false if more are due.
    bool expire(Instant now, size_t budget);

    // Calls visit(external address, protocol, const PortSpace&) for each.
    template <typename Visit>
    void visit(Visit&& visit) const {
        for (size_t place = 0; place < spaces_.size(); ++place)
            visit(owners_[place].external, owners_[place].protocol, std::as_const(*spaces_[place]));
    }
    // The same for `budget` spaces from the place on, which it moves; false if more are to be visited.
    template <typename Visit>
    [[nodiscard]] bool visit(size_t& place, size_t budget, Visit&& visit) const {
        for (; budget > 0 && place < spaces_.size(); --budget, ++place)
            visit(owners_[place].external, owners_[place].protocol, std::as_const(*spaces_[place]));
        return place >= spaces_.size();
    }
    [[nodiscard]] size_t size() const { return spaces_.size(); }
    [[nodiscard]] size_t capacity() const { return capacity_; }
    [[nodiscard]] size_t held() const { return held_; }
    [[nodiscard]] uint64_t cut_short() const { return cut_short_; }  // holds that ended early, so far

  private:
    struct Owner {
        IpAddress external;
        wire::IpProtocol protocol;
    };
    struct Hold {
        Instant until;
        PortSpaceRef space = kNoPortSpace;
        uint16_t port = 0;
    };
    [[nodiscard]] uint64_t hash_of(const IpAddress& external, wire::IpProtocol protocol) const;
    void end_first_hold();
    static constexpr int kAddressBits = 13;
    // Nothing secret: whoever chooses addresses that share a bit has them looked up, no more.
    static uint32_t bit_of(Ip4Address external) {
        return (external.wire().wire() * 0x9e3779b1U) >> (32 - kAddressBits);
    }

    size_t capacity_;
    PortShare share_;
    conntrack::TupleHash hash_;
    std::vector<std::unique_ptr<PortSpace>> spaces_;
    std::vector<Owner> owners_;  // of each; apart from them, since they lie far from one another
    table::FlowIndex index_;
    std::array<uint64_t, (1U << kAddressBits) / 64> addresses_{};  // a bit for each that ever had a space
    std::vector<Hold> holds_;                                      // a ring, in the order they began
    size_t first_hold_ = 0;
    size_t held_ = 0;
    uint64_t cut_short_ = 0;
};

}  // namespace sluice::nat
