// Whatever comes in whatever order, reloads included: ports in use are the mappings of the flows there are,
// no two of them collide, and nothing is left when all have ended. The whole packet path, in virtual time.
//
// SLUICE_SEEDS=500 for so many seeds; --gtest_filter='*/seed_17' for one. A failure tells the last steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "conntrack/flow_job.hh"
#include "sluice/nat_path_under_test.hh"

namespace sluice::test {
namespace {

using conntrack::Direction;
using conntrack::Tuple;
using nat::DescribedPacket;
using nat::Endpoint;
using nat::ip;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::IpProtocol;

constexpr int kSteps = 700;
constexpr int kStepsBetweenChecks = 5;
constexpr size_t kStepsTold = 25;
constexpr Duration kLongestHoldDown = hours(1);  // more than any of any_config()

class AnyInterleaving : public NatPath, public testing::WithParamInterface<uint64_t> {
  protected:
    void SetUp() override { begin(any_config(random_)); }

    void TearDown() override {
        if (!HasFailure())
            return;
        std::string told =
            "seed " + std::to_string(GetParam()) + ", the last of " + std::to_string(step_) + " steps:\n";
        const size_t first = story_.size() > kStepsTold ? story_.size() - kStepsTold : 0;
        for (size_t i = first; i < story_.size(); ++i)
            told += story_[i] + "\n";
        ADD_FAILURE() << told << "in force:\n" << in_force();
    }

    void tell(std::string what) {
        story_.push_back(std::to_string(step_) + " at " + std::to_string(now().time_since_epoch().count()) +
                         ": " + std::move(what));
    }

    // Rounds between bursts come now and then, as with a worker that has much to do.
    void pass(Duration time) {
        let_pass(time);
        if (one_in(random_, 3))
            settle();
    }

    Endpoint any_inside(bool ip6 = false) {
        const auto port =
            static_cast<uint16_t>(one_in(random_, 4) ? 2000 + random_.below(64) : 40000 + random_.below(3));
        if (ip6)
            return {ip("fd00:1::1" + std::to_string(random_.below(3))), port};
        return {ip("192.168." + std::to_string(random_.below(2) == 0 ? 1 : 130) + "." +
                   std::to_string(10 + random_.below(4))),
                port};
    }
    Endpoint any_remote(bool ip6 = false) {
        constexpr std::array<uint16_t, 3> kPorts{80, 53, 21};
        return {ip((ip6 ? "2001:db8:7::" : "198.51.100.") + std::to_string(1 + random_.below(5))),
                kPorts[random_.below(kPorts.size())]};
    }
    // One that something was seen from outside by, perhaps.
    Endpoint any_external() {
        auto flows = living_flows(firewall());
        std::erase_if(flows, [](const LivingFlow& flow) { return flow.original.family() == Family::ip6; });
        if (flows.empty() || one_in(random_, 4))
            return {ip(any_of(random_, {"203.0.113.2", "203.0.113.3", "203.0.113.8", "203.0.113.80"})),
                    static_cast<uint16_t>(one_in(random_, 3) ? 80 : 2000 + random_.below(64))};
        return endpoint_of(flows[random_.below(static_cast<uint32_t>(flows.size()))].reply,
                           nat::Manip::destination);
    }
    Tuple any_tuple(bool ip6 = false) {
        const auto from = any_inside(ip6);
        const auto to = any_remote(ip6);
        switch (random_.below(8)) {
            case 0:
                return ip6 ? Tuple(from.address, to.address, IpProtocol::icmpv6, from.port, 128 << 8)
                           : Tuple(from.address, to.address, IpProtocol::icmp, from.port, 8 << 8);
            case 1:
                if (!ip6)
                    return {from.address, to.address, IpProtocol::gre, 0, 0x1234};
                [[fallthrough]];
            case 2:
            case 3:
            case 4:
                return {from.address, to.address, IpProtocol::tcp, from.port, to.port};
            default:
                return {from.address, to.address, IpProtocol::udp, from.port, to.port};
        }
    }

