// What holds of a worker's flows and its NAT whenever no packet is on its way. For tests; knows the mappings'
// books only to compare them with the flows.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "conntrack/flow_table.hh"
#include "filter/stage.hh"
#include "nat/manip.hh"
#include "nat/translator.hh"

namespace sluice::test {

struct LivingFlow {
    conntrack::Tuple original;
    conntrack::Tuple reply;
    conntrack::Status status;
};

inline std::vector<LivingFlow> living_flows(filter::Firewall& firewall) {
    std::vector<LivingFlow> flows;
    for (conntrack::FlowCursor cursor; !cursor.done;)
        firewall.tracker().table().visit(cursor, 1000, [&](const conntrack::Flow& flow) {
            flows.push_back({flow.tuple(conntrack::Direction::original),
                             flow.tuple(conntrack::Direction::reply), flow.status});
        });
    return flows;
}

inline std::string text(const conntrack::Tuple& tuple) {
    return tuple.source().to_string() + " " + std::to_string(tuple.sport) + " > " +
           tuple.destination().to_string() + " " + std::to_string(tuple.dport) + " protocol " +
           std::to_string(static_cast<int>(tuple.protocol()));
}

class NatInvariants {
  public:
    explicit NatInvariants(filter::Firewall& firewall)
        : firewall_(firewall), flows_(living_flows(firewall)) {}

    // `settled`: nothing has happened since expire().
    void check(bool settled) {
        no_two_flows_are_alike();
        if (firewall_.translator() == nullptr)
            return;
        count_ends();
        mappings_are_those_of_flows(settled);
        ports_in_use_are_mappings();
        hosts_have_their_mappings();
    }

    void check_nothing_is_left() {
        EXPECT_TRUE(flows_.empty());
        EXPECT_EQ(firewall_.tracker().table().size(), 0U);
        EXPECT_EQ(firewall_.tracker().table().index_entries(), 0U);
        EXPECT_EQ(firewall_.tracker().expectations().size(), 0U);
        const auto* const nat = firewall_.translator();
        if (nat == nullptr)
            return;
        EXPECT_EQ(nat->mappings().size(), 0U);
        EXPECT_EQ(nat->hosts().size(), 0U);
        EXPECT_EQ(nat->contacts().size(), 0U);
        EXPECT_EQ(nat->mappings_made(), nat->mappings_ended());
        EXPECT_EQ(nat->port_spaces().held(), 0U);
        nat->port_spaces().visit(
            [](const IpAddress& external, wire::IpProtocol, const nat::PortSpace& space) {
                EXPECT_TRUE(space.is_idle()) << external.to_string();
                for (uint32_t port = 1; port < 65536; ++port)
                    ASSERT_TRUE(space.is_free(static_cast<uint16_t>(port)))
                        << external.to_string() << " port " << port;
            });
    }

  private:
    using End = std::tuple<IpAddress, uint16_t, wire::IpProtocol>;
    using Ends = std::pair<End, End>;  // inside, external
    static End end_of(const nat::Endpoint& endpoint, wire::IpProtocol protocol) {
        return {endpoint.address, endpoint.port, protocol};
    }

    void no_two_flows_are_alike() {
        std::set<std::array<uint8_t, sizeof(conntrack::Tuple)>> tuples;
        for (const auto& flow : flows_) {
            const auto is_new = [&](const conntrack::Tuple& tuple) {
                return tuples.insert(std::bit_cast<std::array<uint8_t, sizeof tuple>>(tuple)).second;
            };
            const bool to_itself = flow.original == flow.reply;
            EXPECT_TRUE(is_new(flow.original) && (to_itself || is_new(flow.reply)))
                << "two flows have a tuple: " << text(flow.original) << ", answered " << text(flow.reply);
        }
        EXPECT_EQ(firewall_.tracker().table().size(), flows_.size()) << "flows that are in nobody's hands";
    }

