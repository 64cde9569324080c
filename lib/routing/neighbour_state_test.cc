// The life of an entry: timers (RFC 4861 7.3), bounds (R4861), links, gateways, static and made-up
// neighbours.
#include <set>

#include "routing/neighbour_fixture.hh"

namespace sluice::routing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class NeighbourStateTest : public NeighbourTest {
  protected:
    void make_reachable(const char* address = "192.168.1.10") {
        resolve(kLan, address);
        arp_reply(kHostMac, address);
        ASSERT_EQ(state(kLan, address), NeighbourState::reachable);
        clear();
    }
    // Reachable until nothing was heard for its time; not used meanwhile.
    void make_stale(const char* address = "192.168.1.10") {
        make_reachable(address);
        wait(seconds(46));
        ASSERT_EQ(state(kLan, address), NeighbourState::stale);
        clear();
    }
    [[nodiscard]] std::set<NeighbourDropReason> reasons() const {
        std::set<NeighbourDropReason> result;
        for (const auto& dropped : actions_.dropped)
            result.insert(dropped.reason);
        return result;
    }
};

TEST_F(NeighbourStateTest, GivesUpAfterThreeRequestsASecondApart) {
    resolve(kLan, "192.168.1.10");
    const Instant asked = now_;
    EXPECT_EQ(resolver_->next_deadline(), asked + seconds(1));
    wait(milliseconds(2900));
    EXPECT_EQ(actions_.frames.size(), 3U);
    EXPECT_TRUE(actions_.dropped.empty());
    wait(milliseconds(200));
    EXPECT_EQ(actions_.frames.size(), 3U);
    ASSERT_EQ(actions_.dropped.size(), 1U);
    EXPECT_EQ(actions_.dropped[0].reason, NeighbourDropReason::unresolved);
    EXPECT_EQ(actions_.dropped[0].neighbour, ip("192.168.1.10"));
    EXPECT_EQ(actions_.dropped[0].out, kLan);
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::failed);
    EXPECT_EQ(resolver_->counters().failures, 1U);
    EXPECT_EQ(resolver_->waiting_packets(), 0U);
    // The next packet asks again.
    clear();
    resolve(kLan, "192.168.1.10");
    EXPECT_EQ(actions_.frames.size(), 1U);
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::incomplete);
}

TEST_F(NeighbourStateTest, FailedEntriesAreForgotten) {
    resolve(kLan, "192.168.1.10");
    wait(seconds(4));
    EXPECT_EQ(resolver_->list(now_).size(), 1U);
    wait(seconds(60), seconds(1));
    EXPECT_TRUE(resolver_->list(now_).empty());
    EXPECT_EQ(table_->size(), 0U);
}

// RFC 4861 6.3.2: between half and one and a half of 30 s.
TEST_F(NeighbourStateTest, ReachableTimeIsDrawnAroundItsBase) {
    std::set<Duration> drawn;
    for (int i = 1; i <= 100; ++i) {
        const auto address = "192.168.1." + std::to_string(i + 1);
        make_reachable(address.c_str());
        const auto expires = *status(kLan, address.c_str())->expires;
        EXPECT_GE(expires, seconds(15));
        EXPECT_LE(expires, seconds(45));
        drawn.insert(expires);
    }
    EXPECT_GT(drawn.size(), 50U);
    EXPECT_LT(*drawn.begin(), seconds(20));
    EXPECT_GT(*drawn.rbegin(), seconds(40));
}

TEST_F(NeighbourStateTest, AnUnusedEntryIsNotProbed) {
    make_stale();
    wait(seconds(40));
    EXPECT_TRUE(actions_.frames.empty());
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::stale);
    EXPECT_TRUE(link(kLan, "192.168.1.10").usable()) << "but it may be used";
}

TEST_F(NeighbourStateTest, AUsedStaleEntryIsProbedAfterTheDelay) {
    make_stale();
    use(kLan, "192.168.1.10");
    wait(milliseconds(100));
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::delay);
    wait(milliseconds(4900));
    EXPECT_TRUE(actions_.frames.empty());
    wait(milliseconds(200));
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::probe);
    EXPECT_EQ(arp().to, kHostMac) << "to the neighbour alone";
    EXPECT_EQ(arp().packet.operation, wire::ArpOperation::request);
    EXPECT_TRUE(link(kLan, "192.168.1.10").usable());
    arp_reply(kHostMac, "192.168.1.10");
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::reachable);
}

