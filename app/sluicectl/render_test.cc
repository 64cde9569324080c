#include "sluicectl/render.hh"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "sluicectl/rates.hh"
#include "sluicectl/table.hh"
#include "sluicectl/units.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;

TEST(Units, counts) {
    EXPECT_EQ(count_text(0), "0");
    EXPECT_EQ(count_text(99999), "99999");
    EXPECT_EQ(count_text(123456), "123k");
    EXPECT_EQ(count_text(1234567), "1.23M");
    EXPECT_EQ(count_text(45.67), "45.7");
    EXPECT_EQ(count_text(-2e9), "-2.00G");
}

TEST(Units, bytes_and_rates) {
    EXPECT_EQ(bytes_text(0), "0 B");
    EXPECT_EQ(bytes_text(1023), "1023 B");
    EXPECT_EQ(bytes_text(1536), "1.50 KiB");
    EXPECT_EQ(bytes_text(200.0 * 1024 * 1024), "200 MiB");
    EXPECT_EQ(bit_rate_text(0), "0 bit/s");
    EXPECT_EQ(bit_rate_text(125000000), "1.00 Gbit/s");
}

TEST(Units, durations) {
    EXPECT_EQ(duration_text(0.35), "350 ms");
    EXPECT_EQ(duration_text(12.5), "12.5 s");
    EXPECT_EQ(latency_text(0), "0 ns");
    EXPECT_EQ(latency_text(8.5e-7), "850 ns");
    EXPECT_EQ(latency_text(1.2345e-5), "12.3 us");
    EXPECT_EQ(latency_text(0.0012), "1.20 ms");
    EXPECT_EQ(latency_text(2.5), "2.50 s");
    EXPECT_EQ(duration_text(200), "3m 20s");
    EXPECT_EQ(duration_text(7500), "2h 5m");
    EXPECT_EQ(duration_text(4 * 86400 + 3700), "4d 1h");
}

TEST(Table, aligns_by_characters_and_leaves_empty_columns_out) {
    Table table({{"A"}, {"EMPTY"}, {"N", Table::Align::right}, {"LAST"}});
    table.row({"grün", "", "1", "x"});
    table.row({"b", "", "100", "yy"});
    EXPECT_EQ(table.text(false),
              "A       N  LAST\n"
              "grün    1  x\n"
              "b     100  yy\n");
}

TEST(Table, colours_do_not_disturb_alignment) {
    Table table({{"A"}, {"B"}});
    table.row({{"up", Colour::green}, "x"});
    table.row({"down", "y"});
    EXPECT_EQ(table.text(true),
              "\x1b[1mA\x1b[0m     \x1b[1mB\x1b[0m\n"
              "\x1b[32mup\x1b[0m    x\n"
              "down  y\n");
}

TEST(Table, text_of_the_box_cannot_drive_the_terminal) {
    Table table({{"A"}});
    table.row({"\x1b[2J\n"});
    EXPECT_EQ(table.text(false), "A\n?[2J?\n");
}

TEST(Render, status) {
    const auto status =
        json::parse(R"({"version": "0.1.0", "uptime": 7500.5, "config": {"file": "/etc/sluice.yaml",
        "generation": 3, "unconfirmed_for": 30}, "workers": 1, "interfaces": 3, "memory": {"resident": 104857600, "hugepages": 0, "mbufs": 32768},
        "packets": {"received": 1234567, "dropped": 2}, "novelty": [1, 2]})");
    EXPECT_EQ(render_status(status, {}),
              "version        0.1.0\n"
              "uptime         2h 5m\n"
              "configuration  /etc/sluice.yaml, generation 3\n"
              "unconfirmed    rolled back in 30 s unless you run: sluicectl config confirm\n"
              "workers        1\n"
              "interfaces     3\n"
              "memory         resident 100 MiB, hugepages 0 B, mbufs 32768\n"
              "packets        received 1.23M, dropped 2\n"
              "novelty        1, 2\n");
}

