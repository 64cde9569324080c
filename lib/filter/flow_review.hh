// Whether rules would let flows begin that are there already: what a change of the rules would cut off.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/interface_id.hh"
#include "base/time.hh"
#include "conntrack/flow.hh"
#include "filter/ruleset.hh"
#include "wire/ip_packet.hh"

namespace sluice::filter {

// Where the first packet of a flow goes.
struct FlowRoute {
    enum class To : uint8_t { nowhere, box, link };
    To to = To::nowhere;
    InterfaceId out = kNoInterface;  // of a link
};

// The smallest packet that could begin a flow with this tuple: a SYN, an INIT, or the header alone. Of
// headers only what rules can look at is filled in.
class FirstPacket {
  public:
    explicit FirstPacket(const conntrack::Tuple& tuple) : packet_(write(tuple, bytes_.data())) {}
    FirstPacket(const FirstPacket&) = delete;
    FirstPacket& operator=(const FirstPacket&) = delete;
    [[nodiscard]] const wire::IpPacket& packet() const { return packet_; }

  private:
    static wire::IpPacket write(const conntrack::Tuple& tuple, uint8_t* to);
    // Gives the length of the upper layer.
    static size_t write_upper(const conntrack::Tuple& tuple, uint8_t* to);

    std::array<uint8_t, 80> bytes_{};
    wire::IpPacket packet_;
};

// Immutable, for any thread; keeps the ruleset and what `route` holds.
class FlowReview {
  public:
    // From an interface, or from the box itself (kNoInterface), with a tuple as it is behind destination NAT.
    using RouteOf = std::function<FlowRoute(InterfaceId in, const conntrack::Tuple& tuple)>;

    FlowReview(std::shared_ptr<const Ruleset> ruleset, RouteOf route)
        : ruleset_(std::move(ruleset)), route_(std::move(route)) {}

    // Sends the flow's first packet through the rules in thought (foresee()): as new, or as related if it was
    // expected. Nothing is known of its Ethernet source. A flow without a way is left to routing: true.
    [[nodiscard]] bool lets_begin(const conntrack::Flow& flow, Instant now) const;

  private:
    std::shared_ptr<const Ruleset> ruleset_;
    RouteOf route_;
};

}  // namespace sluice::filter