TEST_F(NeighbourStateTest, AProbedEntryThatDoesNotAnswerFails) {
    make_stale();
    use(kLan, "192.168.1.10");
    wait(milliseconds(5200));
    wait(milliseconds(2800));
    EXPECT_EQ(actions_.frames.size(), 3U);
    EXPECT_TRUE(link(kLan, "192.168.1.10").usable());
    wait(milliseconds(200));
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::failed);
    EXPECT_FALSE(link(kLan, "192.168.1.10").usable());
    EXPECT_EQ(actions_.frames.size(), 3U);
}

TEST_F(NeighbourStateTest, ProbesIpv6NeighboursAlone) {
    resolve(kLan, "fd00:1::10");
    advertise("fd00:1::10", kHostMac, true, true);
    wait(seconds(46));
    use(kLan, "fd00:1::10");
    clear();
    wait(milliseconds(5200));
    EXPECT_EQ(nd().to, kHostMac);
    EXPECT_EQ(nd().destination, ip6("fd00:1::10"));
    ASSERT_TRUE(nd().solicitation);
}

TEST_F(NeighbourStateTest, SendingToAStaleEntryStartsTheDelay) {
    make_stale();
    resolve(kLan, "192.168.1.10");
    EXPECT_EQ(actions_.released.size(), 1U);
    wait(milliseconds(100));
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::delay);
}

// RFC 4861 7.3.1
TEST_F(NeighbourStateTest, ConfirmationSavesTheProbe) {
    make_stale();
    use(kLan, "192.168.1.10");
    wait(seconds(1));
    resolver_->confirm(kLan, ip("192.168.1.10"), now_);
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::reachable);
    wait(seconds(10));
    EXPECT_TRUE(actions_.frames.empty());
    resolver_->confirm(kLan, ip("192.168.1.11"), now_);
    EXPECT_EQ(state(kLan, "192.168.1.11"), NeighbourState::none);
}

TEST_F(NeighbourStateTest, TheOldestOfTooManyPacketsGoes) {
    start(NeighbourMode::ask, {.packets_per_neighbour = 3});
    for (int i = 0; i < 5; ++i)
        resolve(kLan, "192.168.1.10");
    ASSERT_EQ(actions_.dropped.size(), 2U);
    EXPECT_EQ(actions_.dropped[0].reason, NeighbourDropReason::queue_full);
    EXPECT_EQ(*static_cast<int*>(actions_.dropped[0].packet.get()), 1);
    EXPECT_EQ(*static_cast<int*>(actions_.dropped[1].packet.get()), 2);
    arp_reply(kHostMac, "192.168.1.10");
    ASSERT_EQ(actions_.released.size(), 3U);
    EXPECT_EQ(*static_cast<int*>(actions_.released[0].packet.get()), 3);
}

TEST_F(NeighbourStateTest, BoundsThePacketsOfAllNeighbours) {
    start(NeighbourMode::ask, {.packets = 4});
    for (int i = 10; i < 16; ++i)
        resolve(kLan, ("192.168.1." + std::to_string(i)).c_str());
    EXPECT_EQ(resolver_->waiting_packets(), 4U);
    EXPECT_EQ(actions_.dropped.size(), 2U);
    EXPECT_EQ(reasons(), std::set{NeighbourDropReason::queue_full});
    resolve(kLan, "192.168.1.10");
    EXPECT_EQ(resolver_->waiting_packets(), 4U) << "the oldest of its own made room";
}

