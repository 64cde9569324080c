// Both directions of a flow, and the errors about it, have one owner.
#include "steering/plan.hh"

#include <gtest/gtest.h>

#include <map>

#include "base/random.hh"
#include "routing/fib.hh"
#include "wire/checksum.hh"

namespace sluice::steering {
namespace {

using conntrack::Tuple;
using wire::IpProtocol;

constexpr InterfaceId kLan{0};
constexpr InterfaceId kWan{1};

IpAddress ip(const char* text) {
    return *IpAddress::parse(text);
}

// Hosts inside are of 192.168.0.0/16 and fd00::/16, all others behind wan; 203.0.113.2 is the box's there.
class PlanTest : public testing::TestWithParam<uint16_t> {
  protected:
    PlanTest() : fib_(fib(true)) {}
    static std::unique_ptr<const routing::Fib> fib(bool has_default) {
        std::vector<routing::FibInterface> interfaces(2);
        interfaces[0] = {.id = kLan, .name = "lan", .mtu = 1500, .addresses = {}};
        interfaces[0].addresses.push_back(*InterfaceAddress::parse("192.168.0.1/16"));
        interfaces[0].addresses.push_back(*InterfaceAddress::parse("fd00::1/16"));
        interfaces[1] = {.id = kWan, .name = "wan", .mtu = 1500, .addresses = {}};
        interfaces[1].addresses.push_back(*InterfaceAddress::parse("203.0.113.2/24"));
        interfaces[1].addresses.push_back(*InterfaceAddress::parse("2001:db8::2/64"));
        std::vector<routing::RouteConfig> routes(has_default ? 1 : 0);
        if (has_default)
            routes[0].via = ip("203.0.113.1");
        config::Problems problems;
        auto built = routing::Fib::build(
            {.interfaces = interfaces,
             .routes = routes,
             .rules = {},
             .interfaces_named = [](std::string_view) { return std::vector<InterfaceId>{}; },
             .pin_neighbour = [](InterfaceId, const IpAddress&) { return routing::NeighbourIndex{0}; }},
            problems);
        EXPECT_NE(built, nullptr);
        return built;
    }
    [[nodiscard]] Plan plan(PlanOptions options = {}) const {
        options.workers = GetParam();
        options.tracks = true;
        return Plan(std::move(options), *fib_);
    }
    // What masquerading to wan makes of it.
    [[nodiscard]] Plan nat_plan() const {
        PlanOptions options;
        options.outside.set(index(kWan));
        options.external = {{ip("203.0.113.2"), ip("203.0.113.2")}, {ip("203.0.113.16"), ip("203.0.113.31")}};
        return plan(options);
    }
    uint16_t port() { return static_cast<uint16_t>(random_.below(65536)); }
    IpAddress any_address(Family family) {
        if (family == Family::ip4)
            return Ip4Address::from_host(static_cast<uint32_t>(random_.next()));
        std::array<uint8_t, 16> bytes;
        for (auto& byte : bytes)
            byte = static_cast<uint8_t>(random_.next());
        return Ip6Address(bytes);
    }
    IpAddress inside(Family family) {
        const auto low = static_cast<uint16_t>(random_.next());
        if (family == Family::ip4)
            return Ip4Address::from_host(0xc0a80000U | low);
        std::array<uint8_t, 16> bytes{0xfd};
        bytes[14] = static_cast<uint8_t>(low >> 8);
        bytes[15] = static_cast<uint8_t>(low);
        return Ip6Address(bytes);
    }

