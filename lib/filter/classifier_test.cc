#include "filter/classifier.hh"

#include <gtest/gtest.h>

#include "base/random.hh"
#include "filter/rules_under_test.hh"

namespace sluice::filter::test {
namespace {

// Draws rulesets and packets from few values, so that they meet often.
class Draw {
  public:
    explicit Draw(uint64_t seed) : random_(seed) {}

    std::string ruleset(size_t rules) {
        std::string yaml = "filter: {forward: {policy: drop, rules: [\n";
        for (size_t i = 0; i < rules; ++i)
            yaml += rule(i, true);
        yaml += "]}}\nchains:\n";
        for (const char* name : {"a", "b"}) {
            yaml += std::string("  ") + name + ": [\n";
            for (size_t i = 0; i < rules / 4; ++i)
                yaml += rule(i, false);
            yaml += "]\n";
        }
        return yaml;
    }

    Buffer packet() {
        const auto flags = wire::TcpFlags(static_cast<uint8_t>(random_.below(64)));
        const auto sport = static_cast<uint16_t>(random_.below(20));
        const auto dport = static_cast<uint16_t>(random_.below(20));
        const auto protocol = one_in(3) ? IpProtocol::udp : one_in(4) ? IpProtocol::gre : IpProtocol::tcp;
        const auto upper = protocol == IpProtocol::tcp ? tcp(sport, dport, flags) : udp(sport, dport);
        return one_in(3) ? ip6(host6(), host6(), protocol, upper) : ip4(host4(), host4(), protocol, upper);
    }

    Facts facts() {
        return {.in = static_cast<InterfaceId>(random_.below(3)),
                .out = static_cast<InterfaceId>(random_.below(3)),
                .state = static_cast<conntrack::CtState>(random_.below(5)),
                .now = at(100)};
    }

  private:
    bool one_in(uint32_t n) { return random_.below(n) == 0; }
    std::string number(uint32_t below) { return std::to_string(random_.below(below)); }
    std::string host4() { return "10.0." + number(4) + "." + number(16); }
    std::string host6() { return "2001:db8:" + number(3) + "::" + number(8); }
    std::string address() {
        if (one_in(3))
            return one_in(2)   ? host6()
                   : one_in(2) ? "2001:db8:" + number(3) + "::/48"
                   : one_in(2) ? "'2001:db8::" + number(8) + "-2001:db8::9'"
                               : "'2001:db8:0:" + number(2) +
                                     "::3-2001:db8:" + std::to_string(1 + random_.below(2)) + "::5'";
        return one_in(2) ? host4() : one_in(3) ? "10.0.0.0-10.0.2.7" : "10.0." + number(4) + ".0/24";
    }
    std::string port() {
        const auto first = random_.below(20);
        return one_in(3) ? "'" + std::to_string(first) + "-" + std::to_string(first + random_.below(8)) + "'"
                         : std::to_string(first);
    }
    std::string some(std::string (Draw::*value)()) {
        const auto list = [&] { return "[" + (this->*value)() + ", " + (this->*value)() + "]"; };
        if (one_in(5))
            return "{not: " + list() + "}";
        return one_in(4) ? list() : (this->*value)();
    }
    // Addresses of one rule are of one family or its configuration is refused.
    std::string addresses() {
        const std::string one = address();
        const bool both = one_in(2);
        if (!both)
            return (one_in(2) ? "saddr: " : "daddr: ") + one + ", ";
        return "saddr: [" + one + ", 10.0.0.0/16, '2001:db8::/32'], daddr: {not: [" + address() +
               ", 10.0.3.3, '2001:db8:1::1']}, ";
    }

    std::string rule(size_t place, bool jumps) {
        std::string keys = "{name: r" + std::to_string(place) + ", ";
        if (one_in(2))
            keys += addresses();
        if (one_in(3))
            keys += "sport: " + some(&Draw::port) + ", ";
        if (!one_in(3))
            keys += "dport: " + some(&Draw::port) + ", ";
        if (one_in(4))
            keys += one_in(2) ? "proto: tcp, " : "proto: {not: [tcp]}, ";
        if (one_in(5))
            keys += one_in(2) ? "in: [lan, wan], " : "out: '!lan', ";
        if (one_in(5))
            keys += "ct: [new, established], ";
        if (one_in(8))
            keys += "match: {'saddr . dport': '@services'}, ";
        if (one_in(8))
            keys += "set_mark: " + number(3) + ", ";
        if (one_in(8))
            keys += "mark: '=" + number(3) + "', ";
        constexpr std::array kActions{"",
                                      "",
                                      "action: accept",
                                      "action: drop",
                                      "action: return",
                                      "action: {jump: a}",
                                      "action: {goto: b}"};
        return keys + kActions[random_.below(jumps ? uint32_t{7} : 5)] + "},\n";
    }

