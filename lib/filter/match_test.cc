#include <gtest/gtest.h>

#include "filter/rules_under_test.hh"

namespace sluice::filter::test {
namespace {

using conntrack::CtState;

Buffer icmp4(uint8_t type) {
    return ip4("192.0.2.1", "198.51.100.2", IpProtocol::icmp, {type, 0, 0, 0, 0, 1, 0, 1});
}
Buffer icmp6(uint8_t type) {
    return ip6("2001:db8::1", "2001:db8:1::2", IpProtocol::icmpv6, {type, 0, 0, 0, 0, 1, 0, 1});
}

TEST(Match, interfaces_and_zones) {
    EXPECT_TRUE(rule("in: lan").matches(tcp4()));
    EXPECT_FALSE(rule("in: wan").matches(tcp4()));
    EXPECT_TRUE(rule("in: [wan, lan]").matches(tcp4()));
    EXPECT_FALSE(rule("in: '!lan'").matches(tcp4()));
    EXPECT_TRUE(rule("in: {not: [wan, dmz]}").matches(tcp4()));
    EXPECT_TRUE(rule("in: inside").matches(tcp4(), {.in = kDmz}));
    EXPECT_FALSE(rule("in: inside").matches(tcp4(), {.in = kWan}));
    EXPECT_TRUE(rule("out: wan").matches(tcp4()));
    EXPECT_FALSE(rule("out: lan").matches(tcp4()));
    // Without an interface a packet is in none of those excluded, as an empty iifname.
    EXPECT_TRUE(rule("in: '!lan'").matches(tcp4(), {.in = kNoInterface}));
    EXPECT_FALSE(rule("in: lan").matches(tcp4(), {.in = kNoInterface}));
}

TEST(Match, family) {
    EXPECT_TRUE(rule("family: ip4").matches(tcp4()));
    EXPECT_FALSE(rule("family: ip4").matches(tcp6()));
    EXPECT_TRUE(rule("family: '!ip4'").matches(tcp6()));
    EXPECT_TRUE(rule("family: [ip4, ip6]").matches(tcp6()));
}

TEST(Match, addresses) {
    EXPECT_TRUE(rule("saddr: 192.0.2.1").matches(tcp4()));
    EXPECT_FALSE(rule("saddr: 192.0.2.2").matches(tcp4()));
    EXPECT_TRUE(rule("saddr: 192.0.2.0/24").matches(tcp4()));
    EXPECT_TRUE(rule("saddr: 0.0.0.0/0").matches(tcp4()));
    EXPECT_TRUE(rule("saddr: 192.0.1.255-192.0.2.1").matches(tcp4()));
    EXPECT_FALSE(rule("saddr: 192.0.1.255-192.0.2.0").matches(tcp4()));
    EXPECT_TRUE(rule("daddr: [10.0.0.0/8, 198.51.100.2]").matches(tcp4()));
    EXPECT_FALSE(rule("daddr: '!198.51.100.0/24'").matches(tcp4()));
    EXPECT_TRUE(rule("saddr: {not: [10.0.0.0/8, 172.16.0.0/12]}").matches(tcp4()));
    EXPECT_TRUE(rule("saddr: 2001:db8::/32").matches(tcp6()));
    EXPECT_FALSE(rule("saddr: 2001:db8::2-2001:db8::ffff").matches(tcp6()));
    EXPECT_TRUE(rule("saddr: 2001:db8::-2001:db8::1").matches(tcp6()));
    EXPECT_FALSE(rule("daddr: '!2001:db8:1::/48'").matches(tcp6()));
}

TEST(Match, an_address_of_one_family_says_nothing_of_the_other) {
    EXPECT_FALSE(rule("saddr: 0.0.0.0/0").matches(tcp6()));
    EXPECT_FALSE(rule("saddr: '!10.0.0.0/8'").matches(tcp6()));
    EXPECT_FALSE(rule("daddr: '!fd00::/8'").matches(tcp4()));
    EXPECT_TRUE(rule("saddr: {not: [10.0.0.0/8, fd00::/8]}").matches(tcp6()));
    EXPECT_TRUE(rule("saddr: [10.0.0.0/8, 2001:db8::/32]").matches(tcp6()));
}

TEST(Match, sets) {
    EXPECT_TRUE(rule("saddr: '@hosts'").matches(tcp4()));
    EXPECT_TRUE(rule("saddr: '@hosts'").matches(tcp6()));
    EXPECT_FALSE(rule("daddr: '@hosts'").matches(tcp4()));
    EXPECT_FALSE(rule("saddr: '!@hosts'").matches(tcp4()));
    EXPECT_TRUE(rule("daddr: '!@hosts'").matches(tcp6()));
    EXPECT_TRUE(rule("dport: '@ports'").matches(tcp4()));
    EXPECT_FALSE(rule("dport: '!@ports'").matches(tcp4()));
    EXPECT_TRUE(rule("dport: '!@ports'").matches(udp4()));
    EXPECT_TRUE(rule("saddr: [10.0.0.1, '@hosts']").matches(tcp4()));
}

TEST(Match, concatenations) {
    EXPECT_TRUE(rule("match: {'saddr . dport': '@services'}").matches(tcp4()));
    EXPECT_FALSE(rule("match: {'saddr . dport': '@services'}").matches(tcp4(40000, 23)));
    EXPECT_FALSE(rule("match: {'saddr . dport': '!@services'}").matches(tcp4()));
    EXPECT_TRUE(rule("match: {'saddr . dport': '!@services'}").matches(tcp4(40000, 23)));
    EXPECT_FALSE(rule("match: {'saddr . dport': '!@services'}").matches(icmp4(8)));
}

TEST(Match, protocols) {
    EXPECT_TRUE(rule("proto: tcp").matches(tcp4()));
    EXPECT_FALSE(rule("proto: tcp").matches(udp4()));
    EXPECT_TRUE(rule("proto: [tcp, udp]").matches(udp4()));
    EXPECT_TRUE(rule("proto: '!tcp'").matches(udp4()));
    EXPECT_TRUE(rule("proto: 17").matches(udp4()));
    EXPECT_TRUE(rule("proto: gre").matches(ip4("192.0.2.1", "198.51.100.2", IpProtocol::gre, {0, 0, 0, 0})));
}

TEST(Match, ports) {
    EXPECT_TRUE(rule("dport: 22").matches(tcp4()));
    EXPECT_TRUE(rule("dport: [80, 20-25]").matches(tcp4()));
    EXPECT_FALSE(rule("dport: '!22'").matches(tcp4()));
    EXPECT_TRUE(rule("dport: {not: [80, 443]}").matches(tcp4()));
    EXPECT_TRUE(rule("sport: '>1023'").matches(tcp4()));
    EXPECT_FALSE(rule("sport: '<1024'").matches(tcp4()));
    EXPECT_TRUE(rule("sport: '<=40000'").matches(tcp4()));
    EXPECT_TRUE(rule("proto: udp, dport: 53").matches(udp4()));
    EXPECT_TRUE(rule("dport: 22").matches(tcp6()));
    EXPECT_TRUE(rule("sport: 7").matches(ip4("192.0.2.1", "198.51.100.2", IpProtocol::sctp, {0, 7, 0, 9})));
}

TEST(Match, what_has_no_port_matches_none_negated_or_not) {
    EXPECT_FALSE(rule("dport: '!22'").matches(icmp4(8)));
    EXPECT_FALSE(rule("sport: 0-65535").matches(icmp4(8)));
    // Cut off within the ports.
    const auto cut = ip4("192.0.2.1", "198.51.100.2", IpProtocol::udp, {0, 7, 0});
    EXPECT_TRUE(rule("sport: 7").matches(cut));
    EXPECT_FALSE(rule("dport: '!22'").matches(cut));
}

TEST(Match, connection_tracking) {
    EXPECT_TRUE(rule("ct: new").matches(tcp4()));
    EXPECT_FALSE(rule("ct: [established, related]").matches(tcp4()));
    EXPECT_TRUE(rule("ct: [established, related]").matches(tcp4(), {.state = CtState::related}));
    EXPECT_TRUE(rule("ct: '!invalid'").matches(tcp4()));
    EXPECT_TRUE(rule("ct: invalid").matches(tcp4(), {.state = CtState::invalid}));
    EXPECT_TRUE(rule("ct: untracked").matches(tcp4(), {.state = CtState::untracked}));
    EXPECT_TRUE(rule("ct_direction: original").matches(tcp4()));
    EXPECT_FALSE(rule("ct_direction: reply").matches(tcp4()));
    EXPECT_FALSE(rule("ct_direction: '!reply'").matches(tcp4(), {.state = CtState::invalid}));
    EXPECT_TRUE(rule("ct_status: dnat").matches(tcp4(), {.status = conntrack::kDnat | conntrack::kAssured}));
    EXPECT_FALSE(rule("ct_status: snat").matches(tcp4(), {.status = conntrack::kDnat}));
    EXPECT_TRUE(rule("ct_status: [snat, dnat]").matches(tcp4(), {.status = conntrack::kDnat}));
    EXPECT_TRUE(rule("ct_status: '!snat'").matches(tcp4(), {.status = conntrack::kDnat}));
    EXPECT_FALSE(rule("ct_status: '!snat'").matches(tcp4(), {.state = CtState::untracked}));
}

TEST(Match, tcp_flags) {
    using wire::kTcpAck;
    using wire::kTcpSyn;
    EXPECT_TRUE(rule("tcp_flags: syn").matches(tcp4(1, 2, kTcpSyn | kTcpAck)));
    EXPECT_FALSE(rule("tcp_flags: syn").matches(tcp4(1, 2, kTcpAck)));
    EXPECT_FALSE(rule("tcp_flags: 'syn,ack'").matches(tcp4(1, 2, kTcpSyn)));
    EXPECT_TRUE(rule("tcp_flags: 'syn/syn,ack,rst'").matches(tcp4(1, 2, kTcpSyn | wire::kTcpEce)));
    EXPECT_FALSE(rule("tcp_flags: 'syn/syn,ack,rst'").matches(tcp4(1, 2, kTcpSyn | kTcpAck)));
    EXPECT_TRUE(rule("tcp_flags: 'none/syn,rst'").matches(tcp4(1, 2, kTcpAck)));
    EXPECT_TRUE(rule("tcp_flags: none").matches(tcp4(1, 2, wire::TcpFlags())));
    EXPECT_TRUE(rule("tcp_flags: [syn, ack]").matches(tcp4(1, 2, kTcpAck)));
    EXPECT_TRUE(rule("tcp_flags: '!syn'").matches(tcp4(1, 2, kTcpAck)));
    EXPECT_FALSE(rule("tcp_flags: '!syn'").matches(udp4()));
    // The flags' byte is not there.
    EXPECT_FALSE(
        rule("tcp_flags: '!syn'").matches(ip4("192.0.2.1", "198.51.100.2", IpProtocol::tcp, Buffer(13))));
    EXPECT_TRUE(
        rule("tcp_flags: '!syn'").matches(ip4("192.0.2.1", "198.51.100.2", IpProtocol::tcp, Buffer(14))));
}

TEST(Match, icmp_types) {
    EXPECT_TRUE(rule("icmp_type: echo-request").matches(icmp4(8)));
    EXPECT_TRUE(rule("icmp_type: [0, 8]").matches(icmp4(8)));
    EXPECT_FALSE(rule("icmp_type: '!echo-request'").matches(icmp4(8)));
    EXPECT_FALSE(rule("icmp_type: '!echo-request'").matches(udp4()));
    EXPECT_TRUE(rule("icmpv6_type: nd-neighbor-solicit").matches(icmp6(135)));
    EXPECT_FALSE(rule("icmpv6_type: 0-255").matches(icmp4(8)));
    EXPECT_FALSE(rule("icmp_type: 0-255").matches(icmp6(128)));
}

TEST(Match, mark_length_and_ttl) {
    EXPECT_TRUE(rule("mark: 5").matches(tcp4(), {.mark = 5}));
    EXPECT_FALSE(rule("mark: '!5'").matches(tcp4(), {.mark = 5}));
    EXPECT_TRUE(rule("mark: 0x10-0x1f").matches(tcp4(), {.mark = 0x1f}));
    EXPECT_TRUE(rule("length: 40").matches(tcp4()));  // with the IP header
    EXPECT_FALSE(rule("length: '>40'").matches(tcp4()));
    EXPECT_TRUE(rule("length: '<41'").matches(tcp4()));
    EXPECT_TRUE(rule("length: 60").matches(tcp6()));
    EXPECT_TRUE(rule("ttl: 64").matches(tcp4()));
    EXPECT_FALSE(rule("ttl: '<64'").matches(tcp6()));
    EXPECT_TRUE(rule("ttl: '!1'").matches(tcp6()));
}

TEST(Match, source_mac) {
    const auto mac = *MacAddress::parse("02:00:00:00:00:01");
    EXPECT_TRUE(rule("mac_saddr: 02:00:00:00:00:01").matches(tcp4(), {.mac = mac}));
    EXPECT_FALSE(rule("mac_saddr: '!02:00:00:00:00:01'").matches(tcp4(), {.mac = mac}));
    EXPECT_TRUE(rule("mac_saddr: {not: ['02:00:00:00:00:02']}").matches(tcp4(), {.mac = mac}));
    EXPECT_FALSE(rule("mac_saddr: '!02:00:00:00:00:02'").matches(tcp4()));
}

TEST(Match, later_fragments_have_no_ports) {
    auto fragment = tcp4();
    wire::write16(fragment.data() + 6, 0x2001);  // offset 8
    EXPECT_TRUE(rule("fragment: true").matches(fragment));
    EXPECT_FALSE(rule("fragment: false").matches(fragment));
    EXPECT_FALSE(rule("fragment: true").matches(tcp4()));
    EXPECT_TRUE(rule("proto: tcp").matches(fragment));
    EXPECT_FALSE(rule("dport: 0-65535").matches(fragment));
    EXPECT_FALSE(rule("tcp_flags: '!fin'").matches(fragment));
    auto first = tcp4();
    wire::write16(first.data() + 6, 0x2000);
    EXPECT_TRUE(rule("dport: 22").matches(first));
}

TEST(Match, extension_headers) {
    Buffer upper{60, 0, 1, 4, 0, 0, 0, 0};  // hop-by-hop, then destination options
    const Buffer destination{6, 0, 1, 4, 0, 0, 0, 0};
    upper.insert(upper.end(), destination.begin(), destination.end());
    const auto segment = tcp(1, 22, wire::kTcpSyn);
    upper.insert(upper.end(), segment.begin(), segment.end());
    const auto packet = ip6("2001:db8::1", "2001:db8:1::2", IpProtocol::hop_by_hop, upper);
    EXPECT_TRUE(rule("exthdr: hbh").matches(packet));
    EXPECT_TRUE(rule("exthdr: [rt, dst]").matches(packet));
    EXPECT_FALSE(rule("exthdr: frag").matches(packet));
    EXPECT_TRUE(rule("exthdr: '!frag'").matches(packet));
    EXPECT_FALSE(rule("exthdr: '!frag'").matches(tcp4()));
    EXPECT_TRUE(rule("proto: tcp, dport: 22").matches(packet));
}

TEST(Match, authentication_header_is_a_transport_of_its_own_in_ip6) {
    Buffer upper{6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const auto segment = tcp(1, 22, wire::kTcpSyn);
    upper.insert(upper.end(), segment.begin(), segment.end());
    const auto packet = ip6("2001:db8::1", "2001:db8:1::2", IpProtocol::ah, upper);
    EXPECT_TRUE(rule("proto: ah").matches(packet));
    EXPECT_FALSE(rule("proto: tcp").matches(packet));
    EXPECT_FALSE(rule("dport: 22").matches(packet));
}

TEST(Match, a_chain_that_cannot_be_followed_has_no_protocol) {
    const auto packet = ip6("2001:db8::1", "2001:db8:1::2", IpProtocol::hop_by_hop, {6});
    EXPECT_FALSE(rule("proto: 0-255").matches(packet));
    EXPECT_FALSE(rule("proto: '!tcp'").matches(packet));
    EXPECT_TRUE(rule("saddr: 2001:db8::1").matches(packet));
}

TEST(Match, all_keys_of_a_rule_must_hold) {
    auto both = rule("in: lan, proto: tcp, dport: 22, ct: new");
    EXPECT_TRUE(both.matches(tcp4()));
    EXPECT_FALSE(both.matches(tcp4(40000, 23)));
    EXPECT_FALSE(both.matches(tcp4(), {.in = kWan}));
    EXPECT_FALSE(both.matches(tcp4(), {.state = CtState::established}));
}

TEST(Match, the_first_mismatch_is_told) {
    auto rules = rule("in: lan, dport: 23, tcp_flags: syn");
    const auto bytes = tcp4();
    const auto ip = view(bytes);
    const auto& compiled = rules.ruleset->rules().rules.front();
    EXPECT_EQ(first_mismatch(*rules.ruleset, compiled, rules.packet_of(ip, {})), Field::dport);
    EXPECT_EQ(first_mismatch(*rules.ruleset, compiled, rules.packet_of(ip, {.in = kWan})), Field::in);
}

}  // namespace
}  // namespace sluice::filter::test
