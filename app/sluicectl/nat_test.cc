#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "sluicectl/render.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;

TEST(RenderNat, mappings) {
    const auto answer = json::parse(R"({"items": [
        {"proto": "udp", "inside": {"address": "10.0.0.1", "port": 4000},
         "external": {"address": "203.0.113.1", "port": 4000}, "remote": null, "interface": "wan", "flows": 2,
         "filtering": "address_dependent", "hairpin": true, "overlap": false, "began": 1000, "age": 200, "worker": 0},
        {"proto": "icmpv6", "inside": {"address": "fd00::1", "id": 7}, "external": {"address": "2001:db8::1", "id": 8},
         "remote": {"address": "2001:db8:9::9"}, "interface": "wan", "flows": 1,
         "filtering": "address_and_port_dependent", "age": 1.5, "worker": 1}], "total": 2, "ports": []})");
    EXPECT_EQ(
        render_mappings(answer, {}),
        "PROTO   INSIDE         EXTERNAL          REMOTE         INTERFACE  FLOWS     AGE  FILTERING"
        "                   WORKER\n"
        "udp     10.0.0.1:4000  203.0.113.1:4000                 wan            2  3m 20s  address_dependent"
        "                0\n"
        "icmpv6  [fd00::1]:7    [2001:db8::1]:8   2001:db8:9::9  wan            1   1.5 s  "
        "address_and_port_dependent       1\n");
}

TEST(RenderNat, ports_nearest_to_their_end_come_first) {
    const auto answer = json::parse(R"({"items": [
        {"address": "203.0.113.1", "proto": "tcp", "in_use": 10, "held_down": 0, "free": 90, "limit": 100,
         "share": 0.1, "refused": 0, "overlap": false},
        {"address": "203.0.113.1", "proto": "udp", "in_use": 60, "held_down": 40, "free": 0, "limit": 100,
         "share": 1.0, "refused": 3, "overlap": false}], "total": 2,
        "hosts": [{"address": "10.0.0.1", "external": "203.0.113.1", "mappings": 50}],
        "mappings": {"count": 70, "max": 4096, "made": 110, "ended": 40}})");
    EXPECT_EQ(render_nat_ports(answer, {}),
              "ADDRESS      PROTO  IN USE  HELD DOWN  FREE  LIMIT    SHARE  REFUSED\n"
              "203.0.113.1  udp        60         40     0    100  100.0 %        3\n"
              "203.0.113.1  tcp        10          0    90    100   10.0 %         \n"
              "\n"
              "TOP HOLDER  ADDRESS      MAPPINGS\n"
              "10.0.0.1    203.0.113.1        50\n"
              "\n"
              "mappings  70 of 4096, 110 made and 40 ended so far\n");
}

TEST(RenderNat, who_had_it) {
    const auto answer = json::parse(R"({"items": [
        {"proto": "udp", "external": {"address": "203.0.113.1", "port": 4000},
         "inside": {"address": "10.0.0.2", "port": 4000}, "began": 1767225600.7, "ended": null, "worker": 0},
        {"proto": "udp", "external": {"address": "203.0.113.1", "port": 4000},
         "inside": {"address": "10.0.0.1", "port": 4000}, "began": 1767222000, "ended": 1767222061, "worker": 0}],
        "total": 2})");
    EXPECT_EQ(render_who(answer, {}),
              "PROTO  EXTERNAL          INSIDE         BEGAN                 ENDED\n"
              "udp    203.0.113.1:4000  10.0.0.2:4000  2026-01-01T00:00:00Z  lives\n"
              "udp    203.0.113.1:4000  10.0.0.1:4000  2025-12-31T23:00:00Z  2025-12-31T23:01:01Z\n");
}

}  // namespace
}  // namespace sluice::sluicectl