const char* const kInterfaces = R"({"items": [
    {"name": "lan", "driver": "net_tap", "link": {"up": true, "speed": 10000}, "mac": "02:00:00:00:01:01", "mtu": 1500,
     "addresses": ["192.168.1.1/24", "fd00:1::1/64"], "rx_packets": 10, "rx_bytes": 2048, "tx_packets": 7,
     "tx_bytes": 700, "drops": 3, "queues": {"rx": 1, "tx": 1}, "nic": {"rx_good_packets": 10}},
    {"name": "guests", "parent": "lan", "vlan": 20, "link": {"up": false}, "mac": "02:00:00:00:01:01", "mtu": 1500,
     "addresses": [], "rx_packets": 0, "rx_bytes": 0, "tx_packets": 0, "tx_bytes": 0}], "total": 2})";

TEST(Render, interfaces) {
    EXPECT_EQ(render_interfaces(json::parse(kInterfaces), {}),
              "INTERFACE  LINK    MAC                 MTU    VLAN  RX PACKETS  RX BYTES  TX PACKETS  TX "
              "BYTES  DROPS  DRIVER   ADDRESSES\n"
              "lan        up 10G  02:00:00:00:01:01  1500                  10  2.00 KiB           7     700 "
              "B      3  net_tap  192.168.1.1/24, fd00:1::1/64\n"
              "guests     down    02:00:00:00:01:01  1500  lan.20           0       0 B           0       0 "
              "B      0           \n");
}

TEST(Render, one_interface_with_all_there_is) {
    const std::string text = render_interface(json::parse(kInterfaces).at("items").at(0), {});
    EXPECT_TRUE(text.starts_with("lan\n  driver"));
    EXPECT_NE(text.find("\n  link                 up yes, speed 10000\n"), std::string::npos) << text;
    EXPECT_NE(text.find("\n  rx_bytes             2048 (2.00 KiB)\n"), std::string::npos) << text;
    EXPECT_NE(text.find("\n  queues               rx 1, tx 1\n"), std::string::npos) << text;
    EXPECT_NE(text.find("\n  nic rx_good_packets  10\n"), std::string::npos) << text;
}

TEST(Render, workers) {
    const auto workers = json::parse(R"({"items": [{"id": 0, "cpu": 1, "packets": 1000, "bursts": 40,
        "cycles_per_packet": 210.5, "busy": 0.125, "handed_over": 300, "taken_over": 200, "budget_exhausted": 0, "sleeps": 9, "wakeups": 8,
        "latency": {"packets": 900, "p50": 0.000012345, "p99": 0.00125, "max": 0.02},
        "stages": {"parse": 30, "forward": 120.25, "unused": 0}}], "total": 1})");
    EXPECT_EQ(render_workers(workers, {}),
              "WORKER  CPU  PACKETS  BURSTS  CYCLES/PACKET    BUSY  HANDED OVER  TAKEN OVER  BUDGET "
              "EXHAUSTED  SLEEPS  "
              "WAKEUPS  LATENCY P50      P99      MAX  STAGES (CYCLES/PACKET)\n"
              "0         1     1000      40          210.5  12.5 %          300         200                 "
              "0       9        8      12.3 us  1.25 ms  20.0 ms  "
              "forward:120.3 parse:30\n");
}

TEST(Render, drops_are_summed_over_workers) {
    const auto drops = json::parse(R"({"items": [
        {"reason": "no_route", "family": "error", "packets": 2, "bytes": 200, "interface": "lan", "worker": 0, "description": "no route"},
        {"reason": "no_route", "family": "error", "packets": 3, "bytes": 300, "interface": "lan", "worker": 1, "description": "no route"},
        {"reason": "blackhole", "family": "policy", "packets": 9, "bytes": 900, "interface": "wan", "worker": 0, "description": "a route says so"},
        {"reason": "martian", "family": "error", "packets": 0, "bytes": 0, "interface": "wan", "worker": 0, "description": ""}], "total": 4})");
    EXPECT_EQ(render_drops(drops, {}),
              "REASON     FAMILY  INTERFACE  PACKETS  BYTES  DESCRIPTION\n"
              "blackhole  policy  wan              9  900 B  a route says so\n"
              "no_route   error   lan              5  500 B  no route\n");
    EXPECT_EQ(render_drops(json::parse("[]"), {}), "nothing was dropped\n");
}

TEST(Render, counters) {
    const auto counters = json::parse(R"({"IpInReceives": 12, "IpInHdrErrors": 0})");
    EXPECT_EQ(render_counters(counters, false, {}), "COUNTER       VALUE\nIpInReceives     12\n");
    EXPECT_EQ(render_counters(counters, true, {}),
              "COUNTER        VALUE\nIpInReceives      12\nIpInHdrErrors      0\n");
}

