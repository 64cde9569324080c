#include "sets/recent_members.hh"

#include <random>

#include "sets/body_builder.hh"
#include "sets/set_test_support.hh"

namespace sluice::sets {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLong = 1s;  // longer than the rest behind a change

std::vector<Ip4Address> addresses_of(std::initializer_list<std::string_view> texts) {
    std::vector<Ip4Address> result;
    for (const auto text : texts)
        result.push_back(*Ip4Address::parse(text));
    return result;
}

// Asks twice, since the second answer may be of what the first one kept; both are those of the set.
struct Asked {
    explicit Asked(Set& asked) : set(asked) { recent.follow(&asked); }

    uint64_t operator()(std::span<const Ip4Address> addresses, Instant now, uint64_t wanted = ~uint64_t{0}) {
        const uint64_t expected = set.lookup_burst(addresses, now, wanted);
        EXPECT_EQ(recent.lookup_burst(set, addresses, now, wanted), expected);
        EXPECT_EQ(recent.lookup_burst(set, addresses, now, wanted), expected);
        return expected;
    }

    Set& set;
    RecentMembers recent;
};

TEST(RecentMembers, AnswerAsTheSetDoes) {
    Fixture f("ip");
    f.add({"10.0.0.1", "10.0.0.2", "2001:db8::1"});
    Asked asked(f.set);
    const auto addresses = addresses_of({"10.0.0.1", "10.0.0.3", "10.0.0.2", "0.0.0.0", "10.0.0.1"});
    EXPECT_EQ(asked(addresses, at(1)), 0b10101U);
    EXPECT_EQ(asked(addresses, at(1), 0b10010), 0b10000U);
}

TEST(RecentMembers, NothingIsAMemberOfAnEmptyTable) {
    // What an unused place holds must be no address's answer.
    Fixture f("ip");
    Asked asked(f.set);
    EXPECT_EQ(asked(addresses_of({"0.0.0.0", "0.0.0.1", "1.0.0.0", "255.255.255.255"}), at(1)), 0U);
    f.add({"0.0.0.0"});
    EXPECT_EQ(asked(addresses_of({"0.0.0.0", "1.0.0.0"}), at(2)), 1U);
}

TEST(RecentMembers, ForgetWhatWasTakenOut) {
    Fixture f("ip");
    f.add({"10.0.0.1", "10.0.0.2"});
    Asked asked(f.set);
    const auto addresses = addresses_of({"10.0.0.1", "10.0.0.2"});
    EXPECT_EQ(asked(addresses, at(1)), 0b11U);
    EXPECT_EQ(f.remove({"10.0.0.1"}), "");
    EXPECT_EQ(asked(addresses, at(1)), 0b10U);
    EXPECT_EQ(asked(addresses, at(1) + kLong), 0b10U);
    f.set.flush();
    EXPECT_EQ(asked(addresses, at(1) + kLong), 0U);
    EXPECT_EQ(asked(addresses, at(1) + 2 * kLong), 0U);
}

TEST(RecentMembers, KeepNothingOfWhatExpiresOrCounts) {
    Fixture timed("ip");
    timed.add({"10.0.0.1 timeout 2s", "10.0.0.2"}, at(1));
    Asked asked(timed.set);
    const auto addresses = addresses_of({"10.0.0.1", "10.0.0.2"});
    EXPECT_EQ(asked(addresses, at(2)), 0b11U);
    EXPECT_EQ(asked(addresses, at(4)), 0b10U);

    // An element with a time makes void what was kept without.
    Fixture plain("ip");
    plain.add({"10.0.0.2"}, at(1));
    Asked then(plain.set);
    EXPECT_EQ(then(addresses, at(1)), 0b10U);
    plain.add({"10.0.0.1 timeout 2s"}, at(1));
    EXPECT_EQ(then(addresses, at(2)), 0b11U);
    EXPECT_EQ(then(addresses, at(4)), 0b10U);
}

TEST(RecentMembers, AnswerForOneSetOnly) {
    Fixture one("ip");
    Fixture other("ip");
    one.add({"10.0.0.1"});
    const auto addresses = addresses_of({"10.0.0.1"});
    Asked asked(one.set);
    EXPECT_EQ(asked(addresses, at(1)), 1U);
    EXPECT_EQ(asked.recent.lookup_burst(other.set, addresses, at(1), 1), 0U);
    asked.recent.follow(&other.set);
    EXPECT_EQ(asked.recent.lookup_burst(other.set, addresses, at(1), 1), 0U);
    EXPECT_EQ(asked.recent.lookup_burst(one.set, addresses, at(1), 1), 1U);
    asked.recent.follow(nullptr);
    EXPECT_EQ(asked.recent.lookup_burst(one.set, addresses, at(1), 1), 1U);
}

TEST(RecentMembers, FollowNoNetworks) {
    EXPECT_TRUE(RecentMembers::can_follow(Fixture("ip").set));
    EXPECT_FALSE(RecentMembers::can_follow(Fixture("net").set));
    EXPECT_FALSE(RecentMembers::can_follow(Fixture("ip,port").set));
}

TEST(RecentMembers, AnswerAsTheSetDoesWhileItChanges) {
    // Multiples of a number share few places, so that addresses push each other out.
    Fixture f("ip");
    Asked asked(f.set);
    std::mt19937 random(7);
    const auto address = [&random] { return Ip4Address::from_wire(Be32::from_wire(random() % 64 << 26)); };
    Instant now = at(1);
    uint64_t found = 0;
    for (int round = 0; round < 4000; ++round) {
        if (round % 16 == 0) {
            const auto text = address().to_string();
            if (f.has(text))
                EXPECT_EQ(f.remove({text}), "");
            else
                EXPECT_EQ(f.add({text}), "");
            f.grace.pass();
        }
        std::vector<Ip4Address> burst(1 + random() % kMaxSetBurst);
        for (auto& each : burst)
            each = address();
        found += static_cast<uint64_t>(std::popcount(asked(burst, now, random() | uint64_t{random()} << 32)));
        now += 3ms;
    }
    EXPECT_GT(found, 10'000U);
}

}  // namespace
}  // namespace sluice::sets