    void open(const Tuple& tuple) {
        auto packet = packet_of(tuple, kSyn);
        packet.sequence = 100;
        const auto outcome = send(packet);
        const bool went = outcome.verdict == replay::FinalVerdict::accept;
        tell("open " + text(tuple) + ": " + outcome.reason);
        if (went && one_in(random_, 2))
            answer(tuple);
    }
    void answer(const Tuple& opened) {
        const auto found = firewall().tracker().table().find(opened);
        if (!found)
            return;
        auto packet = packet_of(found.flow->tuple(Direction::reply), kSyn | kAck);
        packet.sequence = 500;
        packet.acknowledgment = 101;
        if (opened.is_icmp())
            packet.icmp_type = opened.family() == Family::ip4 ? 0 : 129;
        send(packet);
        if (opened.protocol() != IpProtocol::tcp)
            return;
        packet = packet_of(opened, kAck);
        packet.sequence = 101;
        packet.acknowledgment = 501;
        if (opened.dport == 21 && opened.family() == Family::ip4 && one_in(random_, 2)) {
            auto address = opened.source().to_string();
            std::ranges::replace(address, '.', ',');
            const std::string announced =
                "PORT " + address + ",156," + std::to_string(64 + random_.below(4)) + "\r\n";
            packet.payload.assign(announced.begin(), announced.end());
            send(packet);
            tell("which announces by " + announced);
            come_as_announced(opened);
        } else {
            send(packet);
        }
    }
    void come_as_announced(const Tuple& master) {
        const auto found = firewall().tracker().table().find(master);
        const auto* const expected = found ? firewall().tracker().expectation_of(*found.flow) : nullptr;
        if (expected == nullptr || one_in(random_, 4))
            return;
        auto tuple = expected->tuple;
        tuple.sport = 20;
        auto packet = packet_of(tuple, kSyn);
        packet.sequence = 100;
        tell("and that comes: " + send(packet).reason);
    }
    void any_packet_of(const LivingFlow& flow) {
        const bool reply = one_in(random_, 2);
        auto packet = packet_of(reply ? flow.reply : flow.original, kAck);
        packet.sequence = reply ? 501 : 101;
        packet.acknowledgment = reply ? 101 : 501;
        switch (random_.below(4)) {
            case 0:
                packet.tcp_flags = kRst;
                break;
            case 1:
                packet.tcp_flags = kRst | kAck;
                break;
            case 2:
                packet.tcp_flags = kFin | kAck;
                break;
            default:
                break;
        }
        const auto outcome = send(packet);
        tell("a packet " + std::string(reply ? "back" : "on") + " from " + packet.source.address.to_string() +
             " " + std::to_string(packet.source.port) + ": " + outcome.reason);
        if (packet.tcp_flags != (kFin | kAck) || one_in(random_, 2))
            return;
        packet = packet_of(reply ? flow.original : flow.reply, kFin | kAck);
        packet.sequence = reply ? 101 : 501;
        packet.acknowledgment = reply ? 502 : 102;
        send(packet);
        packet = packet_of(reply ? flow.reply : flow.original, kAck);
        packet.sequence = reply ? 502 : 102;
        packet.acknowledgment = reply ? 102 : 502;
        send(packet);
    }
    void error_about(const LivingFlow& flow) {
        const auto seen = conntrack::inverted(flow.reply);
        if (!seen || seen->family() != Family::ip4)
            return;
        const auto quoted = nat::build(packet_of(*seen, kSyn));
        DescribedPacket error{.source = {ip("203.0.113.1"), 0},
                              .destination = {seen->source(), 0},
                              .protocol = IpProtocol::icmp,
                              .payload = quoted,
                              .icmp_type = 3};
        send(error, wan());
    }
    // From the same inside endpoint to another remote.
    void open_beside(const LivingFlow& flow) {
        auto tuple = flow.original;
        const bool ip6 = tuple.family() == Family::ip6;
        tuple.set_destination(any_remote(ip6).address);
        if (is_inside(tuple.source()))
            open(tuple);
    }
    void call(const Endpoint& from, const Endpoint& to) {
        const auto protocol = one_in(random_, 2) ? IpProtocol::udp : IpProtocol::tcp;
        open({from.address, to.address, protocol, from.port, to.port});
    }
    void flood() {
        tell("flood");
        const auto to = any_remote();
        const auto protocol = one_in(random_, 2) ? IpProtocol::udp : IpProtocol::tcp;
        const uint32_t packets = 30 + random_.below(250);
        for (uint32_t i = 0; i < packets; ++i)
            send(packet_of({ip("192.168.3." + std::to_string(i % 200)), to.address, protocol,
                            static_cast<uint16_t>(7 + i / 200), to.port},
                           kSyn));
    }
    void erase_some() {
        conntrack::FlowFilter filter;
        if (one_in(random_, 2))
            filter.protocol = one_in(random_, 2) ? IpProtocol::udp : IpProtocol::tcp;
        if (one_in(random_, 2))
            filter.source = *IpPrefix::parse("192.168.1.8/30");
        conntrack::FlowJob job(conntrack::FlowAction::erase, filter);
        job.send();
        while (!job.run(firewall().tracker(), now(), 100)) {
        }
        tell("delete " + std::to_string(job.matched()));
    }
    Duration any_pause() {
        switch (random_.below(12)) {
            case 0:
                return hours(random_.below(8));
            case 1:
            case 2:
                return seconds(random_.below(300));
            case 3:
            case 4:
            case 5:
                return seconds(random_.below(12));
            default:
                return milliseconds(random_.below(20));
        }
    }