// R4861: a scan of a /64 must not cost the neighbours that exist.
TEST_F(NeighbourStateTest, AScanEvictsTheOldestIncompleteOnly) {
    start(NeighbourMode::ask, {.incomplete_per_interface = 20});
    make_reachable();
    resolve(kWan, "203.0.113.9");
    for (int i = 0; i < 100; ++i)
        resolve(kLan, ("fd00:1::1:" + std::to_string(i + 1)).c_str());
    EXPECT_EQ(resolver_->list(now_).size(), 22U);
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::reachable);
    EXPECT_EQ(state(kWan, "203.0.113.9"), NeighbourState::incomplete) << "each interface has its own bound";
    EXPECT_EQ(state(kLan, "fd00:1::1:100"), NeighbourState::incomplete);
    EXPECT_EQ(state(kLan, "fd00:1::1:1"), NeighbourState::none);
    EXPECT_EQ(actions_.dropped.size(), 80U);
    EXPECT_EQ(reasons(), std::set{NeighbourDropReason::evicted});
    EXPECT_EQ(resolver_->counters().evictions, 80U);
}

TEST_F(NeighbourStateTest, NewNeighboursAreRateLimited) {
    start(NeighbourMode::ask, {.new_per_second = 10});
    for (int i = 0; i < 30; ++i)
        resolve(kLan, ("fd00:1::1:" + std::to_string(i + 1)).c_str());
    EXPECT_EQ(actions_.frames.size(), 10U);
    EXPECT_EQ(actions_.dropped.size(), 20U);
    EXPECT_EQ(reasons(), std::set{NeighbourDropReason::rate_limited});
    clear();
    resolve(kWan, "203.0.113.9");
    EXPECT_EQ(actions_.frames.size(), 1U) << "each interface has its own";
    clear();
    wait(milliseconds(500));
    clear();
    for (int i = 30; i < 60; ++i)
        resolve(kLan, ("fd00:1::1:" + std::to_string(i + 1)).c_str());
    EXPECT_EQ(actions_.frames.size(), 5U);
}

TEST_F(NeighbourStateTest, AFullTableLosesWhatIsMissedLeast) {
    start(NeighbourMode::ask, {.keep = 1000}, 16);  // eight entries
    make_stale("192.168.1.2");
    for (const char* address : {"192.168.1.3", "192.168.1.4", "192.168.1.5"})
        make_reachable(address);
    for (const char* address : {"192.168.1.6", "192.168.1.7", "192.168.1.8", "192.168.1.9"})
        resolve(kLan, address);
    ASSERT_EQ(table_->size(), 8U);
    resolve(kLan, "192.168.1.10");
    EXPECT_EQ(state(kLan, "192.168.1.6"), NeighbourState::none) << "the oldest incomplete";
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::incomplete);
    arp_reply(kHostMac, "192.168.1.7");
    arp_reply(kHostMac, "192.168.1.8");
    arp_reply(kHostMac, "192.168.1.9");
    arp_reply(kHostMac, "192.168.1.10");
    resolve(kLan, "192.168.1.11");
    EXPECT_EQ(state(kLan, "192.168.1.2"), NeighbourState::none) << "then the stale one";
    arp_reply(kHostMac, "192.168.1.11");
    clear();
    resolve(kLan, "192.168.1.12");
    ASSERT_EQ(actions_.dropped.size(), 1U);
    EXPECT_EQ(actions_.dropped[0].reason, NeighbourDropReason::table_full) << "never a reachable one";
    EXPECT_EQ(state(kLan, "192.168.1.3"), NeighbourState::reachable);
}

TEST_F(NeighbourStateTest, UnusedEntriesGoWhenThereAreMany) {
    start(NeighbourMode::ask, {.keep = 2});
    make_stale("192.168.1.2");
    make_stale("192.168.1.3");
    wait(seconds(120), seconds(1));
    EXPECT_EQ(resolver_->list(now_).size(), 2U) << "few are kept";
    make_reachable("192.168.1.4");
    wait(seconds(2), seconds(1));
    EXPECT_EQ(resolver_->list(now_).size(), 2U);
    EXPECT_EQ(state(kLan, "192.168.1.4"), NeighbourState::reachable);
}