TEST(Render, routes_and_neighbours) {
    EXPECT_EQ(
        render_routes(json::parse(R"({"items": [{"to": "0.0.0.0/0", "via": "203.0.113.1", "interface": "wan",
        "type": "unicast", "table": "main", "metric": 0, "source": "config"},
        {"to": "10.0.0.0/8", "type": "blackhole", "table": "main", "metric": 0}], "total": 2})"),
                      {}),
        "TO          VIA          INTERFACE  TYPE       TABLE  METRIC  SOURCE\n"
        "0.0.0.0/0   203.0.113.1  wan        unicast    main        0  config\n"
        "10.0.0.0/8                          blackhole  main        0  \n");
    EXPECT_EQ(render_neighbours(json::parse(R"({"items": [{"interface": "wan", "ip": "203.0.113.1",
        "mac": "02:00:00:00:02:01", "state": "reachable", "age": 3.5, "packets_held": 0}], "total": 1})"),
                                {}),
              "INTERFACE  ADDRESS      MAC                STATE        AGE  PACKETS HELD\n"
              "wan        203.0.113.1  02:00:00:00:02:01  reachable  3.5 s             0\n");
}

TEST(Render, config) {
    EXPECT_EQ(render_config(json::parse(R"({"file": "x", "text": "engine:\n  workers: 1"})")),
              "engine:\n  workers: 1\n");
    EXPECT_EQ(render_config(json::parse(R"({"generation": 1, "config": {"engine": {"workers": 1, "cpus": []},
        "routes": [{"to": "default", "via": "10.0.0.1"}]}})")),
              "engine:\n  workers: 1\n  cpus: []\nroutes:\n  - {\"to\":\"default\",\"via\":\"10.0.0.1\"}\n");
}

TEST(Render, diff) {
    EXPECT_EQ(render_diff(json::parse(R"({"changes": [
        {"path": "interfaces.lan.mtu", "before": "1500", "after": "1400", "fixed": false},
        {"path": "engine.workers", "before": "1", "after": "2", "fixed": true},
        {"path": "routes[1]", "before": "", "after": "{to: default}"},
        {"path": "zones.inside", "before": "[lan]", "after": ""}], "flows_cut": 2})"),
                          {}),
              "~ interfaces.lan.mtu: 1500 -> 1400\n"
              "~ engine.workers: 1 -> 2  (needs a restart)\n"
              "+ routes[1]: {to: default}\n"
              "- zones.inside: [lan]\n"
              "2 live flows would not have been let begin\n");
    EXPECT_EQ(render_diff(json::parse(R"({"changes": [], "flows_cut": 0})"), {}), "no difference\n");
}

TEST(Render, diff_lists_flows) {
    const std::string flow =
        R"({"family": "ip4", "proto": "udp", "timeout": 29.5, "status": ["seen_reply"],
        "original": {"src": "10.0.0.1", "dst": "10.0.0.2", "sport": 1, "dport": 2, "packets": 3, "bytes": 4},
        "reply": {"src": "10.0.0.2", "dst": "10.0.0.1", "sport": 2, "dport": 1, "packets": 5, "bytes": 6}, "mark": 0})";
    EXPECT_EQ(
        render_diff(json::parse(R"({"changes": [], "flows_cut": 3, "flows": [)" + flow + "]}"), {}),
        "no difference\n3 live flows would not have been let begin (config apply --cut ends them):\n  " +
            render_flow(json::parse(flow), true) + "  and 2 more\n");
}

TEST(Render, applied) {
    EXPECT_EQ(render_applied(json::parse(R"({"generation": 4, "flows_cut": 1})"), {}),
              "generation 4 is in force\n1 live flow ended\n");
    EXPECT_EQ(render_applied(json::parse(R"({"generation": 4})"), {}), "generation 4 is in force\n");
    EXPECT_EQ(
        render_applied(json::parse(R"({"generation": 4, "confirm": 30})"), {}),
        "generation 4 is in force\nit is rolled back in 30 s unless you run: sluicectl config confirm\n");
    EXPECT_EQ(render_applied(json::parse("null"), {}), "done\n");
}

