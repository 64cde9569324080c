// What rules answer with and leave behind: resets, ICMP errors, a lowered MSS, log lines, counters.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "filter/mss.hh"
#include "filter/reject.hh"
#include "filter/rules_under_test.hh"

namespace sluice::filter::test {
namespace {

// With the transport's checksum right.
Buffer valid(Buffer packet) {
    const auto ip = view(packet);
    const auto upper = std::span(packet).subspan(ip.upper_offset());
    const auto length = static_cast<uint16_t>(upper.size());
    const auto pseudo =
        ip.family() == Family::ip4
            ? wire::pseudo_header(ip.ip4().source(), ip.ip4().destination(), ip.protocol(), length)
            : wire::pseudo_header(ip.ip6().source(), ip.ip6().destination(), ip.protocol(), length);
    if (ip.protocol() == IpProtocol::tcp)
        wire::set_tcp_checksum(upper, pseudo);
    else
        wire::set_udp_checksum(upper, pseudo);
    return packet;
}

std::expected<Buffer, NoReject> reset(const Buffer& packet, const RejectContext& context = {}) {
    Buffer answer(kResetMaxSize);
    const auto size = build_reset(view(packet), context, answer);
    if (!size)
        return std::unexpected(size.error());
    answer.resize(*size);
    return answer;
}

TEST(Reset, answers_a_syn) {
    const auto answer = reset(valid(tcp4()));
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->size(), 40U);
    const auto ip = wire::Ipv4View::checked(*answer);
    ASSERT_TRUE(ip);
    EXPECT_EQ(ip->source().to_string(), "198.51.100.2");
    EXPECT_EQ(ip->destination().to_string(), "192.0.2.1");
    EXPECT_EQ(ip->ttl(), 64);
    EXPECT_EQ(ip->tos(), 0);
    EXPECT_EQ(ip->id(), 0);
    EXPECT_TRUE(ip->dont_fragment());
    const auto segment = wire::TcpView::checked(ip->payload());
    ASSERT_TRUE(segment);
    EXPECT_EQ(segment->source_port(), 22);
    EXPECT_EQ(segment->destination_port(), 40000);
    EXPECT_EQ(segment->sequence(), 0U);
    EXPECT_EQ(segment->acknowledgment(), 1001U);
    EXPECT_EQ(segment->flags(), wire::kTcpRst | wire::kTcpAck);
    EXPECT_EQ(segment->window(), 0);
    EXPECT_TRUE(segment->checksum_verifies(
        wire::pseudo_header(ip->source(), ip->destination(), IpProtocol::tcp, 20)));
}

TEST(Reset, takes_the_sequence_from_an_acknowledgment) {
    const auto answer = reset(valid(tcp4(1, 2, wire::kTcpAck)));
    ASSERT_TRUE(answer);
    const auto segment = wire::TcpView::unchecked(std::span(*answer).subspan(20));
    EXPECT_EQ(segment.sequence(), 2000U);
    EXPECT_EQ(segment.acknowledgment(), 0U);
    EXPECT_EQ(segment.flags(), wire::kTcpRst);
}

TEST(Reset, acknowledges_data_and_fin) {
    const auto packet = valid(
        ip4("10.0.0.1", "10.0.0.2", IpProtocol::tcp, tcp(1, 2, wire::kTcpSyn | wire::kTcpFin, Buffer(7))));
    const auto answer = reset(packet);
    ASSERT_TRUE(answer);
    EXPECT_EQ(wire::TcpView::unchecked(std::span(*answer).subspan(20)).acknowledgment(), 1009U);
}

TEST(Reset, over_ip6) {
    const auto answer = reset(valid(tcp6()), {.hop_limit = 77});
    ASSERT_TRUE(answer);
    const auto ip = wire::Ipv6View::checked(*answer);
    ASSERT_TRUE(ip);
    EXPECT_EQ(ip->source().to_string(), "2001:db8:1::2");
    EXPECT_EQ(ip->hop_limit(), 77);
    EXPECT_TRUE(
        wire::TcpView::checked(ip->payload())
            ->checksum_verifies(wire::pseudo_header(ip->source(), ip->destination(), IpProtocol::tcp, 20)));
}

TEST(Reset, is_not_sent) {
    EXPECT_EQ(reset(valid(tcp4(1, 2, wire::kTcpRst))).error(), NoReject::is_reset);
    EXPECT_EQ(reset(valid(udp4())).error(), NoReject::not_tcp);
    auto bad = valid(tcp4());
    bad.back() ^= 1;
    EXPECT_EQ(reset(bad).error(), NoReject::bad_checksum);
    EXPECT_TRUE(reset(bad, {.checksum_verified = true}));
    EXPECT_EQ(reset(valid(tcp4()), {.group_destination = true}).error(), NoReject::not_unicast);
    auto fragment = valid(tcp4());
    wire::write16(fragment.data() + 6, 1);
    EXPECT_EQ(reset(fragment).error(), NoReject::later_fragment);
    EXPECT_EQ(reset(valid(ip6("2001:db8::1", "ff02::1", IpProtocol::tcp, tcp(1, 2, wire::kTcpSyn)))).error(),
              NoReject::not_unicast);
    EXPECT_EQ(reset(ip4("10.0.0.1", "10.0.0.2", IpProtocol::tcp, Buffer(19))).error(), NoReject::not_tcp);
}

TEST(RejectWithIcmp, codes) {
    EXPECT_EQ(icmp_code(RejectKind::port_unreachable, Family::ip4), (IcmpCode{3, 3}));
    EXPECT_EQ(icmp_code(RejectKind::host_unreachable, Family::ip4), (IcmpCode{3, 1}));
    EXPECT_EQ(icmp_code(RejectKind::admin_prohibited, Family::ip4), (IcmpCode{3, 13}));
    EXPECT_EQ(icmp_code(RejectKind::port_unreachable, Family::ip6), (IcmpCode{1, 4}));
    EXPECT_EQ(icmp_code(RejectKind::host_unreachable, Family::ip6), (IcmpCode{1, 3}));
    EXPECT_EQ(icmp_code(RejectKind::admin_prohibited, Family::ip6), (IcmpCode{1, 1}));
}

TEST(RejectWithIcmp, not_about_damaged_packets) {
    auto packet = valid(udp4());
    EXPECT_EQ(refuses_icmp(view(packet), {}), std::nullopt);
    packet[20] ^= 1;
    EXPECT_EQ(refuses_icmp(view(packet), {}), NoReject::bad_checksum);
    EXPECT_EQ(refuses_icmp(view(udp4()), {}), std::nullopt);  // UDP without a checksum
    const Buffer noise{1, 2, 3, 4};
    EXPECT_EQ(refuses_icmp(view(ip4("10.0.0.1", "10.0.0.2", IpProtocol::sctp, noise)), {}), std::nullopt);
    // The kernel sums protocols it does not know, too.
    EXPECT_EQ(refuses_icmp(view(ip4("10.0.0.1", "10.0.0.2", IpProtocol::ospf, noise)), {}),
              NoReject::bad_checksum);
    EXPECT_EQ(refuses_icmp(view(ip6("2001:db8::1", "2001:db8::2", IpProtocol::none, {})), {}),
              NoReject::nothing_to_quote);
}

Buffer syn_with(const Buffer& options) {
    auto segment = tcp(1, 2, wire::kTcpSyn);
    segment.insert(segment.end(), options.begin(), options.end());
    segment[12] = static_cast<uint8_t>(segment.size() / 4 << 4);
    return valid(ip4("10.0.0.1", "10.0.0.2", IpProtocol::tcp, segment));
}

uint16_t lowered(Buffer packet, uint16_t mss, size_t value_at) {
    const auto ip = view(packet);
    lower_mss(ip, packet, mss);
    EXPECT_EQ(valid(packet), packet) << "the checksum is wrong";
    return wire::read16(packet.data() + value_at);
}

TEST(Mss, is_lowered_and_never_raised) {
    EXPECT_EQ(lowered(syn_with({2, 4, 0x05, 0xb4}), 1400, 42), 1400);
    EXPECT_EQ(lowered(syn_with({2, 4, 0x05, 0xb4}), 1460, 42), 1460);
    EXPECT_EQ(lowered(syn_with({2, 4, 0x05, 0xb4}), 9000, 42), 1460);
}

TEST(Mss, at_an_odd_place_keeps_the_checksum_right) {
    EXPECT_EQ(lowered(syn_with({1, 2, 4, 0x05, 0xb4, 1, 1, 1}), 1337, 43), 1337);
}

// At the end of a page, behind which nothing may be read.
TEST(Mss, reads_nothing_behind_the_packet) {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    void* const memory =
        ::mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    auto* const second = static_cast<uint8_t*>(memory) + page;
    ASSERT_EQ(::mprotect(second, page, PROT_NONE), 0);
    const auto packet = syn_with({2, 4, 0x05, 0xb4});
    const wire::MutableBytes there(second - packet.size(), packet.size());
    std::ranges::copy(packet, there.begin());
    const auto ip = wire::IpPacket::of(wire::Ipv4View::unchecked(there.data()));
    EXPECT_TRUE(lower_mss(ip, there, 1400));
    EXPECT_EQ(wire::read16(second - 2), 1400);
    ::munmap(memory, 2 * page);
}

TEST(Mss, packets_without_the_option_stay) {
    for (const Buffer& options :
         {Buffer{1, 1, 1, 1}, Buffer{3, 3, 7, 0}, Buffer{2, 3, 5, 1}, Buffer{1, 1, 2, 4}}) {
        auto packet = syn_with(options);
        const auto before = packet;
        EXPECT_FALSE(lower_mss(view(packet), packet, 500));
        EXPECT_EQ(packet, before);
    }
    auto datagram = udp4();
    EXPECT_FALSE(lower_mss(view(datagram), datagram, 500));
}

TEST(Mss, for_an_mtu) {
    EXPECT_EQ(mss_for_mtu(1500, Family::ip4), 1460);
    EXPECT_EQ(mss_for_mtu(1500, Family::ip6), 1440);
    EXPECT_EQ(mss_for_mtu(40, Family::ip4), 536);
    EXPECT_EQ(mss_for_mtu(70000, Family::ip4), 536);
}

TEST(Log, says_what_nftables_says) {
    auto rules = rule("log: 'seen: ', mark: '=1'");
    rules.forward(tcp4(), {.mark = 1, .mac = MacAddress::parse("02:00:00:00:00:01").value()});
    const auto event = rules.logs.pop();
    ASSERT_TRUE(event);
    const auto name = [](InterfaceId id) { return id == kLan ? std::string("lan") : std::string("wan"); };
    EXPECT_EQ(log_text(*event, name),
              "seen: IN=lan OUT=wan MACSRC=02:00:00:00:00:01 SRC=192.0.2.1 DST=198.51.100.2 LEN=40 TOS=0x00 "
              "PREC=0x00 TTL=64 ID=0 PROTO=TCP SPT=40000 DPT=22 WINDOW=0 RES=0x00 SYN URGP=0 MARK=0x1");
    EXPECT_EQ(rules.directory.label(event->rule), "filter.forward/m");
}

TEST(Log, of_ip6_and_of_what_is_cut_off) {
    auto rules = rule("log: ''");
    const auto name = [](InterfaceId) { return std::string("x"); };
    rules.forward(ip6("2001:db8::1", "2001:db8::2", IpProtocol::udp, udp(1, 2)));
    EXPECT_EQ(
        log_text(*rules.logs.pop(), name),
        "IN=x OUT=x SRC=2001:db8::1 DST=2001:db8::2 LEN=48 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=UDP SPT=1 DPT=2 "
        "LEN=8");
    rules.forward(ip4("10.0.0.1", "10.0.0.2", IpProtocol::tcp, Buffer(3)));
    EXPECT_NE(log_text(*rules.logs.pop(), name).find("PROTO=TCP INCOMPLETE [3 bytes]"), std::string::npos);
}

TEST(LogRing, counts_what_it_loses) {
    LogRing ring(2);
    const LogEvent event;
    EXPECT_TRUE(ring.push(event));
    EXPECT_TRUE(ring.push(event));
    EXPECT_FALSE(ring.push(event));
    EXPECT_EQ(ring.lost(), 1U);
    EXPECT_TRUE(ring.pop());
    EXPECT_TRUE(ring.push(event));
}

TEST(RuleDirectory, keeps_numbers_over_reloads_and_reuses_them_late) {
    RuleDirectory directory;
    RuleCounters worker;
    worker.reserve(8);
    directory.begin();
    const RuleId a = directory.number("a");
    const RuleId b = directory.number("b");
    directory.end({&worker});
    worker.count(b, 100, at(5));
    directory.begin();
    EXPECT_EQ(directory.number("a"), a);
    EXPECT_NE(directory.number("c"), b);  // workers may still count b
    directory.end({&worker});
    EXPECT_EQ(directory.find("b"), kNoRule);
    directory.begin();
    directory.number("a");
    directory.number("c");
    directory.end({&worker});
    directory.begin();
    EXPECT_EQ(directory.number("d"), b);
    EXPECT_EQ(directory.sum(b, {&worker}), RuleCounts{});
    worker.count(b, 7, at(6));
    EXPECT_EQ(directory.sum(b, {&worker}), (RuleCounts{1, 7, at(6)}));
}

TEST(RuleDirectory, sums_workers_and_resets) {
    RuleDirectory directory;
    RuleCounters one;
    RuleCounters two;
    const RuleId a = directory.number("a");
    one.count(a, 10, at(1));
    two.count(a, 20, at(2));
    EXPECT_EQ(directory.sum(a, {&one, &two}), (RuleCounts{2, 30, at(2)}));
    directory.reset(a, {&one, &two});
    EXPECT_EQ(directory.sum(a, {&one, &two}), RuleCounts{});
}

}  // namespace
}  // namespace sluice::filter::test
