// Dialogues in ARP (RFC 826, RFC 5227).
#include "routing/neighbour_fixture.hh"

namespace sluice::routing {
namespace {

using ArpTest = NeighbourTest;

TEST_F(ArpTest, AsksForAnUnknownNeighbourAndReleasesWhatWaits) {
    resolve(kLan, "192.168.1.10");
    resolve(kLan, "192.168.1.10");
    const auto asked = arp();
    EXPECT_TRUE(asked.to.is_broadcast());
    EXPECT_EQ(
        asked.packet,
        (wire::ArpPacket{wire::ArpOperation::request, kLanMac, ip4("192.168.1.1"), {}, ip4("192.168.1.10")}));
    EXPECT_EQ(actions_.frames[0].out, kLan);
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::incomplete);
    EXPECT_EQ(resolver_->waiting_packets(), 2U);
    EXPECT_FALSE(link(kLan, "192.168.1.10").usable());

    EXPECT_EQ(arp_reply(kHostMac, "192.168.1.10"), NeighbourInput::used);
    ASSERT_EQ(actions_.released.size(), 2U);
    EXPECT_EQ(actions_.released[0].to, kHostMac);
    EXPECT_EQ(actions_.released[0].out, kLan);
    EXPECT_EQ(*static_cast<int*>(actions_.released[0].packet.get()), 1) << "in their order";
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::reachable);
    EXPECT_EQ(link(kLan, "192.168.1.10").mac(), kHostMac);
    EXPECT_EQ(resolver_->waiting_packets(), 0U);

    resolve(kLan, "192.168.1.10");
    EXPECT_EQ(actions_.released.size(), 3U) << "known by now";
}

TEST_F(ArpTest, AsksWithTheAddressOfTheSameNetwork) {
    resolve(kWan, "203.0.113.9");
    EXPECT_EQ(arp().packet.sender_ip, ip4("203.0.113.2"));
    EXPECT_EQ(arp().packet.sender_mac, kWanMac);
}

TEST_F(ArpTest, AnswersForAllAddressesOfTheBox) {
    EXPECT_EQ(arp_request(kHostMac, "192.168.1.10", "192.168.1.1"), NeighbourInput::used);
    EXPECT_EQ(arp().to, kHostMac);
    EXPECT_EQ(arp().packet, (wire::ArpPacket{wire::ArpOperation::reply, kLanMac, ip4("192.168.1.1"), kHostMac,
                                             ip4("192.168.1.10")}));
    clear();
    // arp_ignore=0: also for the address of another interface, with the MAC of this one.
    arp_request(kHostMac, "192.168.1.10", "203.0.113.2");
    EXPECT_EQ(arp().packet.sender_mac, kLanMac);
    EXPECT_EQ(arp().packet.sender_ip, ip4("203.0.113.2"));
    clear();
    EXPECT_EQ(arp_request(kHostMac, "192.168.1.11", "192.168.1.99"), NeighbourInput::ignored);
    EXPECT_TRUE(actions_.frames.empty()) << "no proxy";
}

TEST_F(ArpTest, LearnsFromWhoAsksAsStale) {
    arp_request(kHostMac, "192.168.1.10", "192.168.1.1");
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::stale);
    EXPECT_EQ(link(kLan, "192.168.1.10").mac(), kHostMac);
}

TEST_F(ArpTest, ARequestReleasesWhatWaitsForItsSender) {
    resolve(kLan, "192.168.1.10");
    arp_request(kHostMac, "192.168.1.10", "192.168.1.1");
    EXPECT_EQ(actions_.released.size(), 1U);
}

TEST_F(ArpTest, AnswersProbesAndLearnsNothingFromThem) {
    EXPECT_EQ(arp_request(kHostMac, "0.0.0.0", "192.168.1.1"), NeighbourInput::used);
    EXPECT_EQ(arp().to, kHostMac);
    EXPECT_EQ(arp().packet.sender_ip, ip4("192.168.1.1"));
    EXPECT_TRUE(resolver_->list(now_).empty());
    clear();
    EXPECT_EQ(arp_request(kHostMac, "0.0.0.0", "192.168.1.77"), NeighbourInput::ignored);
    EXPECT_TRUE(actions_.frames.empty());
}

TEST_F(ArpTest, AnswersWhoIsNotOnTheLinkButLearnsNothing) {
    for (const char* stranger : {"10.0.0.1", "203.0.113.9"})
        EXPECT_EQ(arp_request(kHostMac, stranger, "192.168.1.1"), NeighbourInput::used) << stranger;
    EXPECT_EQ(actions_.frames.size(), 2U);
    EXPECT_TRUE(resolver_->list(now_).empty());
}

