// The admin API's answers about NAT, with a worker that runs its jobs at once.
#include "nat/verbs.hh"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <chrono>
#include <string>

#include "nat/box_under_test.hh"

namespace sluice::nat {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

double wall_now() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

class NatVerbsTest : public testing::Test {
  protected:
    NatVerbsTest() {
        add_verbs(verbs, {.workers = [] { return size_t{2}; },
                          .hand_over =
                              [this](size_t worker, const std::shared_ptr<NatJob>& job) {
                                  const Translator* nat = worker == 0 ? &box.nat() : other;
                                  while (!job->run(nat, 64)) {
                                  }
                              },
                          .interface = [](InterfaceId id) { return id == kWan ? "wan" : "lan"; },
                          .now = [this] { return box.now; }});
    }
    json::value ask(const std::string& target, int status = 200) {
        admin::Request request;
        request.method = "GET";
        EXPECT_TRUE(admin::parse_target(target, request));
        auto response = verbs.handle(request);
        EXPECT_EQ(response.status, status) << target << ": " << response.body;
        if (response.producer)
            while (const auto piece = response.producer())
                response.body += *piece;
        return json::parse(response.body);
    }
    BoxUnderTest::FlowRef open(std::string_view inside, uint16_t port,
                               wire::IpProtocol protocol = wire::IpProtocol::udp) {
        const auto opened = box.open(rule, {ip(inside), port}, {ip("198.51.100.1"), 53}, protocol);
        EXPECT_TRUE(opened);
        return *opened;
    }