TEST_F(NeighbourStateTest, ALinkThatGoesDownForgetsItsNeighbours) {
    const StaticNeighbour fixed{{kLan, ip("192.168.1.9")}, kOtherMac};
    resolver_->configure(interfaces(), {&fixed, 1}, now_);
    const auto gateway = resolver_->pin(kLan, ip("192.168.1.10"), now_);
    make_reachable();
    make_reachable("192.168.1.11");
    resolve(kLan, "192.168.1.12");
    resolve(kWan, "203.0.113.9");
    clear();
    resolver_->on_link_down(kLan, now_);
    collect();
    EXPECT_EQ(reasons(), std::set{NeighbourDropReason::interface_down});
    EXPECT_EQ(actions_.dropped.size(), 1U);
    EXPECT_FALSE(table_->link(gateway).usable());
    EXPECT_EQ(state(kLan, "192.168.1.9"), NeighbourState::permanent);
    EXPECT_EQ(state(kWan, "203.0.113.9"), NeighbourState::incomplete);
    EXPECT_EQ(resolver_->list(now_).size(), 2U);
    clear();
    resolve(kLan, "192.168.1.10");
    EXPECT_EQ(reasons(), std::set{NeighbourDropReason::interface_down});
    EXPECT_TRUE(actions_.frames.empty());
}

TEST_F(NeighbourStateTest, ALinkThatComesUpIsToldOurAddresses) {
    resolver_->on_link_down(kLan, now_);
    resolver_->on_link_up(kLan, now_);
    collect();
    ASSERT_EQ(actions_.frames.size(), 3U);
    const auto gratuitous = arp_in(actions_.frames[0]);
    ASSERT_TRUE(gratuitous);
    EXPECT_TRUE(gratuitous->to.is_broadcast());
    EXPECT_EQ(gratuitous->packet.sender_ip, ip4("192.168.1.1"));
    EXPECT_EQ(gratuitous->packet.target_ip, ip4("192.168.1.1"));
    std::set<Ip6Address> announced;
    for (const size_t i : {1, 2}) {
        const auto advertisement = nd_in(actions_.frames[i]);
        ASSERT_TRUE(advertisement && advertisement->advertisement);
        EXPECT_EQ(advertisement->destination, ip6("ff02::1"));
        EXPECT_FALSE(advertisement->advertisement->solicited);
        EXPECT_TRUE(advertisement->advertisement->override_cache);
        EXPECT_TRUE(advertisement->advertisement->router);
        EXPECT_EQ(advertisement->source, advertisement->advertisement->target);
        announced.insert(advertisement->advertisement->target);
    }
    EXPECT_EQ(announced, (std::set{ip6("fd00:1::1"), Ip6Address::link_local(kLanMac)}));
    clear();
    resolver_->on_link_up(kLan, now_);
    collect();
    EXPECT_TRUE(actions_.frames.empty()) << "it was up";
}

TEST_F(NeighbourStateTest, NewAddressesAreAnnounced) {
    auto changed = interfaces();
    changed[0].addresses.push_back(*InterfaceAddress::parse("192.168.7.1/24"));
    resolver_->configure(changed, {}, now_);
    collect();
    EXPECT_EQ(arp().packet.sender_ip, ip4("192.168.7.1"));
}

TEST_F(NeighbourStateTest, ANewConfigurationKeepsWhatStaysTheSame) {
    const StaticNeighbour fixed{{kLan, ip("192.168.1.9")}, kOtherMac};
    resolver_->configure(interfaces(), {&fixed, 1}, now_);
    make_reachable();
    resolver_->configure(interfaces(), {}, now_);
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::reachable);
    EXPECT_EQ(state(kLan, "192.168.1.9"), NeighbourState::none) << "no longer configured";
    auto renamed = interfaces();
    renamed[0].name = "other";
    resolver_->configure(renamed, {}, now_);
    EXPECT_TRUE(resolver_->list(now_).empty()) << "the number means another interface now";
}

TEST_F(NeighbourStateTest, AStaticNeighbourTakesOverAnEntryAndWhatWaits) {
    resolve(kLan, "192.168.1.10");
    const StaticNeighbour fixed{{kLan, ip("192.168.1.10")}, kOtherMac};
    resolver_->configure(interfaces(), {&fixed, 1}, now_);
    collect();
    ASSERT_EQ(actions_.released.size(), 1U);
    EXPECT_EQ(actions_.released[0].to, kOtherMac);
}

