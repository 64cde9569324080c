// Bursts that other workers have handed over hold packets of several interfaces.
#include "sluice/burst_path_under_test.hh"

namespace sluice::test {
namespace {

constexpr std::string_view kConfig = R"(
interfaces:
  lan: {device: net_null0, addresses: [192.168.1.1/24]}
  guests: {device: net_null1, addresses: [192.168.2.1/24]}
  wan: {device: net_null2, addresses: [203.0.113.2/24]}
routes: [{to: default, via: 203.0.113.1}]
filter:
  forward:
    policy: drop
    rules:
      - {name: lan-out, in: lan, out: wan, action: accept}
      - {name: answers, in: wan, action: accept}
)";
class HandedBurstTest : public BurstPath {
  protected:
    HandedBurstTest() : BurstPath(kConfig) {}
};

TEST_F(HandedBurstTest, a_packet_by_another_interface_has_not_the_decision_of_the_one_before_it) {
    // Two flows by lan, streams whose decisions are one and the same, and repeated.
    for (const uint16_t sport : {uint16_t{1000}, uint16_t{1001}}) {
        for (int n = 0; n < 4; ++n) {
            worker_.now += std::chrono::seconds(1);
            ASSERT_EQ(forward(kLan, packet(kLan, host_, sport, remote_, 53)), 1U);
            ASSERT_EQ(forward(kWan, packet(kWan, remote_, 53, host_, sport)), 0U);
        }
    }
    const uint64_t repeated = firewall().conntrack_counters().read(conntrack::Count::decision_repeated);
    pipeline::Burst burst;
    parsed(burst, kGuests, packet(kGuests, *IpAddress::parse("192.168.2.10"), 7, remote_, 53));
    parsed(burst, kLan, packet(kLan, host_, 1001, remote_, 53));
    parsed(burst, kGuests, packet(kGuests, host_, 1000, remote_, 53));  // who pretends to be a host of lan
    EXPECT_EQ(forward(burst), 1U);
    EXPECT_EQ(firewall().conntrack_counters().read(conntrack::Count::decision_repeated), repeated + 1);
}

}  // namespace
}  // namespace sluice::test
