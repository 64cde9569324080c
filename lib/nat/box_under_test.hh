// A translator with as much of a flow table around it as its tests need.
#pragma once

#include <cstdint>
#include <expected>
#include <iterator>
#include <list>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "nat/manip.hh"
#include "nat/port_search.hh"
#include "nat/translator_plain.hh"

namespace sluice::nat {

inline constexpr InterfaceId kLan{0};
inline constexpr InterfaceId kWan{1};

inline IpAddress ip(std::string_view text) {
    return *IpAddress::parse(text);
}

inline NatTarget target(std::string_view first, std::string_view last = {}) {
    return {.first = ip(first), .last = ip(last.empty() ? first : last), .ports = {}};
}

inline NatRule snat(std::vector<NatTarget> targets) {
    return {.targets = std::move(targets)};
}

inline NatLimits limits_for(size_t mappings) {
    return {.mappings = mappings, .port_spaces = 64, .hold_down = 1U << 16, .history = 1024};
}

// Of IPv4.
inline Ip4Endpoint words_of(const Endpoint& endpoint) {
    return {.address = endpoint.address.ip4().wire().wire(), .port = endpoint.port};
}
inline conntrack::Ip4PortsTuple words_of(const conntrack::Tuple& tuple) {
    return {.addresses =
                uint64_t{tuple.destination().ip4().wire().wire()} << 32 | tuple.source().ip4().wire().wire(),
            .ports = uint32_t{tuple.dport} << 16 | tuple.sport,
            .protocol = tuple.protocol()};
}

// Flows are in it from their first packet on, as after confirmation.
class BoxUnderTest {
  public:
    struct Flow {
        conntrack::Tuple original;
        conntrack::Tuple reply;
        MappedEnds ends;
        [[nodiscard]] Endpoint seen_source() const { return endpoint_of(reply, Manip::destination); }
        [[nodiscard]] Endpoint reached() const { return endpoint_of(reply, Manip::source); }
    };
    using FlowRef = std::list<Flow>::iterator;
    using Opened = std::expected<FlowRef, NatRefusal>;

    explicit BoxUnderTest(const NatSettings& settings = {}, size_t mappings = 4096,
                          const PortShare& share = {}, uint64_t seed = 1)
        : random_(seed), nat_(limits_for(mappings), settings, share, random_, now) {}

    [[nodiscard]] UsedProbe probe() const {
        return {.used =
                    [](const void* box, const conntrack::Tuple& leaving) {
                        const auto answer = conntrack::inverted(leaving);
                        return answer && static_cast<const BoxUnderTest*>(box)->taken_.contains(*answer);
                    },
                .context = this};
    }

    // A flow from inside whose source the rule translates.
    Opened open(const NatRule& rule, const Endpoint& inside, const Endpoint& remote,
                wire::IpProtocol protocol = wire::IpProtocol::udp) {
        return open(rule, tuple_between(inside, remote, protocol));
    }
    Opened open(const NatRule& rule, const conntrack::Tuple& tuple) {
        const bool has_ports =
            tuple.protocol() == wire::IpProtocol::udp || tuple.protocol() == wire::IpProtocol::tcp;
        if (goes_short_way && has_ports && tuple.family() == Family::ip4)
            if (const auto plain = open_plainly(rule, tuple))
                return *plain;
        const auto source =
            nat_.choose_source(rule, {.tuple = tuple, .out = kWan, .out_addresses = addresses}, probe(), now);
        if (!source)
            return std::unexpected(source.error());
        return confirm(tuple, with_endpoint(tuple, Manip::source, *source), {.source = true});
    }
    // A flow from outside to an external endpoint.
    Opened open_inbound(const Endpoint& remote, const Endpoint& external,
                        wire::IpProtocol protocol = wire::IpProtocol::udp) {
        const auto tuple = tuple_between(remote, external, protocol);
        const auto found = nat_.inbound(tuple, kWan);
        if (!found)
            return std::unexpected(found.error());
        return confirm(tuple, with_endpoint(tuple, Manip::destination, found->inside), {.destination = true});
    }
    // A flow from one inside host to another by its external endpoint.
    Opened open_hairpin(const Endpoint& inside, const Endpoint& external,
                        wire::IpProtocol protocol = wire::IpProtocol::udp) {
        const auto tuple = tuple_between(inside, external, protocol);
        const auto found = nat_.inbound(tuple, kLan);
        if (!found)
            return std::unexpected(found.error());
        auto leaving = with_endpoint(tuple, Manip::destination, found->inside);
        const auto source = nat_.choose_hairpin_source(
            external.address, {.tuple = leaving, .out = found->out, .out_addresses = {}}, probe(), now);
        if (!source)
            return std::unexpected(source.error());
        return confirm(tuple, with_endpoint(leaving, Manip::source, *source),
                       {.source = true, .destination = true});
    }
    void close(FlowRef flow) {
        const bool is_plain = goes_short_way && flow->ends.source && !flow->ends.destination &&
                              flow->original.family() == Family::ip4;
        if (!is_plain ||
            !nat_.flow_ended({.original = words_of(flow->original), .reply = words_of(flow->reply)}, now))
            nat_.flow_ended(flow->original, flow->reply, flow->ends, now);
        taken_.erase(flow->reply);
        flows.erase(flow);
    }
    void close_all() {
        while (!flows.empty())
            close(flows.begin());
    }
    // Time goes by and the worker's round comes to its end.
    void pass(Duration time) {
        now += time;
        while (!nat_.expire(now, 1000)) {
        }
    }
    // Another flow has these answers, with which NAT has nothing to do.
    void occupy(const conntrack::Tuple& leaving) { taken_.insert(*conntrack::inverted(leaving)); }