TEST_F(NeighbourStateTest, PinnedEntriesStayAndKeepTheirPlace) {
    const auto gateway = resolver_->pin(kLan, ip("192.168.1.254"), now_);
    EXPECT_EQ(resolver_->pin(kLan, ip("192.168.1.254"), now_), gateway);
    EXPECT_TRUE(resolver_->list(now_).empty()) << "nothing is known of it yet";
    EXPECT_TRUE(actions_.frames.empty());
    resolve(kLan, "192.168.1.254");
    arp_reply(kHostMac, "192.168.1.254");
    EXPECT_EQ(table_->link(gateway).mac(), kHostMac);
    EXPECT_TRUE(status(kLan, "192.168.1.254")->gateway);
    resolver_->unpin(gateway);
    EXPECT_TRUE(status(kLan, "192.168.1.254")->gateway);
    resolver_->unpin(gateway);
    EXPECT_FALSE(status(kLan, "192.168.1.254")->gateway);
    const auto unused = resolver_->pin(kLan, ip("192.168.1.253"), now_);
    EXPECT_EQ(table_->size(), 2U);
    resolver_->unpin(unused);
    EXPECT_EQ(table_->size(), 1U) << "an entry only a route kept";
}

TEST_F(NeighbourStateTest, APinnedGatewayThatFailedIsAskedForAgain) {
    const auto gateway = resolver_->pin(kLan, ip("192.168.1.254"), now_);
    resolve(kLan, "192.168.1.254");
    wait(seconds(200), seconds(1));
    EXPECT_EQ(state(kLan, "192.168.1.254"), NeighbourState::failed);
    resolve(kLan, "192.168.1.254");
    arp_reply(kHostMac, "192.168.1.254");
    EXPECT_TRUE(table_->link(gateway).usable());
}

TEST_F(NeighbourStateTest, InReplayAddressesHaveMadeUpMacs) {
    start(NeighbourMode::derive);
    resolve(kLan, "192.168.1.10");
    resolve(kLan, "fd00:1::10");
    ASSERT_EQ(actions_.released.size(), 2U);
    EXPECT_EQ(actions_.released[0].to, mac("02:04:c0:a8:01:0a"));
    EXPECT_EQ(actions_.released[1].to, derived_mac(ip("fd00:1::10")));
    EXPECT_EQ(derived_mac(ip("fd00:1::10")).bytes[0], 2);
    EXPECT_EQ(derived_mac(ip("fd00:1::10")).bytes[1], 6);
    EXPECT_NE(derived_mac(ip("fd00:1::10")), derived_mac(ip("fd00:1::11")));
    EXPECT_TRUE(actions_.frames.empty());
    const auto gateway = resolver_->pin(kWan, ip("203.0.113.1"), now_);
    EXPECT_EQ(table_->link(gateway).mac(), mac("02:04:cb:00:71:01"));
}

TEST_F(NeighbourStateTest, InStrictReplayOnlyStaticNeighboursAreKnown) {
    start(NeighbourMode::strict);
    const StaticNeighbour fixed{{kLan, ip("192.168.1.9")}, kOtherMac};
    resolver_->configure(interfaces(), {&fixed, 1}, now_);
    collect();
    clear();
    resolve(kLan, "192.168.1.9");
    resolve(kLan, "192.168.1.10");
    ASSERT_EQ(actions_.released.size(), 1U);
    EXPECT_EQ(actions_.released[0].to, kOtherMac);
    ASSERT_EQ(actions_.dropped.size(), 1U);
    EXPECT_EQ(actions_.dropped[0].reason, NeighbourDropReason::unresolved);
    EXPECT_TRUE(actions_.frames.empty());
}

TEST_F(NeighbourStateTest, ListsWhatItKnowsInOrder) {
    make_reachable("192.168.1.20");
    resolve(kLan, "192.168.1.3");
    resolve(kWan, "203.0.113.9");
    wait(milliseconds(300));
    const auto all = resolver_->list(now_);
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].key.address, ip("192.168.1.3"));
    EXPECT_FALSE(all[0].mac);
    EXPECT_EQ(all[0].age, milliseconds(300));
    EXPECT_EQ(all[0].expires, milliseconds(700));
    EXPECT_EQ(all[1].mac, kHostMac);
    EXPECT_EQ(to_string(all[1].state), "reachable");
    EXPECT_EQ(all[2].key.interface, kWan);
}

}  // namespace
}  // namespace sluice::routing
