#include "nat/config.hh"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace sluice::nat {
namespace {

using config::Scalar;

IpAddress ip(std::string_view text) {
    return *IpAddress::parse(text);
}

TEST(NatConfig, TargetsAreReadAndWritten) {
    struct Case {
        std::string text;
        NatTarget target;
        std::string printed;
    };
    const Case cases[] = {
        {"192.0.2.1", {ip("192.0.2.1"), ip("192.0.2.1")}, "192.0.2.1"},
        {"192.0.2.1-192.0.2.9", {ip("192.0.2.1"), ip("192.0.2.9")}, "192.0.2.1-192.0.2.9"},
        {"192.0.2.0/30", {ip("192.0.2.0"), ip("192.0.2.3")}, "192.0.2.0-192.0.2.3"},
        {"192.0.2.1:80", {ip("192.0.2.1"), ip("192.0.2.1"), PortRange{80, 80}}, "192.0.2.1:80"},
        {"192.0.2.1-192.0.2.2:80-90",
         {ip("192.0.2.1"), ip("192.0.2.2"), PortRange{80, 90}},
         "192.0.2.1-192.0.2.2:80-90"},
        {"2001:db8::1", {ip("2001:db8::1"), ip("2001:db8::1")}, "2001:db8::1"},
        {"[2001:db8::1]", {ip("2001:db8::1"), ip("2001:db8::1")}, "2001:db8::1"},
        {"2001:db8::/126", {ip("2001:db8::"), ip("2001:db8::3")}, "2001:db8::-2001:db8::3"},
        {"[2001:db8::1]:8080",
         {ip("2001:db8::1"), ip("2001:db8::1"), PortRange{8080, 8080}},
         "[2001:db8::1]:8080"},
    };
    for (const auto& [text, target, printed] : cases) {
        const auto read = Scalar<NatTarget>::parse(text);
        ASSERT_TRUE(read) << text << ": " << read.error().message;
        EXPECT_EQ(*read, target) << text;
        EXPECT_EQ(Scalar<NatTarget>::format(target), printed);
        EXPECT_EQ(*Scalar<NatTarget>::parse(printed), target) << printed;
    }
}

TEST(NatConfig, WhatIsNoTargetIsRefused) {
    for (const std::string text :
         {"", "host", "192.0.2.9-192.0.2.1", "192.0.2.1-2001:db8::1", "192.0.2.1:", "192.0.2.1:0",
          "192.0.2.1:90-80", "192.0.2.1:65536", "[192.0.2.1]:80", "[2001:db8::1", "[2001:db8::1]80"})
        EXPECT_FALSE(Scalar<NatTarget>::parse(text)) << text;
}

TEST(NatConfig, WhatIsLeftOutIsTheProfiles) {
    for (const auto profile : {conntrack::Profile::rfc, conntrack::Profile::linux})
        EXPECT_EQ(NatOptions().settings(profile), NatSettings::of(profile));
    NatOptions options;
    options.filtering = Dependence::endpoint_independent;
    options.hairpin = true;
    options.ports_per_host = 7;
    options.hold_down = std::chrono::seconds(5);
    NatSettings expected = NatSettings::of(conntrack::Profile::linux);
    expected.filtering = Dependence::endpoint_independent;
    expected.hairpin = true;
    expected.ports_per_host = 7;
    expected.hold_down = std::chrono::seconds(5);
    EXPECT_EQ(options.settings(conntrack::Profile::linux), expected);
}

}  // namespace
}  // namespace sluice::nat
