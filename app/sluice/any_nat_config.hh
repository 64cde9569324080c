// Configurations of a gateway with NAT for tests, by chance: what a reload may change between two of them.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/random.hh"

namespace sluice::test {

inline constexpr std::string_view kLanMac = "02:00:00:00:01:01";
inline constexpr std::string_view kWanMac = "02:00:00:00:02:01";
inline constexpr std::string_view kService =
    "203.0.113.80";  // an external address that belongs to a dnat rule

inline std::string_view any_of(Random& random, std::initializer_list<std::string_view> texts) {
    return texts.begin()[random.below(static_cast<uint32_t>(texts.size()))];
}

inline bool one_in(Random& random, uint32_t cases) {
    return random.below(cases) == 0;
}

// What is left open half of the time.
class AnyWords {
  public:
    explicit AnyWords(Random& random) : random_(random) {}
    AnyWords& maybe(std::string_view key, std::initializer_list<std::string_view> values) {
        return one_in(random_, 2) ? always(key, any_of(random_, values)) : *this;
    }
    AnyWords& always(std::string_view key, std::string_view value) {
        text_ += (text_.empty() ? "" : ", ") + std::string(key) + ": " + std::string(value);
        return *this;
    }
    [[nodiscard]] std::string text() const { return "{" + text_ + "}"; }

  private:
    Random& random_;
    std::string text_;
};

// For all of NAT or for a rule.
inline void add_behaviour(AnyWords& words) {
    const std::initializer_list<std::string_view> kinds = {"endpoint_independent", "address_dependent",
                                                           "address_and_port_dependent"};
    words.maybe("mapping", kinds)
        .maybe("filtering", kinds)
        .maybe("pooling", {"paired", "soft"})
        .maybe("parity", {"true", "false"})
        .maybe("hairpin", {"true", "false"})
        .maybe("port_overlap", {"true", "false"})
        .maybe("ports_per_host", {"0", "3", "12"});
}

inline std::string any_source_rule(Random& random, std::string_view name) {
    AnyWords words(random);
    words.always("name", name).always("out", "wan").maybe("saddr", {"192.168.1.0/24", "192.168.0.0/17"});
    const bool masquerades = one_in(random, 2);
    if (masquerades)
        words.always("masquerade", "true");
    else
        words.always("snat", any_of(random, {"203.0.113.2", "[203.0.113.8-203.0.113.9]",
                                             "[203.0.113.3, 203.0.113.16/30]"}));
    if (one_in(random, 2))
        words.always("proto", "[tcp, udp]")
            .always("ports", any_of(random, {"2000-2031", "2016-2063", "50000-50200"}));
    words.maybe("random", {"true", "false"}).maybe("persistent", {"true", "false"});
    if (one_in(random, 2))
        add_behaviour(words);
    return words.text();
}

inline std::string any_nat(Random& random) {
    AnyWords nat(random);
    std::string sources;
    for (uint32_t rules = random.below(4), i = 0; i < rules; ++i)
        sources += (i == 0 ? "" : ", ") + any_source_rule(random, i == 0 ? "one" : i == 1 ? "two" : "three");
    nat.always("postrouting", "[" + sources + "]");
    std::string destinations;
    const auto add = [&](const AnyWords& rule) {
        destinations += (destinations.empty() ? "" : ", ") + rule.text();
    };
    if (one_in(random, 2))
        add(AnyWords(random)
                .always("name", "web")
                .always("daddr", kService)
                .always("proto", "tcp")
                .always("dport", "80")
                .always("dnat", "\"192.168.1.10:80\"")
                .maybe("hairpin", {"true", "false"}));
    if (one_in(random, 2))  // several remotes are one
        add(AnyWords(random)
                .always("name", "cache")
                .always("in", "lan")
                .always("daddr", "198.51.100.0/30")
                .always("dnat", "198.51.100.1"));
    if (one_in(random, 3))
        add(AnyWords(random)
                .always("name", "names")
                .always("in", "lan")
                .always("proto", "udp")
                .always("dport", "53")
                .always("redirect", "5353"));
    nat.always("prerouting", "[" + destinations + "]");
    add_behaviour(nat);
    nat.maybe("hold_down", {"0s", "5s", "2m"})
        .maybe("hold_down_tcp", {"true", "false"})
        .maybe("hold_down_filtered", {"true", "false"})
        .maybe("syn_hold", {"0s", "6s"});
    return nat.text();
}

inline std::string any_conntrack(Random& random) {
    return AnyWords(random)
        .always("profile", any_of(random, {"rfc", "linux"}))
        .always("max", any_of(random, {"120", "200", "300"}))
        .always("reserve", "0%")
        .maybe("when_full", {"refuse_new", "early_drop"})
        .maybe("pressure", {"true", "false"})
        .maybe("per_source", {"{lan: 12}"})
        .maybe("helpers", {"[ftp]"})
        .maybe("timeouts", {"{udp: 30s, tcp_established: 10m}", "{icmp: 3s, tcp_close: 1s, gre: 5s}"})
        .text();
}

// Without a firewall.
inline std::string gateway_between(std::string_view wan_ip4, std::string_view wan_ip6) {
    std::string text = "interfaces:\n";
    text += "  lan: {device: net_null0, mac: \"" + std::string(kLanMac) +
            "\", addresses: [192.168.0.1/16, \"fd00:1::1/64\"]}\n";
    text += "  wan: {device: net_null1, mac: \"" + std::string(kWanMac) + "\", addresses: [" +
            std::string(wan_ip4) + ", \"" + std::string(wan_ip6) + "\"]}\n";
    text += "routes: [{to: default, via: 203.0.113.1}, {to: \"::/0\", via: \"fd00:2::1\"}]\n";
    return text + "icmp: {errors: unlimited}\n";
}

// The masqueraded address changes; NAT and the whole firewall come and go.
inline std::string any_config(Random& random) {
    const auto wan_ip4 = any_of(
        random, {"203.0.113.2/24", "203.0.113.2/24", "203.0.113.3/24", "203.0.113.2/24, 203.0.113.3/24"});
    std::string text = gateway_between(wan_ip4, any_of(random, {"fd00:2::2/64", "fd00:2::3/64"}));
    if (one_in(random, 12))
        return text;
    text += "conntrack: " + any_conntrack(random) + "\n";
    if (!one_in(random, 8))
        text += "nat: " + any_nat(random) + "\n";
    if (one_in(random, 2))
        text +=
            "filter: {forward: {policy: drop, rules: [{name: going, ct: [established, related], action: "
            "accept}, {name: lan, in: lan, action: accept}, {name: web, ct_status: dnat, action: "
            "accept}]}}\n";
    return text;
}

}  // namespace sluice::test