    Random random_;
};

bool same(const Outcome& a, const Outcome& b) {
    return a.conclusion == b.conclusion && a.rule == b.rule && a.reject == b.reject && a.mss == b.mss &&
           a.notrack == b.notrack && a.clamp_mss == b.clamp_mss;
}

// Outcome, rules counted on the way, mark, and whether it may be repeated.
void compare(uint64_t seed, size_t size, size_t packets) {
    Draw draw(seed);
    Rules rules(draw.ruleset(size));
    for (size_t i = 0; i < packets; ++i) {
        const auto bytes = draw.packet();
        const auto ip = view(bytes);
        const Facts facts = draw.facts();
        RulePacket first = rules.packet_of(ip, facts);
        RulePacket second = rules.packet_of(ip, facts);
        Trail linear;
        Trail compiled;
        const auto expected =
            evaluate_linear(*rules.ruleset, *rules.state, Table::filter, Hook::forward, first, linear);
        const auto found =
            evaluate(*rules.ruleset, *rules.state, Table::filter, Hook::forward, second, compiled);
        ASSERT_TRUE(same(expected, found))
            << "seed " << seed << " packet " << i << " linear " << rules.decided_by(expected) << " compiled "
            << rules.decided_by(found);
        ASSERT_TRUE(std::ranges::equal(linear.rules(), compiled.rules()))
            << "seed " << seed << " packet " << i;
        ASSERT_EQ(linear.cacheable(), compiled.cacheable());
        ASSERT_EQ(linear.reads_sets(), compiled.reads_sets());
        ASSERT_EQ(first.mark, second.mark);
    }
}

TEST(Classifier, finds_what_trying_every_rule_finds) {
    for (uint64_t seed = 1; seed <= 60; ++seed)
        compare(seed, 10 + seed * 4, 400);
}

TEST(Classifier, finds_it_among_many_rules_too) {
    compare(1000, 3000, 3000);
}

// What a burst asks memory for is what each of its packets is led to.
TEST(Classifier, tells_of_a_burst_the_first_places) {
    for (const size_t size : {1, 60, 1500}) {
        Draw draw(size);
        Rules rules(draw.ruleset(size));
        const auto& classifier = rules.ruleset->base(Table::filter, Hook::forward)->classifier;
        for (int round = 0; round < 200; ++round) {
            std::vector<Point> points;
            while (points.size() < static_cast<size_t>(round) % Classifier::kMaxBurst + 1) {
                const auto bytes = draw.packet();
                const auto ip = view(bytes);
                const auto point = Point::of(rules.packet_of(ip, draw.facts()));
                if (point.family == Family::ip4)
                    points.push_back(point);
            }
            std::vector<uint32_t> places(points.size());
            classifier.prefetch(points, places);
            for (size_t i = 0; i < points.size(); ++i)
                ASSERT_EQ(places[i], classifier.candidates(points[i]).next(points[i])) << size << " " << i;
        }
    }
}

TEST(Classifier, places_a_packet_by_its_fields_as_by_its_header) {
    const auto bytes = ip4("10.7.9.1", "192.0.2.1", IpProtocol::udp, udp(4711, 53));
    const auto ip = view(bytes);
    RulePacket packet(ip, at(0));
    packet.in = static_cast<InterfaceId>(3);
    packet.ct.state = conntrack::CtState::new_;
    const auto known = Point::of(packet);
    const auto point = Point::of_ip4({.saddr = 0x0a070901,
                                      .daddr = 0xc0000201,
                                      .sport = 4711,
                                      .dport = 53,
                                      .proto = 17,
                                      .in = packet.in,
                                      .ct = conntrack::CtState::new_});
    EXPECT_TRUE(std::equal(known.at.begin(), known.at.begin() + 8, point.at.begin()));
    EXPECT_EQ(known.family, point.family);
}

// More values than a tree keeps apart.
TEST(Classifier, knows_what_lies_between_many_excluded_values) {
    std::string ports;
    for (int port = 1; port < 100; port += 2)
        ports += std::to_string(port) + ",";
    Rules rules("filter: {forward: {policy: drop, rules: [{name: even, dport: {not: [" + ports +
                "]}, action: accept}]}}");
    EXPECT_EQ(rules.forward(tcp4(40000, 50)).conclusion, Conclusion::accept);
    EXPECT_EQ(rules.forward(tcp4(40000, 51)).conclusion, Conclusion::drop);
}

TEST(Classifier, takes_memory_in_proportion_to_the_rules) {
    Draw draw(5);
    Rules rules(draw.ruleset(2000));
    const auto* chain = rules.ruleset->base(Table::filter, Hook::forward);
    EXPECT_LT(chain->classifier.memory_bytes(), 2000U * 1000);
}

TEST(Classifier, leaves_the_one_rule_to_try) {
    std::string yaml = "filter: {forward: [";
    for (int i = 0; i < 4096; ++i)
        yaml += "{name: r" + std::to_string(i) + ", saddr: 10." + std::to_string(i / 256) + "." +
                std::to_string(i % 256) + ".0/24, dport: " + std::to_string(1000 + i % 7) +
                ", action: drop},";
    Rules rules(yaml + "]}");
    const auto bytes = ip4("10.7.9.1", "192.0.2.1", IpProtocol::tcp, tcp(1, 1002, wire::kTcpSyn));
    const auto ip = view(bytes);
    const auto point = Point::of(RulePacket(ip, at(0)));
    auto candidates = rules.ruleset->base(Table::filter, Hook::forward)->classifier.candidates(point);
    const uint32_t place = candidates.next(point);
    EXPECT_EQ(place, 7 * 256 + 9);
    EXPECT_EQ(candidates.open_checks(place), 0);
    EXPECT_EQ(candidates.next(point), Classifier::Candidates::kEnd);
}

}  // namespace
}  // namespace sluice::filter::test