    void count_ends() {
        using nat::endpoint_of;
        using nat::Manip;
        for (const auto& [original, reply, status] : flows_) {
            const auto protocol = original.protocol();
            if (status.has(conntrack::kMappedSource))
                use({end_of(endpoint_of(original, Manip::source), protocol),
                     end_of(endpoint_of(reply, Manip::destination), protocol)},
                    reply.source());
            if (status.has(conntrack::kMappedDestination))
                use({end_of(endpoint_of(reply, Manip::source), protocol),
                     end_of(endpoint_of(original, Manip::destination), protocol)},
                    reply.destination());
        }
    }
    void use(const Ends& ends, const IpAddress& remote) {
        ++uses_[ends];
        remotes_.emplace(ends, remote);
    }

    void mappings_are_those_of_flows(bool settled) {
        const auto& nat = *firewall_.translator();
        for (nat::MappingCursor cursor; !cursor.done;)
            nat.mappings().visit(cursor, 1000, [&](const nat::Mapping& mapping) {
                const Ends ends{end_of(mapping.inside, mapping.protocol),
                                end_of(mapping.external, mapping.protocol)};
                EXPECT_TRUE(mappings_.emplace(ends, mapping).second) << "one mapping twice";
                const auto used = uses_.find(ends);
                EXPECT_EQ(mapping.flows, used == uses_.end() ? 0U : used->second)
                    << mapping.external.address.to_string() << " port " << mapping.external.port;
                EXPECT_TRUE(mapping.flows > 0 || !settled) << "a mapping of no flow";
            });
        for (const auto& [ends, flows] : uses_)
            EXPECT_TRUE(mappings_.contains(ends))
                << flows << " flows have a port that nothing keeps for them: "
                << std::get<IpAddress>(ends.second).to_string() << " port "
                << std::get<uint16_t>(ends.second);
        EXPECT_EQ(nat.mappings().size(), mappings_.size());
        EXPECT_EQ(nat.mappings_made() - nat.mappings_ended(), mappings_.size());
        size_t contacts = 0;
        for (const auto& [ends, remote] : remotes_) {
            const auto mapping = mappings_.find(ends);
            contacts +=
                mapping != mappings_.end() && mapping->second.filtering == nat::Dependence::address_dependent
                    ? 1
                    : 0;
        }
        EXPECT_LE(nat.contacts().size(), contacts);
    }

    void ports_in_use_are_mappings() {
        std::map<End, bool> external;  // whether it is shared
        std::map<std::pair<IpAddress, wire::IpProtocol>, uint32_t> ports;
        for (const auto& [ends, mapping] : mappings_) {
            const auto [place, is_first] = external.emplace(ends.second, mapping.overlaps);
            EXPECT_TRUE(is_first || (mapping.overlaps && place->second))
                << "two inside endpoints have " << mapping.external.address.to_string() << " port "
                << mapping.external.port;
            if (is_first && mapping.port_space != nat::kNoPortSpace)
                ++ports[{mapping.external.address, mapping.protocol}];
        }
        size_t held = 0;
        const auto& spaces = firewall_.translator()->port_spaces();
        spaces.visit([&](const IpAddress& address, wire::IpProtocol protocol, const nat::PortSpace& space) {
            EXPECT_EQ(space.in_use(), ports[std::pair(address, protocol)]) << address.to_string();
            held += space.held();
        });
        EXPECT_EQ(spaces.held(), held);
        for (const auto& [ends, mapping] : mappings_) {
            if (mapping.port_space == nat::kNoPortSpace)
                continue;
            EXPECT_EQ(mapping.port_space, spaces.find(mapping.external.address, mapping.protocol));
            EXPECT_FALSE(spaces[mapping.port_space].is_free(mapping.external.port));
        }
    }

    void hosts_have_their_mappings() {
        std::map<IpAddress, uint32_t> mappings;
        for (const auto& [ends, mapping] : mappings_)
            ++mappings[mapping.inside.address];
        const auto& hosts = firewall_.translator()->hosts();
        EXPECT_EQ(hosts.size(), mappings.size());
        for (nat::HostCursor cursor; !cursor.done;)
            hosts.visit(cursor, 1000, [&](const nat::InsideHost& host) {
                EXPECT_EQ(host.mappings, mappings[host.address]) << host.address.to_string();
            });
    }

    filter::Firewall& firewall_;
    std::vector<LivingFlow> flows_;
    std::map<Ends, uint32_t> uses_;  // by flows
    std::set<std::pair<Ends, IpAddress>> remotes_;
    std::map<Ends, nat::Mapping> mappings_;
};

}  // namespace sluice::test
