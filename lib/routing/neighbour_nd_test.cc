// Dialogues in Neighbour Discovery (RFC 4861 7.2, R4861).
#include "routing/neighbour_fixture.hh"

namespace sluice::routing {
namespace {

class NdTest : public NeighbourTest {
  protected:
    NeighbourInput solicit(const char* source, const char* target, std::optional<MacAddress> source_mac,
                           uint8_t hop_limit = 255) {
        return receive_nd(
            {.source = ip6(source), .destination = ip6(target).solicited_node(), .hop_limit = hop_limit},
            wire::NeighbourSolicitation{ip6(target), source_mac});
    }
    // An entry the usual way: asked for and answered.
    void make_reachable(const char* address) {
        resolve(kLan, address);
        advertise(address, kHostMac, true, true);
        ASSERT_EQ(state(kLan, address), NeighbourState::reachable);
        clear();
    }
};

const Ip6Address kLanLinkLocal = Ip6Address::link_local(kLanMac);

TEST_F(NdTest, AsksForAnUnknownNeighbourAndReleasesWhatWaits) {
    resolve(kLan, "fd00:1::10");
    const auto asked = nd();
    EXPECT_EQ(asked.to, mac("33:33:ff:00:00:10"));
    EXPECT_EQ(asked.source, kLanLinkLocal);
    EXPECT_EQ(asked.destination, ip6("ff02::1:ff00:10"));
    EXPECT_EQ(asked.hop_limit, 255);
    ASSERT_TRUE(asked.solicitation);
    EXPECT_EQ(*asked.solicitation, (wire::NeighbourSolicitation{ip6("fd00:1::10"), kLanMac}));

    EXPECT_EQ(advertise("fd00:1::10", kHostMac, true, true), NeighbourInput::used);
    ASSERT_EQ(actions_.released.size(), 1U);
    EXPECT_EQ(actions_.released[0].to, kHostMac);
    EXPECT_EQ(state(kLan, "fd00:1::10"), NeighbourState::reachable);
}

TEST_F(NdTest, AnswersForItsAddressesAsARouter) {
    EXPECT_EQ(solicit("fd00:1::10", "fd00:1::1", kHostMac), NeighbourInput::used);
    const auto answer = nd();
    EXPECT_EQ(answer.to, kHostMac);
    EXPECT_EQ(answer.source, ip6("fd00:1::1"));
    EXPECT_EQ(answer.destination, ip6("fd00:1::10"));
    EXPECT_EQ(answer.hop_limit, 255);
    ASSERT_TRUE(answer.advertisement);
    EXPECT_EQ(*answer.advertisement, (wire::NeighbourAdvertisement{.target = ip6("fd00:1::1"),
                                                                   .router = true,
                                                                   .solicited = true,
                                                                   .override_cache = true,
                                                                   .target_mac = kLanMac}));
    EXPECT_EQ(state(kLan, "fd00:1::10"), NeighbourState::stale) << "learned from the question";
    EXPECT_EQ(link(kLan, "fd00:1::10").mac(), kHostMac);
}

TEST_F(NdTest, AnswersForItsLinkLocalAddress) {
    solicit("fe80::10", kLanLinkLocal.to_string().c_str(), kHostMac);
    EXPECT_EQ(nd().source, kLanLinkLocal);
    EXPECT_EQ(nd().destination, ip6("fe80::10"));
}

TEST_F(NdTest, AnswersForTheAnycastAddressWithoutInsisting) {
    solicit("fd00:1::10", "fd00:1::", kHostMac);
    ASSERT_TRUE(nd().advertisement);
    EXPECT_FALSE(nd().advertisement->override_cache);  // RFC 4861 7.2.4
    EXPECT_EQ(nd().advertisement->target, ip6("fd00:1::"));
    EXPECT_EQ(nd().source, kLanLinkLocal);
}

TEST_F(NdTest, AnswersOnlyOnTheLinkOfTheAddress) {
    EXPECT_EQ(solicit("fd00:1::10", "fd00:1::99", kHostMac), NeighbourInput::ignored);
    EXPECT_EQ(solicit("fe80::10", Ip6Address::link_local(kWanMac).to_string().c_str(), kHostMac),
              NeighbourInput::ignored);
    EXPECT_TRUE(actions_.frames.empty());
    EXPECT_TRUE(resolver_->list(now_).empty());
}

// RFC 4862 5.4.3, RFC 4861 7.2.4: all nodes hear it, and it is not marked as solicited.
TEST_F(NdTest, DefendsItsAddressAgainstDuplicateAddressDetection) {
    EXPECT_EQ(solicit("::", "fd00:1::1", std::nullopt), NeighbourInput::used);
    const auto answer = nd();
    EXPECT_EQ(answer.to, mac("33:33:00:00:00:01"));
    EXPECT_EQ(answer.destination, ip6("ff02::1"));
    ASSERT_TRUE(answer.advertisement);
    EXPECT_FALSE(answer.advertisement->solicited);
    EXPECT_TRUE(answer.advertisement->override_cache);
    EXPECT_TRUE(resolver_->list(now_).empty());
}

// R4861: anything with another hop limit came through a router.
TEST_F(NdTest, RefusesWhatCameThroughARouter) {
    EXPECT_EQ(solicit("fd00:1::10", "fd00:1::1", kHostMac, 254), NeighbourInput::malformed);
    EXPECT_TRUE(actions_.frames.empty());
    EXPECT_TRUE(resolver_->list(now_).empty());
    EXPECT_EQ(resolver_->counters().malformed, 1U);
}

TEST_F(NdTest, RefusesBadMacs) {
    EXPECT_EQ(solicit("fd00:1::10", "fd00:1::1", kBroadcastMac), NeighbourInput::malformed);
    EXPECT_EQ(solicit("fd00:1::10", "fd00:1::1", kLanMac), NeighbourInput::malformed);
    resolve(kLan, "fd00:1::10");
    EXPECT_EQ(advertise("fd00:1::10", mac("33:33:00:00:00:01"), true, true), NeighbourInput::malformed);
    EXPECT_EQ(state(kLan, "fd00:1::10"), NeighbourState::incomplete);
    EXPECT_TRUE(actions_.released.empty());
}

TEST_F(NdTest, IgnoresWhatIsNeitherQuestionNorAnswer) {
    EXPECT_EQ(receive_nd({.source = ip6("fe80::10"), .destination = ip6("ff02::2")},
                         wire::RouterSolicitation{kHostMac}),
              NeighbourInput::ignored);
    wire::RouterAdvertisement advertisement;
    advertisement.source_mac = kHostMac;
    EXPECT_EQ(receive_nd({.source = ip6("fe80::10"), .destination = ip6("ff02::1")}, advertisement),
              NeighbourInput::ignored);
    EXPECT_EQ(receive_nd({.source = ip6("fe80::10"), .destination = ip6("fd00:1::1")},
                         wire::Redirect{ip6("fe80::10"), ip6("2001:db8::1"), kHostMac}),
              NeighbourInput::ignored)
        << "a router does not follow redirects";
    EXPECT_TRUE(resolver_->list(now_).empty());
}

TEST_F(NdTest, RefusesStumps) {
    for (size_t size = 0; size < 64; ++size) {
        const std::vector<uint8_t> bytes(size, 0x60);
        EXPECT_EQ(
            resolver_->on_nd({.in = kLan, .source = kHostMac, .destination = kLanMac, .bytes = bytes}, now_),
            NeighbourInput::malformed);
    }
}

TEST_F(NdTest, LearnsOnlyWhoIsOnTheLink) {
    EXPECT_EQ(solicit("2001:db8:99::1", "fd00:1::1", kHostMac), NeighbourInput::used);
    EXPECT_EQ(nd().to, kHostMac) << "answered where it came from";
    EXPECT_TRUE(resolver_->list(now_).empty());
}

TEST_F(NdTest, AQuestionWithoutAMacIsAnsweredToItsSender) {
    EXPECT_EQ(
        receive_nd({.source_mac = kOtherMac, .source = ip6("fd00:1::10"), .destination = ip6("fd00:1::1")},
                   wire::NeighbourSolicitation{ip6("fd00:1::1"), std::nullopt}),
        NeighbourInput::used);
    EXPECT_EQ(nd().to, kOtherMac);
    EXPECT_TRUE(resolver_->list(now_).empty());
}

// --- RFC 4861 7.2.5 ---

TEST_F(NdTest, UnaskedAnswersMakeNoEntries) {
    EXPECT_EQ(advertise("fd00:1::10", kHostMac, false, true), NeighbourInput::ignored);
    EXPECT_TRUE(resolver_->list(now_).empty());
}

TEST_F(NdTest, AnAnswerWithoutAMacDoesNotResolve) {
    resolve(kLan, "fd00:1::10");
    EXPECT_EQ(advertise("fd00:1::10", std::nullopt, true, true), NeighbourInput::ignored);
    EXPECT_EQ(state(kLan, "fd00:1::10"), NeighbourState::incomplete);
}

TEST_F(NdTest, AnUnsolicitedAnswerResolvesToStale) {
    resolve(kLan, "fd00:1::10");
    advertise("fd00:1::10", kHostMac, false, false);
    EXPECT_EQ(state(kLan, "fd00:1::10"), NeighbourState::stale);
    EXPECT_EQ(actions_.released.size(), 1U);
}

TEST_F(NdTest, WithoutOverrideAnotherMacOnlyRaisesDoubt) {
    make_reachable("fd00:1::10");
    advertise("fd00:1::10", kOtherMac, true, false);
    EXPECT_EQ(state(kLan, "fd00:1::10"), NeighbourState::stale);
    EXPECT_EQ(link(kLan, "fd00:1::10").mac(), kHostMac);
    advertise("fd00:1::10", kOtherMac, true, false);
    EXPECT_EQ(state(kLan, "fd00:1::10"), NeighbourState::stale);
    EXPECT_EQ(link(kLan, "fd00:1::10").mac(), kHostMac);
}

TEST_F(NdTest, WithOverrideAnotherMacIsTaken) {
    make_reachable("fd00:1::10");
    advertise("fd00:1::10", kOtherMac, false, true);
    EXPECT_EQ(state(kLan, "fd00:1::10"), NeighbourState::stale);
    EXPECT_EQ(link(kLan, "fd00:1::10").mac(), kOtherMac);
    advertise("fd00:1::10", kHostMac, true, true);
    EXPECT_EQ(state(kLan, "fd00:1::10"), NeighbourState::reachable);
    EXPECT_EQ(link(kLan, "fd00:1::10").mac(), kHostMac);
}

TEST_F(NdTest, TheSameMacUnsolicitedChangesNothing) {
    make_reachable("fd00:1::10");
    advertise("fd00:1::10", kHostMac, false, true);
    EXPECT_EQ(state(kLan, "fd00:1::10"), NeighbourState::reachable);
}

TEST_F(NdTest, ASolicitedAnswerWithoutAMacConfirms) {
    make_reachable("fd00:1::10");
    advertise("fd00:1::10", kOtherMac, true, false);
    ASSERT_EQ(state(kLan, "fd00:1::10"), NeighbourState::stale);
    advertise("fd00:1::10", std::nullopt, true, false);
    EXPECT_EQ(state(kLan, "fd00:1::10"), NeighbourState::reachable);
}

TEST_F(NdTest, RemembersWhoIsARouter) {
    resolve(kLan, "fe80::99");
    receive_nd({.source = ip6("fe80::99"), .destination = kLanLinkLocal},
               wire::NeighbourAdvertisement{.target = ip6("fe80::99"),
                                            .router = true,
                                            .solicited = true,
                                            .override_cache = true,
                                            .target_mac = kHostMac});
    EXPECT_TRUE(status(kLan, "fe80::99")->router);
}

TEST_F(NdTest, NoticesConflicts) {
    EXPECT_EQ(advertise("fd00:1::1", kOtherMac, false, true), NeighbourInput::used);
    ASSERT_EQ(actions_.conflicts.size(), 1U);
    EXPECT_EQ(actions_.conflicts[0].theirs, kOtherMac);
    EXPECT_EQ(actions_.conflicts[0].address, ip("fd00:1::1"));
    solicit("fd00:1::1", "fd00:1::1", kHostMac);
    EXPECT_EQ(actions_.conflicts.size(), 2U);
}

}  // namespace
}  // namespace sluice::routing
