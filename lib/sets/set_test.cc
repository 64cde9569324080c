#include "sets/set.hh"

#include <gtest/gtest.h>

#include "sets/body_builder.hh"
#include "sets/set_test_support.hh"

namespace sluice::sets {
namespace {

using std::chrono::seconds;

TEST(Set, HoldsAddressesOfBothFamilies) {
    Fixture f("ip");
    EXPECT_EQ(f.add({"192.0.2.1", "2001:db8::1", "0.0.0.0", "::"}), "");
    for (const char* in : {"192.0.2.1", "2001:db8::1", "0.0.0.0", "::"})
        EXPECT_TRUE(f.has(in)) << in;
    for (const char* out : {"192.0.2.2", "2001:db8::2", "0.0.0.1", "::1", "1.2.0.192"})
        EXPECT_FALSE(f.has(out)) << out;
    EXPECT_EQ(f.set.element_count(), 4U);
    EXPECT_EQ(f.list(), "192.0.2.1 0.0.0.0 2001:db8::1 ::");
}

TEST(Set, NetworksAndRangesCoverWhatTheySay) {
    Fixture f("net");
    EXPECT_EQ(f.add({"10.0.0.0/8", "192.0.2.5-192.0.2.9", "2001:db8::/32", "203.0.113.7"}), "");
    for (const char* in :
         {"10.0.0.0", "10.255.255.255", "192.0.2.5", "192.0.2.9", "2001:db8:ffff::1", "203.0.113.7"})
        EXPECT_TRUE(f.has(in)) << in;
    for (const char* out :
         {"9.255.255.255", "11.0.0.0", "192.0.2.4", "192.0.2.10", "2001:db9::", "203.0.113.6"})
        EXPECT_FALSE(f.has(out)) << out;
    EXPECT_EQ(f.list(), "10.0.0.0/8 192.0.2.5-192.0.2.9 203.0.113.7 2001:db8::/32");
}

TEST(Set, EverythingMayBeOneNetwork) {
    Fixture f("net");
    EXPECT_EQ(f.add({"0.0.0.0/0", "::/0"}), "");
    EXPECT_TRUE(f.has("0.0.0.0"));
    EXPECT_TRUE(f.has("255.255.255.255"));
    EXPECT_TRUE(f.has("ffff::1"));
}

TEST(Set, ConcatenationsMatchFieldByField) {
    Fixture f("net,port");
    EXPECT_EQ(f.add({"10.0.0.0/8,1000-2000", "192.0.2.1,22", "2001:db8::/32,443"}), "");
    EXPECT_TRUE(f.has("10.1.2.3,1000"));
    EXPECT_TRUE(f.has("10.1.2.3,2000"));
    EXPECT_TRUE(f.has("192.0.2.1,22"));
    EXPECT_TRUE(f.has("2001:db8::5,443"));
    EXPECT_FALSE(f.has("10.1.2.3,999"));
    EXPECT_FALSE(f.has("10.1.2.3,2001"));
    EXPECT_FALSE(f.has("11.1.2.3,1000"));
    EXPECT_FALSE(f.has("192.0.2.1,23"));
    EXPECT_FALSE(f.has("2001:db8::5,22"));
}

TEST(Set, WithoutAddressesMatchesBothFamilies) {
    Fixture f("port");
    EXPECT_EQ(f.add({"80", "1000-2000"}), "");
    EXPECT_TRUE(f.has("80"));
    EXPECT_TRUE(f.has("1500"));
    EXPECT_FALSE(f.has("81"));
    Fixture m("mac,proto");
    EXPECT_EQ(m.add({"02:00:00:00:01:01,udp"}), "");
    EXPECT_TRUE(m.set.contains(
        [] {
            Fields fields;
            fields.add(MacAddress{{2, 0, 0, 0, 1, 1}});
            fields.add_proto(17);
            return fields;
        }(),
        at(1)));
    EXPECT_FALSE(m.has("02:00:00:00:01:01,tcp"));
}

TEST(Set, AddingWhatIsThereChangesNothing) {
    Fixture f("net");
    EXPECT_EQ(f.add({"10.0.0.0/8"}), "");
    const auto elements = std::vector{element(f.kind, "10.0.0.0/8"), element(f.kind, "11.0.0.0/8"),
                                      element(f.kind, "11.0.0.0/8"), element(f.kind, "11.1.0.0/16")};
    const auto done = f.set.add(elements, at(1));
    ASSERT_TRUE(done);
    EXPECT_EQ(done->added, 1U);
    EXPECT_EQ(done->unchanged, 3U);
    EXPECT_EQ(f.list(), "10.0.0.0/8 11.0.0.0/8");
}

TEST(Set, OverlapsAreRefusedAsInNftables) {
    Fixture f("net");
    EXPECT_EQ(f.add({"10.0.0.0/8", "192.0.2.5-192.0.2.9"}), "");
    for (const char* text : {"10.1.0.0/16", "10.0.0.1", "0.0.0.0/0", "192.0.2.7-192.0.2.20",
                             "192.0.2.0-192.0.2.5", "192.0.2.0/24", "8.0.0.0/5"})
        EXPECT_NE(f.add({text}).find("overlaps"), std::string::npos) << text;
    EXPECT_NE(f.add({"172.16.0.0/12", "10.1.0.0/16"}).find("overlaps '10.0.0.0/8'"), std::string::npos);
    EXPECT_NE(f.add({"172.16.0.1-172.16.0.9", "172.16.0.5-172.16.0.12"}).find("of the same request"),
              std::string::npos);
    EXPECT_FALSE(f.has("172.16.0.1"));
    EXPECT_EQ(f.set.element_count(), 2U);
    EXPECT_EQ(f.add({"192.0.2.10-192.0.2.20", "192.0.2.4"}), "");
}

TEST(Set, ManyWideElementsAreHeldToTheSame) {
    Fixture f("net");
    EXPECT_EQ(f.add({"10.0.5.0"}), "");
    EXPECT_NE(
        f.add({"11.0.0.0/24", "11.0.1.0/24", "11.0.2.0/24", "11.0.3.0/24", "11.0.4.0/24", "10.0.5.0/24"}),
        "");
    EXPECT_FALSE(f.has("11.0.0.1"));
    EXPECT_EQ(
        f.add({"11.0.0.0/24", "11.0.1.0/24", "11.0.2.0/24", "11.0.3.0/24", "11.0.4.0/24", "10.0.6.0/24"}),
        "");
    EXPECT_TRUE(f.has("10.0.6.77"));
}

TEST(Set, ConcatenationsMayOverlap) {
    Fixture f("net,net");
    EXPECT_EQ(f.add({"10.0.0.0/8,192.0.2.0/24", "10.1.0.0/16,0.0.0.0/0"}), "");
    EXPECT_TRUE(f.has("10.1.0.1,192.0.2.1"));
    EXPECT_EQ(f.remove({"10.0.0.0/8,192.0.2.0/24"}), "");
    EXPECT_TRUE(f.has("10.1.0.1,192.0.2.1"));
    EXPECT_FALSE(f.has("10.2.0.1,192.0.2.1"));
}

TEST(Set, ChangesAreAllOrNothing) {
    Fixture f("ip", {.size = 4});
    EXPECT_EQ(f.add({"192.0.2.1", "192.0.2.2"}), "");
    EXPECT_NE(f.add({"192.0.2.3", "192.0.2.4", "192.0.2.5"}).find("full"), std::string::npos);
    EXPECT_EQ(f.set.counters().full.load(), 1U);
    EXPECT_FALSE(f.has("192.0.2.3"));
    EXPECT_NE(f.remove({"192.0.2.1", "192.0.2.9"}).find("'192.0.2.9' is not in the set"), std::string::npos);
    EXPECT_TRUE(f.has("192.0.2.1"));
    EXPECT_NE(f.remove({"192.0.2.1", "192.0.2.1"}), "");
    EXPECT_TRUE(f.has("192.0.2.1"));
    EXPECT_EQ(f.list(), "192.0.2.1 192.0.2.2");
    f.grace.pass();
    EXPECT_EQ(f.add({"192.0.2.3", "192.0.2.4"}), "");
    EXPECT_EQ(f.set.element_count(), 4U);
    f.grace.pass();
    EXPECT_EQ(f.remove({"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}), "");
    EXPECT_EQ(f.list(), "");
    f.grace.pass();
    EXPECT_EQ(f.add({"192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8"}), "");
    EXPECT_TRUE(f.has("192.0.2.8"));
    EXPECT_FALSE(f.has("192.0.2.1"));
}

TEST(Set, FailedAtTellsWhichElement) {
    Fixture f("ip", {.size = 2});
    const auto elements =
        std::vector{element(f.kind, "192.0.2.1"), element(f.kind, "192.0.2.2"), element(f.kind, "192.0.2.3")};
    size_t failed = 99;
    EXPECT_FALSE(f.set.add(elements, at(1), &failed));
    EXPECT_EQ(failed, 2U);
}

TEST(Set, ElementsExpire) {
    Fixture f("ip", {.timeout = seconds(10)});
    EXPECT_EQ(f.add({"192.0.2.1", "192.0.2.2 timeout 20s"}, at(100)), "");
    EXPECT_TRUE(f.has("192.0.2.1", at(109.9)));
    EXPECT_FALSE(f.has("192.0.2.1", at(110)));
    EXPECT_TRUE(f.has("192.0.2.2", at(119.9)));
    EXPECT_EQ(f.list(at(115)), "192.0.2.2");
    EXPECT_EQ(f.set.element_count(), 2U);
    f.set.sweep(at(115), 100);
    EXPECT_EQ(f.set.element_count(), 1U);
    EXPECT_EQ(f.set.counters().expired.load(), 1U);
    const auto status = f.set.find(element(f.kind, "192.0.2.2").value, at(115));
    ASSERT_TRUE(status);
    EXPECT_EQ(status->timeout, Duration(seconds(20)));
    EXPECT_EQ(status->expires, Duration(seconds(5)));
    // What has expired may be added again, swept or not.
    EXPECT_EQ(f.add({"192.0.2.1", "192.0.2.2"}, at(200)), "");
    EXPECT_EQ(f.set.element_count(), 2U);
    EXPECT_TRUE(f.has("192.0.2.2", at(205)));
}

TEST(Set, RulesAddAndOnlyUpdateRefreshes) {
    Fixture f("ip,port", {.size = 2, .timeout = seconds(10), .counters = true, .dynamic = true});
    const auto a = probe(f.kind, "192.0.2.1,80");
    EXPECT_TRUE(f.set.add(a, at(100), 60));
    EXPECT_TRUE(f.has("192.0.2.1,80", at(100)));
    EXPECT_TRUE(f.set.add(a, at(105), 40));
    EXPECT_FALSE(f.has("192.0.2.1,80", at(110)));
    auto status = f.set.find(element(f.kind, "192.0.2.1,80").value, at(109));
    ASSERT_TRUE(status);
    EXPECT_EQ(status->packets, 2U);
    EXPECT_EQ(status->bytes, 100U);
    EXPECT_TRUE(f.set.update(a, at(109), 1));
    EXPECT_TRUE(f.has("192.0.2.1,80", at(118)));
    // Full: the rule goes no further. What is there still matches.
    EXPECT_TRUE(f.set.add(probe(f.kind, "2001:db8::1,80"), at(109), 1));
    EXPECT_FALSE(f.set.add(probe(f.kind, "192.0.2.3,80"), at(109), 1));
    EXPECT_TRUE(f.set.add(a, at(109), 1));
    EXPECT_EQ(f.set.counters().full.load(), 1U);
    EXPECT_EQ(f.set.counters().added.load(), 2U);
    // Once expired it begins again, from zero.
    EXPECT_TRUE(f.set.add(a, at(130), 7));
    status = f.set.find(element(f.kind, "192.0.2.1,80").value, at(130));
    ASSERT_TRUE(status);
    EXPECT_EQ(status->bytes, 7U);
    EXPECT_EQ(status->expires, Duration(seconds(10)));
    EXPECT_EQ(f.set.element_count(), 2U);
    EXPECT_EQ(f.set.counters().added.load(), 3U);
}

TEST(Set, LookupsCountWhenAsked) {
    Fixture f("net", {.counters = true});
    EXPECT_EQ(f.add({"10.0.0.0/8 comment \"lab\""}), "");
    EXPECT_TRUE(f.set.contains(probe(f.kind, "10.1.1.1"), at(1), 100));
    EXPECT_TRUE(f.set.contains(probe(f.kind, "10.1.1.2"), at(1), 50));
    EXPECT_TRUE(f.set.contains(probe(f.kind, "10.1.1.2"), at(1)));
    EXPECT_FALSE(f.set.contains(probe(f.kind, "11.1.1.2"), at(1), 50));
    const auto status = f.set.covering(probe(f.kind, "10.9.9.9"), at(1));
    ASSERT_TRUE(status);
    EXPECT_EQ(format(f.kind, status->value), "10.0.0.0/8");
    EXPECT_EQ(status->packets, 2U);
    EXPECT_EQ(status->bytes, 150U);
    EXPECT_EQ(status->comment, "lab");
}

TEST(Set, FlushAndSwapReplaceTheContentAtOnce) {
    Fixture f("ip");
    EXPECT_EQ(f.add({"192.0.2.1"}), "");
    Set other("other", f.set.options(), 42, f.grace.retire());
    ASSERT_TRUE(other.add(std::vector{element(f.kind, "192.0.2.7")}, at(1)));
    ASSERT_TRUE(f.set.swap(other));
    EXPECT_TRUE(f.has("192.0.2.7"));
    EXPECT_FALSE(f.has("192.0.2.1"));
    EXPECT_TRUE(other.contains(probe(f.kind, "192.0.2.1"), at(1)));
    f.set.flush();
    EXPECT_FALSE(f.has("192.0.2.7"));
    EXPECT_EQ(f.set.element_count(), 0U);
    Set unlike("unlike", {.type = f.kind, .size = 9}, 42, f.grace.retire());
    EXPECT_FALSE(f.set.swap(unlike));
}

TEST(Set, AListingOutlivesAFlush) {
    Fixture f("ip");
    EXPECT_EQ(f.add({"192.0.2.1", "192.0.2.2", "192.0.2.3"}), "");
    SetCursor cursor;
    std::string seen;
    const auto note = [&](const ElementStatus& status) { seen += format(f.kind, status.value) + " "; };
    EXPECT_TRUE(f.set.for_each(cursor, 1, at(1), note));
    f.set.flush();
    f.grace.pass();
    while (f.set.for_each(cursor, 1, at(1), note)) {
    }
    EXPECT_EQ(seen, "192.0.2.1 192.0.2.2 192.0.2.3 ");
}

TEST(Set, TheGenerationTellsOfEveryChange) {
    Fixture f("ip");
    uint64_t last = f.set.generation();
    EXPECT_TRUE(f.set.repeatable());
    EXPECT_EQ(f.add({"192.0.2.1"}), "");
    EXPECT_NE(f.set.generation(), last);
    last = f.set.generation();
    EXPECT_EQ(f.remove({"192.0.2.1"}), "");
    EXPECT_NE(f.set.generation(), last);
    last = f.set.generation();
    f.set.flush();
    EXPECT_NE(f.set.generation(), last);
    EXPECT_TRUE(f.set.repeatable());
    EXPECT_EQ(f.add({"192.0.2.1 timeout 5s"}), "");
    EXPECT_FALSE(f.set.repeatable());
    EXPECT_FALSE(Fixture("ip", {.counters = true}).set.repeatable());
    EXPECT_FALSE(Fixture("ip", {.dynamic = true}).set.repeatable());
}

TEST(Set, RaggedElementsAreRefused) {
    Fixture f("net,net");
    EXPECT_EQ(f.add({"0.0.0.1-255.255.255.254,10.0.0.0/8"}), "");
    EXPECT_NE(
        f.add({"::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe,::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"})
            .find("would take 64516 prefixes"),
        std::string::npos);
}

TEST(Set, NetworksThatWereLoadedExpireAndOutliveOthers) {
    Fixture f("net");
    BodyBuilder builder = f.set.builder({});
    for (const char* line : {"10.0.0.0/8 timeout 5m", "10.1.0.0/16", "192.0.2.0/25", "198.51.100.1",
                             "2001:db8::/32 timeout 5m", "2001:db8:1::/48", "2001:db9::/64", "2001:dba::1"})
        ASSERT_TRUE(builder.add(element(f.kind, line), 0, at(0)));
    ASSERT_TRUE(builder.finish().empty());
    f.set.load(builder);
    for (const char* text : {"10.2.0.1", "10.1.0.1", "2001:db8:2::1", "2001:db8:1::1"})
        EXPECT_TRUE(f.has(text, at(299))) << text;
    for (const char* text : {"10.2.0.1", "2001:db8:2::1"})
        EXPECT_FALSE(f.has(text, at(301))) << text;
    for (const char* text : {"10.1.0.1", "2001:db8:1::1"})
        EXPECT_TRUE(f.has(text, at(301))) << text;
}

// So many that they are a map of all addresses.
TEST(Set, NetworksLoadedByTheThousandComeAndGo) {
    Fixture f("net", {.size = 100000});
    BodyBuilder builder = f.set.builder({80000, 0});
    for (uint32_t i = 0; i < 40000; ++i) {
        const std::string start = "10." + std::to_string(i >> 8) + "." + std::to_string(i & 255) + ".";
        ASSERT_TRUE(builder.add(element(f.kind, start + "16/28"), 0, at(0)));
        ASSERT_TRUE(builder.add(element(f.kind, start + "77"), 0, at(0)));
    }
    ASSERT_TRUE(builder.add(element(f.kind, "172.16.0.0/14"), 0, at(0)));
    ASSERT_TRUE(builder.add(element(f.kind, "2001:db8::/32"), 0, at(0)));
    ASSERT_TRUE(builder.finish().empty());
    f.set.load(builder);
    for (const auto* inside : {"10.0.0.16", "10.7.9.31", "10.156.63.77", "172.19.255.255", "2001:db8::1"})
        EXPECT_TRUE(f.has(inside)) << inside;
    for (const auto* outside :
         {"10.0.0.15", "10.7.9.32", "10.156.63.78", "10.156.64.16", "172.20.0.0", "9.255.255.255"})
        EXPECT_FALSE(f.has(outside)) << outside;
    EXPECT_EQ(f.remove({"10.7.9.16/28"}), "");
    EXPECT_FALSE(f.has("10.7.9.31"));
    EXPECT_TRUE(f.has("10.7.9.77"));
    EXPECT_EQ(f.add({"10.7.9.24/29", "9.0.0.0/8"}), "");
    EXPECT_TRUE(f.has("10.7.9.31"));
    EXPECT_FALSE(f.has("10.7.9.16"));
    EXPECT_TRUE(f.has("9.255.255.255"));
}

TEST(Set, WhatTookTheNameOfOneRemovedIsFoundByTheNextRequest) {
    Fixture f("ip");
    EXPECT_EQ(f.add({"192.0.2.1"}), "");
    EXPECT_EQ(f.remove({"192.0.2.1"}), "");  // readers may still see it
    EXPECT_EQ(f.add({"192.0.2.1 timeout 5s"}), "");
    const Element again = element(f.kind, "192.0.2.1");
    EXPECT_EQ(f.set.add(std::span(&again, 1), at(2))->unchanged, 1U);
    f.grace.pass();
    EXPECT_EQ(f.list(), "192.0.2.1");
    EXPECT_FALSE(f.has("192.0.2.1", at(10)));
}

TEST(Builder, MergesWhatLiesInside) {
    SetOptions options;
    options.type = type_of("net");
    BodyBuilder builder(options, 1);
    auto add = [&, line = 0U](const char* text) mutable {
        return builder.add(element(options.type, text), ++line, at(0)).has_value();
    };
    for (const char* text :
         {"10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/8", "2001:db8::1", "2001:db8::/32", "192.0.2.1"})
        EXPECT_TRUE(add(text)) << text;
    EXPECT_TRUE(builder.finish().empty());
    EXPECT_EQ(builder.added(), 3U);
    EXPECT_EQ(builder.merged(), 3U);
}

TEST(Builder, TellsOfPartialOverlapsAndKeepsWhatOutlives) {
    SetOptions options;
    options.type = type_of("net");
    BodyBuilder builder(options, 1);
    EXPECT_TRUE(builder.add(element(options.type, "10.0.0.0/8 timeout 5m"), 1, at(0)));
    EXPECT_TRUE(builder.add(element(options.type, "10.1.0.0/16"), 2, at(0)));
    EXPECT_TRUE(builder.add(element(options.type, "192.0.2.0-192.0.2.9"), 3, at(0)));
    EXPECT_TRUE(builder.add(element(options.type, "192.0.2.5-192.0.2.20"), 4, at(0)));
    const auto conflicts = builder.finish();
    ASSERT_EQ(conflicts.size(), 1U);
    EXPECT_EQ(conflicts[0].origin, 4U);
    EXPECT_EQ(conflicts[0].other, 3U);
    EXPECT_EQ(builder.added(), 4U);
}

}  // namespace
}  // namespace sluice::sets