TEST(Render, refusals_are_one_line_and_then_the_problems) {
    EXPECT_EQ(render_refusal(
                  404, R"({"error": {"message": "there is no such path", "path": "/v1/x", "hint": "look"}})"),
              "/v1/x: there is no such path (look)\n");
    EXPECT_EQ(render_refusal(422, R"({"error": {"message": "2 mistakes", "problems": ["a.yaml:1:2: x: bad",
        {"file": "a.yaml", "line": 3, "column": 4, "path": "y", "message": "worse", "hint": "better"},
        {"file": "a.yaml", "line": 0, "column": 0, "path": "", "message": "empty", "hint": ""}]}})"),
              "2 mistakes\na.yaml:1:2: x: bad\na.yaml:3:4: y: worse; better\na.yaml: empty\n");
    EXPECT_EQ(render_refusal(500, "<html>"), "the box answered with status 500 and no reason\n");
}

TEST(Render, answers_of_any_shape_are_survived) {
    for (const char* text :
         {"null", "1", "\"x\"", "[]", "{}", "[1, null, \"x\", {}]", R"({"items": 3})",
          R"({"items": [null, [], 5, {"link": 3, "nic": [], "stages": [], "drops": {"a": "b"}}]})"}) {
        const auto value = json::parse(text);
        const Look look{true};
        EXPECT_FALSE((render_status(value, look) + render_interfaces(value, look) +
                      render_interface(value, look) + render_workers(value, look) +
                      render_drops(value, look) + render_counters(value, true, look) +
                      render_routes(value, look) + render_neighbours(value, look) + render_config(value) +
                      render_diff(value, look) + render_applied(value, look) + render_refusal(400, text) +
                      render_top({value, value, value, value}, {value, value, value, value}, 1, look))
                         .empty());
    }
}

TEST(Rates, top_shows_what_changed) {
    Sample before;
    before.status = json::parse(R"({"version": "0.1.0", "uptime": 10, "config": {"generation": 1}})");
    before.interfaces = json::parse(
        R"({"items": [{"name": "lan", "link": {"up": true}, "rx_packets": 100, "rx_bytes": 1000, "tx_packets": 5, "tx_bytes": 50}]})");
    before.workers = json::parse(
        R"({"items": [{"id": 0, "cpu": 1, "packets": 100, "busy": 0.5, "cycles_per_packet": 200, "sleeps": 0}]})");
    before.drops = json::parse(R"({"items": [{"reason": "no_route", "interface": "lan", "packets": 1}]})");
    Sample after = before;
    after.interfaces.at("items").at(0).at("rx_packets") = 300;
    after.interfaces.at("items").at(0).at("rx_bytes") = 251000;
    after.workers.at("items").at(0).at("packets") = 300;
    after.drops.at("items").at(0).at("packets") = 5;
    EXPECT_EQ(render_top(before, after, 2, {}),
              "sluice 0.1.0, up 10 s, generation 1\n\n"
              "INTERFACE  LINK  RX PKT/S           RX  TX PKT/S       TX\n"
              "lan        up         100  1.00 Mbit/s         0  0 bit/s\n"
              "\n"
              "WORKER  CPU  PKT/S  CYCLES/PACKET    BUSY  SLEEPS/S\n"
              "0         1    100            200  50.0 %         0\n"
              "\n"
              "DROPPED BECAUSE  INTERFACE  PKT/S\n"
              "no_route         lan            2\n");
    for (auto* sample : {&before, &after}) {
        auto& worker = sample->workers.at("items").at(0).as_object();
        worker["busy_cycles"] = sample == &before ? 1000 : 31000;
        worker["total_cycles"] = sample == &before ? 10000 : 130000;
    }
    EXPECT_NE(render_top(before, after, 2, {}).find("0         1    100            150  25.0 %         0\n"),
              std::string::npos)
        << "of the interval, not since the start";
    for (auto* sample : {&before, &after})
        sample->workers.at("items").at(0).as_object()["taken_over"] = sample == &before ? 1000 : 1400;
    EXPECT_NE(render_top(before, after, 2, {}).find("0         1    300             50  25.0 %         0\n"),
              std::string::npos)
        << "what it took over is its work too";
    EXPECT_EQ(render_new_drops(before.drops, after.drops, 2, {}),
              "no_route                     lan          +4 (2/s)\n");
    EXPECT_EQ(render_new_drops(after.drops, before.drops, 2, {}), "");
}

}  // namespace
}  // namespace sluice::sluicectl
