#include "nat/inside_hosts.hh"

#include <gtest/gtest.h>

#include "nat/box_under_test.hh"

namespace sluice::nat {
namespace {

constexpr conntrack::TupleHash kHash{{1, 2, 3, 4}};

TEST(InsideHosts, AreRememberedWhileTheyHaveMappings) {
    InsideHosts hosts(8, kHash);
    EXPECT_EQ(hosts.find(ip("10.0.0.1")), nullptr);
    const HostRef first = hosts.add_first_mapping(ip("10.0.0.1"), ip("203.0.113.1"));
    const HostRef other = hosts.add_first_mapping(ip("fd00::1"), ip("2001:db8::1"));
    hosts.add_mapping(first);
    EXPECT_EQ(hosts.ref(ip("10.0.0.1")), first);
    EXPECT_EQ(hosts[first].mappings, 2U);
    EXPECT_EQ(hosts[first].paired, ip("203.0.113.1"));
    EXPECT_EQ(hosts.find(ip("fd00::1"))->paired, ip("2001:db8::1"));
    hosts.end_mapping(first);
    EXPECT_EQ(hosts.ref(ip("10.0.0.1")), first);
    hosts.end_mapping(first);
    EXPECT_EQ(hosts.ref(ip("10.0.0.1")), kNoHost);
    EXPECT_EQ(hosts.ref(ip("fd00::1")), other);
    EXPECT_EQ(hosts.size(), 1U);
}

TEST(InsideHosts, AreBounded) {
    InsideHosts hosts(1, kHash);
    const HostRef host = hosts.add_first_mapping(ip("10.0.0.1"), ip("203.0.113.1"));
    EXPECT_EQ(hosts.add_first_mapping(ip("10.0.0.2"), ip("203.0.113.1")), kNoHost);
    EXPECT_EQ(hosts.find(ip("10.0.0.2")), nullptr);
    hosts.end_mapping(host);
    EXPECT_NE(hosts.add_first_mapping(ip("10.0.0.2"), ip("203.0.113.1")), kNoHost);
}

TEST(InsideHosts, WhatIsAskedForAheadIsTheHostThatWillBeFound) {
    InsideHosts hosts(1000, kHash);
    const HostRef host = hosts.add_first_mapping(ip("10.0.0.1"), ip("203.0.113.1"));
    const uint64_t hash = hosts.hash_of(ip("10.0.0.1"));
    hosts.prefetch(hash);
    EXPECT_EQ(hosts.prefetch_found(hash), host);
    EXPECT_EQ(hosts.prefetch_found(hosts.hash_of(ip("10.0.0.2"))), kNoHost);
}

}  // namespace
}  // namespace sluice::nat