    void any_step() {
        const auto flows = living_flows(firewall());
        const auto any_flow = [&] { return flows[random_.below(static_cast<uint32_t>(flows.size()))]; };
        switch (random_.below(32)) {
            default:
                return open(any_tuple(one_in(random_, 8)));
            case 0:
            case 1:
            case 2:
                return call(any_remote(), any_external());
            case 3:
            case 4:
            case 5:
                return call(any_inside(), any_external());
            case 6:
            case 7:
            case 8:
            case 9:
            case 10:
            case 11:
            case 12:
                return flows.empty() ? void() : any_packet_of(any_flow());
            case 13:
                return flows.empty() ? void() : error_about(any_flow());
            case 14:
            case 15:
            case 16:
                return flows.empty() ? void() : open_beside(any_flow());
            case 21:
            case 22:
                pass(any_pause());
                return tell("time passes");
            case 17:
                return one_in(random_, 3) ? flood() : void();
            case 18:
                reload(any_config(random_));
                return tell("reload");
            case 19:
                return one_in(random_, 2) ? erase_some() : void();
            case 20:
                if (one_in(random_, 20)) {
                    firewall().tracker().flush(now());
                    tell("flush");
                }
                return;
        }
    }

    Random random_{GetParam()};
    int step_ = 0;
    std::vector<std::string> story_;
};

TEST_P(AnyInterleaving, PortsInUseAreMappings) {
    for (step_ = 0; step_ < kSteps && !HasFailure(); ++step_) {
        any_step();
        if (step_ % kStepsBetweenChecks == 0)
            check();
        pass(milliseconds(1));
    }
    if (HasFailure())
        return;
    for (const Duration longest : {conntrack::kMaxTimeout, kLongestHoldDown}) {
        let_pass(longest);
        settle();
    }
    NatInvariants(firewall()).check_nothing_is_left();
}

uint64_t seeds() {
    const char* const wanted = std::getenv("SLUICE_SEEDS");
    return wanted == nullptr ? 12 : std::strtoull(wanted, nullptr, 10);
}

INSTANTIATE_TEST_SUITE_P(, AnyInterleaving, testing::Range(uint64_t{1}, seeds() + 1),
                         [](const auto& test) { return "seed_" + std::to_string(test.param); });

// Both of two pings with one identifier, to addresses that stand for the same host, have a port that is
// theirs.
TEST_F(NatPath, AQueryWhoseIdentifierChangedOnItsWayInHasAMapping) {
    begin(gateway_between("203.0.113.2/24", "fd00:2::2/64") +
          "nat: {prerouting: [{name: cache, daddr: 198.51.100.0/30, dnat: 198.51.100.1}], "
          "postrouting: [{name: out, out: wan, masquerade: true}]}\n");
    for (const auto* const to : {"198.51.100.2", "198.51.100.3"})
        EXPECT_EQ(send(packet_of({ip("192.168.1.10"), ip(to), IpProtocol::icmp, 7, 8 << 8})).verdict,
                  replay::FinalVerdict::accept);
    settle();
    check();
    EXPECT_EQ(firewall().translator()->mappings().size(), 2U);
}

}  // namespace
}  // namespace sluice::test