    static conntrack::Tuple tuple_between(const Endpoint& from, const Endpoint& to,
                                          wire::IpProtocol protocol) {
        if (protocol == wire::IpProtocol::icmp)
            return {from.address, to.address, protocol, from.port, 8 << 8};
        return {from.address, to.address, protocol, from.port, to.port};
    }

    [[nodiscard]] Translator& nat() { return nat_; }
    [[nodiscard]] const Translator& nat() const { return nat_; }
    [[nodiscard]] uint32_t ports_in_use() const {
        uint32_t result = 0;
        nat_.port_spaces().visit(
            [&](const IpAddress&, wire::IpProtocol, const PortSpace& space) { result += space.in_use(); });
        return result;
    }

    Instant now{std::chrono::hours(1)};
    std::vector<IpAddress> addresses{ip("203.0.113.1")};  // of the interface wan
    std::list<Flow> flows;
    bool goes_short_way = false;  // where there is one
    size_t went_short_way = 0;

  private:
    struct Hash {
        size_t operator()(const conntrack::Tuple& tuple) const {
            return conntrack::TupleHash{{11, 22, 33, 44}}(tuple);
        }
    };

    std::optional<Opened> open_plainly(const NatRule& rule, const conntrack::Tuple& tuple) {
        const auto leaving = [&](const Ip4Endpoint& external) {
            return with_endpoint(tuple, Manip::source, {external.ip4(), external.port});
        };
        const auto chosen = nat_.choose_plainly(
            rule, words_of(tuple), kWan, addresses.front().ip4(),
            [&](const Ip4Endpoint& external) {
                return !taken_.contains(*conntrack::inverted(leaving(external)));
            },
            now);
        if (!chosen)
            return std::nullopt;
        ++went_short_way;
        if (!*chosen)
            return std::unexpected(chosen->error());
        nat_.flow_began((*chosen)->mapping, tuple.destination().ip4());
        return add(tuple, leaving((*chosen)->external), {.source = true});
    }
    Opened confirm(const conntrack::Tuple& original, const conntrack::Tuple& leaving, MappedEnds ends) {
        nat_.flow_began(original, *conntrack::inverted(leaving), ends);
        return add(original, leaving, ends);
    }
    FlowRef add(const conntrack::Tuple& original, const conntrack::Tuple& leaving, MappedEnds ends) {
        const auto reply = *conntrack::inverted(leaving);
        taken_.insert(reply);
        flows.push_back({original, reply, ends});
        return std::prev(flows.end());
    }

    Random random_;
    Translator nat_;
    std::unordered_set<conntrack::Tuple, Hash> taken_;
};

}  // namespace sluice::nat
