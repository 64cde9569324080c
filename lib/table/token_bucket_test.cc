#include "table/token_bucket.hh"

#include <gtest/gtest.h>

namespace sluice::table {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

Instant at(nanoseconds since) {
    return Instant(since);
}

int take_all(TokenBucket& bucket, Instant now, int limit = 1'000'000) {
    int count = 0;
    while (count < limit && bucket.take(now)) {
        ++count;
    }
    return count;
}

// R1812-4.3.2.8, R4443-2.4f: a burst, then the steady rate.
TEST(TokenBucket, GivesABurstThenTheRate) {
    TokenBucket bucket(10, 5);
    EXPECT_EQ(take_all(bucket, at(seconds(100))), 5);
    EXPECT_FALSE(bucket.take(at(seconds(100) + nanoseconds(99'999'999))));
    EXPECT_TRUE(bucket.take(at(seconds(100) + nanoseconds(100'000'000))));
    EXPECT_FALSE(bucket.take(at(seconds(100) + nanoseconds(100'000'001))));
    EXPECT_EQ(take_all(bucket, at(seconds(101))), 5) << "no more than the burst is saved up";
}

TEST(TokenBucket, LosesNothingToRounding) {
    TokenBucket bucket(3, 2);
    ASSERT_TRUE(bucket.take(at(seconds(1)), 2));
    int taken = 0;
    for (int64_t tick = 0; tick <= 3'000'000; ++tick) {
        taken += bucket.take(at(seconds(1) + tick * nanoseconds(1000))) ? 1 : 0;
    }
    EXPECT_EQ(taken, 9) << "three a second over three seconds";
}

TEST(TokenBucket, HasNoOverflowAtItsBounds) {
    TokenBucket bucket(TokenBucket::kMaxRate, TokenBucket::kMaxBurst);
    EXPECT_TRUE(bucket.take(at(nanoseconds(1)), 4'000'000'000));
    EXPECT_FALSE(bucket.take(at(nanoseconds(1))));
    EXPECT_TRUE(bucket.take(at(nanoseconds(2))));
    EXPECT_FALSE(bucket.take(at(nanoseconds(2))));
    EXPECT_TRUE(bucket.take(Instant::max(), 4'000'000'000));
    EXPECT_FALSE(bucket.take(Instant::max()));
    TokenBucket cut(UINT64_MAX, UINT64_MAX);
    EXPECT_TRUE(cut.take(at(nanoseconds(1)), 4'000'000'000));
    EXPECT_FALSE(cut.take(at(nanoseconds(1))));
}

TEST(TokenBucket, TakesAllOrNothing) {
    TokenBucket bucket(1, 10);
    EXPECT_FALSE(bucket.take(at(seconds(1)), 11));
    EXPECT_TRUE(bucket.take(at(seconds(1)), 10));
    EXPECT_FALSE(bucket.take(at(seconds(5)), 5));
    EXPECT_TRUE(bucket.take(at(seconds(5)), 4));
}

TEST(TokenBucket, StandsStillWhenTimeGoesBack) {
    TokenBucket bucket(1, 1);
    EXPECT_TRUE(bucket.take(at(seconds(10))));
    EXPECT_FALSE(bucket.take(at(seconds(5))));
    EXPECT_FALSE(bucket.take(at(seconds(10))));
    EXPECT_TRUE(bucket.take(at(seconds(11))));
}

TEST(TokenBucket, RateZeroGivesOneBurst) {
    TokenBucket bucket(0, 2);
    EXPECT_EQ(take_all(bucket, at(seconds(1))), 2);
    EXPECT_EQ(take_all(bucket, at(seconds(1'000'000))), 0);
}

TEST(TokenBucket, UnlimitedNeverRefuses) {
    auto bucket = TokenBucket::unlimited();
    EXPECT_TRUE(bucket.is_unlimited());
    EXPECT_EQ(take_all(bucket, at(seconds(0)), 1000), 1000);
    EXPECT_TRUE(bucket.take(at(seconds(0)), UINT32_MAX));
}

}  // namespace
}  // namespace sluice::table
