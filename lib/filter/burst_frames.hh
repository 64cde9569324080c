// What becomes of a burst's frames that repeat a decision and share an exit. All are untagged, and their
// flows are those of the guesses. Functions of their own, whose loops have all registers to themselves.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "conntrack/flow_table.hh"
#include "dpdk/packet.hh"
#include "filter/burst_flows.hh"
#include "nat/flow_translation.hh"
#include "nat/identifications.hh"
#include "nat/manip.hh"
#include "nat/rewrite_ports.hh"
#include "nat/rewrite_row.hh"
#include "nat/translated_ends.hh"
#include "pipeline/burst.hh"
#include "pipeline/places.hh"
#include "routing/exit.hh"
#include "routing/send.hh"
#include "wire/ipv6.hh"
#include "wire/protocol.hh"

namespace sluice::filter {
namespace detail {

// The keys of some places, one behind the other.
class KeysInRow {
  public:
    KeysInRow() {}
    // Borrowed, also from this.
    conntrack::Ip4PortsKeys of(const pipeline::Burst& burst, uint64_t places) {
        if (pipeline::are_in_a_row(places)) [[likely]]
            return keys_of(burst).from(static_cast<size_t>(std::countr_zero(places)));
        collect(burst, places);
        return {.addresses = addresses_.data(), .rest = rest_.data()};
    }

  private:
    [[gnu::noinline]] void collect(const pipeline::Burst& burst, uint64_t places) {
        size_t next = 0;
        pipeline::for_each_place(places, [&](size_t place) {
            addresses_[next] = burst.keys.addresses[place];
            rest_[next] = burst.keys.rest[place];
            ++next;
        });
    }
    std::array<uint64_t, pipeline::kMaxBurst> addresses_;
    std::array<uint64_t, pipeline::kMaxBurst> rest_;
};

}  // namespace detail

// They go on as they are but for the hop,
template <Family family>
[[gnu::noinline]] void pass_on(const pipeline::Burst& burst, uint64_t places,
                               routing::FrameAddresses addresses) {
    pipeline::for_each_place_in_row(places, [&](size_t place) {
        uint8_t* const frame = burst.keys.frames[place];
        routing::count_hop(frame + pipeline::kEthernetHeader, family);
        addresses.write(frame);
    });
}

// or translated. An IPv4 packet whose source is changed gets an identification of the box's, if there are
// any.
template <wire::IpProtocol protocol>
[[gnu::noinline]] void translate_ip4(const pipeline::Burst& burst, const conntrack::Guess* guesses,
                                     uint64_t places, routing::FrameAddresses addresses,
                                     nat::Identifications* identifications) {
    nat::Ip4RewriteRow<protocol, pipeline::kMaxBurst> rewrites;
    pipeline::for_each_place_in_row(places, [&](size_t place) {
        uint8_t* const frame = burst.keys.frames[place];
        const auto [flow, half] = guesses[place];
        const bool renews =
            nat::FlowTranslation::changes(flow->status, flow->direction_of(*half), nat::Manip::source);
        rewrites.add(frame + pipeline::kEthernetHeader, nat::ip4_ends_after(flow->opposite_of(*half)),
                     renews ? identifications : nullptr);
        addresses.write(frame);
    });
    detail::KeysInRow keys;
    rewrites.write_checksums(keys.of(burst, places));
}
template <wire::IpProtocol protocol>
[[gnu::noinline]] void translate_ip6(const pipeline::Burst& burst, const conntrack::Guess* guesses,
                                     uint64_t places, routing::FrameAddresses addresses) {
    pipeline::for_each_place_in_row(places, [&](size_t place) {
        uint8_t* const frame = burst.keys.frames[place];
        uint8_t* const header = frame + pipeline::kEthernetHeader;
        const auto [flow, half] = guesses[place];
        nat::rewrite_ip6_ports(header, header + wire::kIpv6HeaderSize, protocol,
                               nat::ip6_ends_after(*flow, flow->direction_of(*half)));
        routing::count_hop(header, Family::ip6);
        addresses.write(frame);
    });
}

}  // namespace sluice::filter