    std::unique_ptr<const routing::Fib> fib_;
    Random random_{7};
};

constexpr std::array kProtocols{IpProtocol::tcp, IpProtocol::udp, IpProtocol::sctp, IpProtocol::esp};

// Bit by bit, as devices are described to do it.
uint32_t toeplitz(const std::vector<uint8_t>& input) {
    uint32_t hash = 0;
    const auto key_bit = [](size_t bit) { return (0x6d5aU >> (15 - bit % 16)) & 1U; };
    for (size_t bit = 0; bit < input.size() * 8; ++bit) {
        if ((input[bit / 8] >> (7 - bit % 8) & 1) == 0)
            continue;
        uint32_t window = 0;
        for (size_t i = 0; i < 32; ++i)
            window = window << 1 | key_bit(bit + i);
        hash ^= window;
    }
    return hash;
}

TEST_P(PlanTest, both_directions_have_one_owner) {
    for (const auto& plan : {this->plan(), nat_plan()}) {
        for (int i = 0; i < 20000; ++i) {
            const auto family = i % 2 == 0 ? Family::ip4 : Family::ip6;
            const Tuple tuple(i % 3 == 0 ? inside(family) : any_address(family), any_address(family),
                              kProtocols[i % kProtocols.size()], port(), port());
            ASSERT_EQ(plan.owner_of(tuple), plan.owner_of(*inverted(tuple)));
        }
    }
}

TEST_P(PlanTest, flows_are_spread_evenly) {
    const auto plan = this->plan();
    std::map<WorkerId, int> flows;
    constexpr int kFlows = 40000;
    for (int i = 0; i < kFlows; ++i)
        ++flows[plan.owner_of(
            Tuple(inside(Family::ip4), any_address(Family::ip4), IpProtocol::udp, port(), 53))];
    ASSERT_EQ(flows.size(), GetParam());
    const double even = static_cast<double>(kFlows) / GetParam();
    for (const auto& [worker, count] : flows)
        EXPECT_NEAR(count, even, even / 5) << index(worker);
}

// A device with the symmetric key and a table of 128 places brings most packets to their owners by itself.
TEST_P(PlanTest, owners_are_those_of_a_device_with_the_symmetric_key) {
    const auto plan = this->plan();
    for (int i = 0; i < 2000; ++i) {
        const Tuple tuple(any_address(Family::ip4), any_address(Family::ip4), IpProtocol::tcp, port(),
                          port());
        std::vector<uint8_t> input;
        for (const auto* address : {&tuple.source_bytes(), &tuple.destination_bytes()})
            input.insert(input.end(), address->begin(), address->begin() + 4);
        for (const uint16_t each : {tuple.sport, tuple.dport}) {
            input.push_back(static_cast<uint8_t>(each >> 8));
            input.push_back(static_cast<uint8_t>(each));
        }
        ASSERT_EQ(index(plan.owner_of(tuple)), toeplitz(input) % kBuckets % GetParam());
    }
}

// R4787-1, R6888-4: the mappings of a host are one worker's.
TEST_P(PlanTest, an_inside_host_has_one_owner_whatever_it_speaks_to) {
    const auto plan = nat_plan();
    for (const auto family : {Family::ip4, Family::ip6}) {
        const auto host = inside(family);
        const auto owner = plan.owner_of(Tuple(host, any_address(family), IpProtocol::udp, 1, 2));
        for (int i = 0; i < 1000; ++i) {
            const auto remote = any_address(family);
            if (remote.is_multicast() ||
                fib_->next_hop(fib_->lookup(routing::kMainTable, remote)).out != kWan)
                continue;
            const Tuple tuple(host, remote, IpProtocol::udp, port(), port());
            ASSERT_EQ(plan.owner_of(tuple), owner) << remote.to_string();
        }
    }
}

// R4787-1: as where a policy table has the default route and table main has none.
TEST_P(PlanTest, who_is_in_no_route_of_table_main_is_outside) {
    fib_ = fib(false);
    const auto plan = nat_plan();
    const auto host = inside(Family::ip4);
    const auto owner = plan.owner_of(Tuple(host, ip("198.51.100.1"), IpProtocol::udp, 1, 2));
    for (int i = 0; i < 100; ++i) {
        const auto remote = Ip4Address::from_host(0xc6336400U | random_.below(256));
        ASSERT_EQ(plan.owner_of(Tuple(host, remote, IpProtocol::udp, port(), port())), owner);
    }
}

TEST_P(PlanTest, what_comes_to_a_port_of_nat_goes_to_its_owner) {
    const auto plan = nat_plan();
    for (int i = 0; i < 5000; ++i) {
        const auto external = Ip4Address::from_host(0xcb007110U + random_.below(16));
        const uint16_t given = port();
        const auto owner = nat::PortShare::owner_of(given, GetParam());
        ASSERT_EQ(
            index(plan.owner_of(Tuple(any_address(Family::ip4), external, IpProtocol::udp, port(), given))),
            owner);
        const Tuple answered(any_address(Family::ip4), external, IpProtocol::icmp, given, 0);
        ASSERT_EQ(index(plan.owner_of(answered)), owner);
    }
}

TEST_P(PlanTest, a_header_has_the_owner_of_its_tuple) {
    for (const bool by_addresses : {false, true}) {
        PlanOptions options;
        options.by_addresses = by_addresses;
        const auto plan = this->plan(options);
        ASSERT_TRUE(plan.only_spreads());
        ASSERT_FALSE(nat_plan().only_spreads());
        for (int i = 0; i < 2000; ++i) {
            const Tuple tuple(any_address(Family::ip4), any_address(Family::ip4), IpProtocol::udp, port(),
                              port());
            std::array<uint8_t, 12> header;
            tuple.source().ip4().store(header.data());
            tuple.destination().ip4().store(header.data() + 4);
            wire::write16(header.data() + 8, tuple.sport);
            wire::write16(header.data() + 10, tuple.dport);
            uint64_t addresses;
            uint32_t ports;
            std::memcpy(&addresses, header.data(), sizeof addresses);
            std::memcpy(&ports, header.data() + 8, sizeof ports);
            ASSERT_EQ(plan.spread(addresses, ports), plan.owner_of(tuple));
            // And among others, by its key.
            const size_t place = random_.below(Plan::kMost);
            std::array<uint64_t, Plan::kMost> all_addresses{};
            std::array<uint64_t, Plan::kMost> all_rest{};
            all_addresses[place] = addresses;
            all_rest[place] = tuple.rest();
            std::array<WorkerId, Plan::kMost> owners;
            plan.spread({.addresses = all_addresses.data(), .rest = all_rest.data()}, place + 1, owners);
            ASSERT_EQ(owners[place], plan.owner_of(tuple));
        }
    }
}

// As the stage folds the addresses of an IPv6 header.
TEST_P(PlanTest, an_ip6_header_has_the_owner_of_its_tuple) {
    const auto plan = this->plan();
    for (int i = 0; i < 2000; ++i) {
        const Tuple tuple(any_address(Family::ip6), any_address(Family::ip6), IpProtocol::tcp, port(),
                          port());
        std::array<uint64_t, 4> words;
        std::memcpy(words.data(), tuple.source_bytes().data(), 16);
        std::memcpy(words.data() + 2, tuple.destination_bytes().data(), 16);
        std::array<uint8_t, 4> ports;
        wire::write16(ports.data(), tuple.sport);
        wire::write16(ports.data() + 2, tuple.dport);
        ASSERT_EQ(plan.spread(words[0] ^ words[1] ^ words[2] ^ words[3], std::bit_cast<uint32_t>(ports)),
                  plan.owner_of(tuple));
    }
}

TEST_P(PlanTest, flows_are_spread_by_places) {
    const bool is_alone = GetParam() == 1;
    PlanOptions options;
    options.places.assign(GetParam(), 0);
    options.places[0] = is_alone ? 128 : 32;
    if (!is_alone)
        options.places[1] = 96;
    const auto plan = this->plan(options);
    std::map<WorkerId, int> flows;
    constexpr int kFlows = 40000;
    for (int i = 0; i < kFlows; ++i)
        ++flows[plan.owner_of(
            Tuple(inside(Family::ip4), any_address(Family::ip4), IpProtocol::udp, port(), 53))];
    EXPECT_EQ(flows.size(), is_alone ? 1U : 2U);
    EXPECT_NEAR(flows[WorkerId{0}], is_alone ? kFlows : kFlows / 4.0, kFlows / 50.0);
}

TEST_P(PlanTest, ports_do_not_count_where_helpers_announce_some) {
    PlanOptions options;
    options.by_addresses = true;
    const auto plan = this->plan(options);
    const auto client = any_address(Family::ip4);
    const auto server = any_address(Family::ip4);
    const auto owner = plan.owner_of(Tuple(client, server, IpProtocol::tcp, 40000, 21));
    for (int i = 0; i < 200; ++i)
        ASSERT_EQ(plan.owner_of(Tuple(server, client, IpProtocol::tcp, 20, port())), owner);
}

// An IPv4 packet with the upper layer given.
std::vector<uint8_t> ip4_packet(const IpAddress& from, const IpAddress& to, IpProtocol protocol,
                                std::vector<uint8_t> upper, uint16_t fragment = 0, uint16_t id = 1) {
    std::vector<uint8_t> packet(20);
    const auto length = static_cast<uint16_t>(20 + upper.size());
    packet[0] = 0x45;
    packet[2] = static_cast<uint8_t>(length >> 8);
    packet[3] = static_cast<uint8_t>(length);
    packet[4] = static_cast<uint8_t>(id >> 8);
    packet[5] = static_cast<uint8_t>(id);
    packet[6] = static_cast<uint8_t>(fragment >> 8);
    packet[7] = static_cast<uint8_t>(fragment);
    packet[8] = 64;
    packet[9] = static_cast<uint8_t>(protocol);
    from.ip4().store(packet.data() + 12);
    to.ip4().store(packet.data() + 16);
    const uint16_t sum = wire::checksum(packet).host();
    packet[10] = static_cast<uint8_t>(sum >> 8);
    packet[11] = static_cast<uint8_t>(sum);
    packet.insert(packet.end(), upper.begin(), upper.end());
    return packet;
}

wire::IpPacket view(const std::vector<uint8_t>& packet) {
    return wire::IpPacket::of(wire::Ipv4View::unchecked(packet.data()));
}

std::vector<uint8_t> ports(uint16_t from, uint16_t to) {
    return {static_cast<uint8_t>(from >> 8),
            static_cast<uint8_t>(from),
            static_cast<uint8_t>(to >> 8),
            static_cast<uint8_t>(to),
            0,
            8,
            0,
            0};
}

TEST_P(PlanTest, errors_go_to_the_owner_of_the_flow_they_quote) {
    for (const auto& plan : {this->plan(), nat_plan()}) {
        for (int i = 0; i < 2000; ++i) {
            const auto host = i % 2 == 0 ? inside(Family::ip4) : ip("203.0.113.2");
            const auto remote = any_address(Family::ip4);
            const auto sent = ip4_packet(host, remote, IpProtocol::udp, ports(port(), port()));
            std::vector<uint8_t> error{3, 1, 0, 0, 0, 0, 0, 0};
            error.insert(error.end(), sent.begin(), sent.end());
            const auto about = ip4_packet(any_address(Family::ip4), host, IpProtocol::icmp, error);
            const auto tuple = plan.tuple_of(view(about));
            ASSERT_TRUE(tuple);
            ASSERT_EQ(plan.owner_of(*tuple), plan.owner_of(*plan.tuple_of(view(sent))));
        }
    }
}

TEST_P(PlanTest, fragments_of_a_datagram_meet) {
    constexpr uint16_t kMoreFragments = 0x2000;
    const auto plan = this->plan();
    const auto from = any_address(Family::ip4);
    const auto to = any_address(Family::ip4);
    const auto first = ip4_packet(from, to, IpProtocol::udp, ports(1, 2), kMoreFragments, 77);
    const auto last = ip4_packet(from, to, IpProtocol::udp, {1, 2, 3}, 1, 77);
    EXPECT_EQ(datagram_of(view(first)), datagram_of(view(last)));
    EXPECT_EQ(plan.collector_of(datagram_of(view(first))), plan.collector_of(datagram_of(view(last))));
    EXPECT_FALSE(plan.tuple_of(view(last)));
    EXPECT_NE(datagram_of(view(first)), datagram_of(view(ip4_packet(from, to, IpProtocol::udp, {1}, 1, 78))));
}

// Fragment headers lie behind others.
TEST_P(PlanTest, fragments_of_an_ip6_datagram_meet) {
    const auto fragment = [](uint8_t offset_and_more, uint8_t id, bool behind_options) {
        std::vector<uint8_t> packet(40);
        packet[0] = 0x60;
        packet[6] = behind_options ? 60 : 44;
        packet[7] = 64;
        packet[23] = 1;
        packet[39] = 2;
        if (behind_options)
            packet.insert(packet.end(), {44, 0, 1, 4, 0, 0, 0, 0});
        packet.insert(packet.end(), {17, 0, 0, offset_and_more, 0, 0, 0, id});
        packet.insert(packet.end(), {0, 1, 0, 2, 0, 8, 0, 0});
        packet[5] = static_cast<uint8_t>(packet.size() - 40);
        return packet;
    };
    const auto view6 = [](const std::vector<uint8_t>& packet) {
        return wire::IpPacket::of(wire::Ipv6View::unchecked(packet.data()));
    };
    const auto first = fragment(1, 5, false);
    const auto last = fragment(8, 5, true);
    const auto other = fragment(8, 6, false);
    EXPECT_EQ(datagram_of(view6(first)), datagram_of(view6(last)));
    EXPECT_NE(datagram_of(view6(first)), datagram_of(view6(other)));
    EXPECT_TRUE(view6(last).is_later_fragment());
    EXPECT_FALSE(view6(first).is_later_fragment());
}

INSTANTIATE_TEST_SUITE_P(Workers, PlanTest, testing::Values(1, 2, 3, 4, 64));

}  // namespace
}  // namespace sluice::steering