TEST_F(ArpTest, RefusesBadSenders) {
    EXPECT_EQ(arp_request(kBroadcastMac, "192.168.1.10", "192.168.1.1"), NeighbourInput::malformed);
    EXPECT_EQ(arp_request(mac("01:00:5e:00:00:01"), "192.168.1.10", "192.168.1.1"),
              NeighbourInput::malformed);
    EXPECT_EQ(arp_request(MacAddress(), "192.168.1.10", "192.168.1.1"), NeighbourInput::malformed);
    EXPECT_EQ(arp_request(kHostMac, "224.0.0.1", "192.168.1.1"), NeighbourInput::malformed);
    EXPECT_EQ(arp_request(kHostMac, "127.0.0.1", "192.168.1.1"), NeighbourInput::malformed);
    EXPECT_EQ(arp_request(kHostMac, "192.168.1.255", "192.168.1.1"), NeighbourInput::malformed);
    EXPECT_EQ(arp_request(kHostMac, "192.168.1.10", "224.0.0.1"), NeighbourInput::malformed);
    EXPECT_EQ(arp_request(kLanMac, "192.168.1.10", "192.168.1.1"), NeighbourInput::ignored)
        << "our own, come back";
    const std::vector<uint8_t> stump(27);
    EXPECT_EQ(
        resolver_->on_arp({.in = kLan, .source = kHostMac, .destination = kLanMac, .bytes = stump}, now_),
        NeighbourInput::malformed);
    EXPECT_TRUE(actions_.frames.empty());
    EXPECT_TRUE(resolver_->list(now_).empty());
    EXPECT_EQ(resolver_->counters().malformed, 8U);
}

TEST_F(ArpTest, NoticesConflicts) {
    arp_request(kHostMac, "192.168.1.1", "192.168.1.1");
    ASSERT_EQ(actions_.conflicts.size(), 1U);
    EXPECT_EQ(actions_.conflicts[0].theirs, kHostMac);
    EXPECT_EQ(actions_.conflicts[0].address, ip("192.168.1.1"));
    EXPECT_TRUE(resolver_->list(now_).empty());
    EXPECT_EQ(resolver_->counters().conflicts, 1U);
}

TEST_F(ArpTest, UnaskedAnswersMakeNoEntries) {
    EXPECT_EQ(arp_reply(kHostMac, "192.168.1.10"), NeighbourInput::ignored);
    EXPECT_EQ(arp_request(kHostMac, "192.168.1.10", "192.168.1.10"), NeighbourInput::ignored);
    EXPECT_TRUE(resolver_->list(now_).empty());
}

TEST_F(ArpTest, GratuitousArpUpdatesWhatIsThere) {
    resolve(kLan, "192.168.1.10");
    arp_reply(kHostMac, "192.168.1.10");
    arp_request(kOtherMac, "192.168.1.10", "192.168.1.10");  // at once: a takeover is believed
    EXPECT_EQ(link(kLan, "192.168.1.10").mac(), kOtherMac);
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::stale);
}

TEST_F(ArpTest, OfTwoAnswersTheFirstCounts) {
    resolve(kLan, "192.168.1.10");
    arp_reply(kHostMac, "192.168.1.10");
    wait(std::chrono::milliseconds(500));
    EXPECT_EQ(arp_reply(kOtherMac, "192.168.1.10"), NeighbourInput::ignored);
    EXPECT_EQ(link(kLan, "192.168.1.10").mac(), kHostMac);
    wait(std::chrono::seconds(1));
    arp_reply(kOtherMac, "192.168.1.10");
    EXPECT_EQ(link(kLan, "192.168.1.10").mac(), kOtherMac) << "a neighbour that changed";
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::reachable);
}

TEST_F(ArpTest, ABroadcastAnswerProvesNothing) {
    resolve(kLan, "192.168.1.10");
    arp_reply(kHostMac, "192.168.1.10", kBroadcastMac);
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::stale);
    EXPECT_EQ(actions_.released.size(), 1U);
}

TEST_F(ArpTest, ARequestOfTheSameMacDoesNotMakeReachableStale) {
    resolve(kLan, "192.168.1.10");
    arp_reply(kHostMac, "192.168.1.10");
    arp_request(kHostMac, "192.168.1.10", "192.168.1.1");
    arp_request(kHostMac, "192.168.1.10", "192.168.1.20");
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::reachable);
}

TEST_F(ArpTest, StaticNeighboursDoNotChange) {
    const StaticNeighbour neighbour{{kLan, ip("192.168.1.10")}, kHostMac};
    resolver_->configure(interfaces(), {&neighbour, 1}, now_);
    collect();
    clear();
    arp_reply(kOtherMac, "192.168.1.10");
    arp_request(kOtherMac, "192.168.1.10", "192.168.1.10");
    arp_request(kOtherMac, "192.168.1.10", "192.168.1.1");
    EXPECT_EQ(link(kLan, "192.168.1.10").mac(), kHostMac);
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::permanent);
    EXPECT_EQ(actions_.frames.size(), 1U) << "it is answered all the same";
    wait(std::chrono::hours(1), std::chrono::seconds(30));
    EXPECT_EQ(state(kLan, "192.168.1.10"), NeighbourState::permanent);
}

TEST_F(ArpTest, AGatewayOutsideTheNetworksIsAnswered) {
    const auto pinned = resolver_->pin(kLan, ip("10.0.0.1"), now_);
    arp_request(kHostMac, "10.0.0.1", "192.168.1.1");
    EXPECT_EQ(arp().packet.sender_ip, ip4("192.168.1.1"));
    EXPECT_EQ(table_->link(pinned).mac(), kHostMac);
}

}  // namespace
}  // namespace sluice::routing
