#include "steering/datagram_owners.hh"

#include <gtest/gtest.h>

namespace sluice::steering {
namespace {

using conntrack::Tuple;
using std::chrono::seconds;
using Owners = DatagramOwners<int>;

constexpr Instant kStart{seconds(1000)};

Tuple datagram(uint32_t number) {
    return {Ip4Address::from_host(0x0a000000U + number), Ip4Address::from_host(0xcb007102U),
            wire::IpProtocol::udp, 0, static_cast<uint16_t>(number)};
}

class OwnersTest : public testing::Test {
  protected:
    void begins(uint32_t number, WorkerId owner, Instant now = kStart) {
        owners_.begins(
            datagram(number), owner, now, [this](int fragment) { given_.push_back(fragment); },
            [this](int fragment) { given_up_.push_back(fragment); });
    }
    Owners::Found follows(uint32_t number, int fragment, Instant now = kStart) {
        return owners_.follows(datagram(number), fragment, now,
                               [this](int other) { given_up_.push_back(other); });
    }
    void expire(Instant now) {
        for (size_t i = 0; i < Owners::kDatagrams; ++i)
            owners_.expire(now, [this](int fragment) { given_.push_back(fragment); });
    }
    Owners owners_{conntrack::TupleHash{{1, 2, 3, 4}}};
    std::vector<int> given_;
    std::vector<int> given_up_;
};

TEST_F(OwnersTest, later_fragments_go_where_the_first_went) {
    begins(1, WorkerId{3});
    const auto found = follows(1, 7);
    ASSERT_EQ(found.answer, Owners::Answer::known);
    EXPECT_EQ(found.owner, WorkerId{3});
    EXPECT_TRUE(given_.empty());
}

TEST_F(OwnersTest, those_that_come_before_it_wait_for_it) {
    for (int i = 0; i < 5; ++i)
        ASSERT_EQ(follows(1, i).answer, Owners::Answer::waits);
    ASSERT_EQ(follows(2, 9).answer, Owners::Answer::waits);
    begins(1, WorkerId{2});
    EXPECT_EQ(given_, (std::vector{0, 1, 2, 3, 4}));
    EXPECT_EQ(follows(1, 5).answer, Owners::Answer::known);
}

TEST_F(OwnersTest, those_that_wait_in_vain_are_given_up) {
    ASSERT_EQ(follows(1, 8).answer, Owners::Answer::waits);
    expire(kStart + Owners::kLifetime - seconds(1));
    EXPECT_TRUE(given_.empty());
    expire(kStart + Owners::kLifetime);
    EXPECT_EQ(given_, std::vector{8});
}

// The identification is used again.
TEST_F(OwnersTest, an_owner_is_forgotten) {
    begins(1, WorkerId{3});
    EXPECT_EQ(follows(1, 1, kStart + Owners::kLifetime).answer, Owners::Answer::waits);
}

TEST_F(OwnersTest, few_wait_for_one_datagram) {
    for (size_t i = 0; i < Owners::kWaitingEach; ++i)
        ASSERT_EQ(follows(1, 1).answer, Owners::Answer::waits);
    EXPECT_EQ(follows(1, 1).answer, Owners::Answer::refused);
}

TEST_F(OwnersTest, the_oldest_make_room) {
    ASSERT_EQ(follows(1, 5).answer, Owners::Answer::waits);
    constexpr uint32_t kOthers = 16 * Owners::kDatagrams;
    for (uint32_t i = 0; i < kOthers; ++i)
        begins(100 + i, WorkerId{0}, kStart + seconds(1));
    EXPECT_EQ(given_up_, std::vector{5});
    EXPECT_EQ(follows(100 + kOthers - 1, 6).answer, Owners::Answer::known);
    EXPECT_EQ(follows(1, 7, kStart + seconds(1)).answer, Owners::Answer::waits);
}

}  // namespace
}  // namespace sluice::steering