    NatRule rule{.kind = NatKind::masquerade};
    BoxUnderTest box;
    const Translator* other = nullptr;  // of the second worker, which never translated
    admin::Verbs verbs;
};

TEST_F(NatVerbsTest, AMappingAndItsPort) {
    open("10.0.0.1", 4000);
    box.now += 90s;
    const auto answer = ask("/v1/nat");
    EXPECT_EQ(answer.at("total"), 1);
    const auto& mapping = answer.at("items").at(0);
    EXPECT_EQ(mapping.at("proto"), "udp");
    EXPECT_EQ(mapping.at("inside"), json::parse(R"({"address": "10.0.0.1", "port": 4000})"));
    EXPECT_EQ(mapping.at("external"), json::parse(R"({"address": "203.0.113.1", "port": 4000})"));
    EXPECT_EQ(mapping.at("remote"), nullptr);
    EXPECT_EQ(mapping.at("interface"), "wan");
    EXPECT_EQ(mapping.at("flows"), 1);
    EXPECT_EQ(mapping.at("filtering"), "address_dependent");
    EXPECT_NEAR(mapping.at("age").to_number<double>(), 90, 0.01);
    EXPECT_NEAR(mapping.at("began").to_number<double>(), wall_now() - 90, 5);
    EXPECT_EQ(mapping.at("worker"), 0);
    const auto& ports = answer.at("ports").at(0);
    EXPECT_EQ(ports.at("address"), "203.0.113.1");
    EXPECT_EQ(ports.at("proto"), "udp");
    EXPECT_EQ(ports.at("in_use"), 1);
    EXPECT_EQ(ports.at("limit"), 64512);
    EXPECT_EQ(ports.at("free"), 64511);
}

TEST_F(NatVerbsTest, WhatAMappingDependsOn) {
    rule.mapping = Dependence::address_and_port_dependent;
    open("10.0.0.1", 4000);
    EXPECT_EQ(ask("/v1/nat").at("items").at(0).at("remote"),
              json::parse(R"({"address": "198.51.100.1", "port": 53})"));
}

TEST_F(NatVerbsTest, PagesAndFilters) {
    for (uint16_t port = 2000; port < 4000; ++port)
        open("10.0.0.1", port);
    open("10.0.0.2", 77, wire::IpProtocol::icmp);
    const auto page = ask("/v1/nat?limit=10&offset=1995");
    EXPECT_EQ(page.at("items").as_array().size(), 6U);
    EXPECT_EQ(page.at("total"), 2001);
    EXPECT_EQ(ask("/v1/nat?address=10.0.0.0/8&port=2001").at("total"), 1);
    EXPECT_EQ(ask("/v1/nat?address=203.0.113.1").at("total"), 2001) << "the external address";
    EXPECT_EQ(ask("/v1/nat?address=10.0.0.2&port=2001").at("total"), 0);
    const auto query = ask("/v1/nat?proto=icmp");
    EXPECT_EQ(query.at("total"), 1);
    EXPECT_EQ(query.at("items").at(0).at("inside"), json::parse(R"({"address": "10.0.0.2", "id": 77})"));
}

TEST_F(NatVerbsTest, PortsRunOut) {
    rule.ports = PortRange{1024, 1123};
    rule.filtering = Dependence::endpoint_independent;
    for (uint16_t port = 0; port < 100; ++port)
        open(port < 70 ? "10.0.0.1" : "10.0.0.2", static_cast<uint16_t>(5000 + port));
    EXPECT_FALSE(box.open(rule, {ip("10.0.0.3"), 9}, {ip("198.51.100.1"), 53}));
    auto answer = ask("/v1/nat/ports");
    EXPECT_EQ(answer.at("total"), 1);
    EXPECT_EQ(answer.at("items").at(0),
              json::parse(R"({"address": "203.0.113.1", "proto": "udp", "in_use": 100,
        "held_down": 0, "free": 0, "limit": 100, "share": 1.0, "refused": 1, "overlap": false})"));
    EXPECT_EQ(answer.at("hosts"), json::parse(R"([
        {"address": "10.0.0.1", "external": "203.0.113.1", "mappings": 70},
        {"address": "10.0.0.2", "external": "203.0.113.1", "mappings": 30}])"));
    EXPECT_EQ(answer.at("mappings"), json::parse(R"({"count": 100, "max": 4096, "made": 100, "ended": 0})"));
    box.close_all();
    box.pass(1s);
    answer = ask("/v1/nat/ports");
    EXPECT_EQ(answer.at("items").at(0).at("in_use"), 0);
    EXPECT_EQ(answer.at("items").at(0).at("held_down"), 100);
    EXPECT_EQ(answer.at("mappings").at("ended"), 100);
    EXPECT_TRUE(answer.at("hosts").as_array().empty());
}

TEST_F(NatVerbsTest, PortsThatAreShared) {
    rule.mapping = Dependence::address_and_port_dependent;
    rule.port_overlap = true;
    rule.ports = PortRange{4000, 4001};
    for (const auto* host : {"10.0.0.1", "10.0.0.2"})
        open(host, 4000);
    EXPECT_FALSE(box.open(rule, {ip("10.0.0.3"), 4000}, {ip("198.51.100.1"), 53}));
    EXPECT_TRUE(box.open(rule, {ip("10.0.0.3"), 4000}, {ip("198.51.100.2"), 53})) << "another remote";
    const auto ports = ask("/v1/nat/ports").at("items").at(0);
    EXPECT_EQ(ports, json::parse(R"({"address": "203.0.113.1", "proto": "udp", "in_use": 2, "held_down": 0,
        "free": 0, "limit": 2, "share": 1.0, "refused": 1, "overlap": true})"));
}

TEST_F(NatVerbsTest, PortsOfSeveralWorkersAreSummed) {
    BoxUnderTest second({}, 4096, PortShare{.worker = 1, .workers = 2});
    ASSERT_TRUE(second.open(rule, {ip("10.0.0.9"), 1100}, {ip("198.51.100.1"), 53}));
    other = &second.nat();
    open("10.0.0.1", 4000);
    open("10.0.0.1", 4001);
    const auto answer = ask("/v1/nat/ports");
    EXPECT_EQ(answer.at("total"), 1);
    EXPECT_EQ(answer.at("items").at(0).at("in_use"), 3);
    EXPECT_EQ(answer.at("mappings").at("max"), 8192);
    EXPECT_EQ(answer.at("hosts").at(0).at("address"), "10.0.0.1");
    EXPECT_EQ(answer.at("hosts").at(1).at("address"), "10.0.0.9");
    EXPECT_EQ(ask("/v1/nat").at("total"), 3);
}

TEST_F(NatVerbsTest, WhoHasAndHadAnEndpoint) {
    auto flow = open("10.0.0.1", 4000);
    const double then = wall_now();
    box.pass(60s);
    box.close(flow);
    box.pass(10min);
    open("10.0.0.2", 4000);
    box.pass(60s);
    const std::string who = "/v1/nat/who?address=203.0.113.1&port=4000&proto=udp";
    const auto all = ask(who);
    EXPECT_EQ(all.at("total"), 2);
    EXPECT_EQ(all.at("items").at(0).at("inside").at("address"), "10.0.0.2");
    EXPECT_EQ(all.at("items").at(0).at("ended"), nullptr);
    EXPECT_EQ(all.at("items").at(1).at("inside").at("address"), "10.0.0.1");
    const double began = all.at("items").at(1).at("began").to_number<double>();
    EXPECT_NEAR(began, then - 720, 5);
    EXPECT_NEAR(all.at("items").at(1).at("ended").to_number<double>(), began + 60, 0.1);
    const auto at = ask(who + "&at=" + std::to_string(static_cast<uint64_t>(began) + 30));
    ASSERT_EQ(at.at("total"), 1);
    EXPECT_EQ(at.at("items").at(0).at("inside").at("address"), "10.0.0.1");
    EXPECT_EQ(ask(who + "&at=2020-01-01T00:00:00Z").at("total"), 0);
    EXPECT_EQ(ask("/v1/nat/who?address=203.0.113.1&port=4000&proto=tcp").at("total"), 0);
}

TEST_F(NatVerbsTest, RefusesWhatItDoesNotUnderstand) {
    ask("/v1/nat?colour=red", 400);
    ask("/v1/nat?address=nowhere", 400);
    ask("/v1/nat?port=70000", 400);
    ask("/v1/nat?proto=carrier-pigeon", 400);
    ask("/v1/nat/ports?limit=1", 400);
    ask("/v1/nat/who?address=203.0.113.1&proto=udp", 400);
    ask("/v1/nat/who?address=203.0.113.1&port=1", 400);
    ask("/v1/nat/who?address=203.0.113.1&port=1&proto=udp&at=yesterday", 400);
}

}  // namespace
}  // namespace sluice::nat
