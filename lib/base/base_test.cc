#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/address.hh"
#include "base/file.hh"
#include "base/prefix.hh"
#include "base/random.hh"
#include "base/wall_time.hh"

namespace sluice {
namespace {

TEST(MacAddress, ReadsWhatItWrites) {
    const auto mac = MacAddress::parse("02:00:5e:Ff:01:fe");
    ASSERT_TRUE(mac);
    EXPECT_EQ(mac->to_string(), "02:00:5e:ff:01:fe");
    for (const auto* bad :
         {"", "02:00:00:00:01", "02:00:00:00:01:0g", "02-00-00-00-01-01", "02:00:00:00:01:011"})
        EXPECT_FALSE(MacAddress::parse(bad)) << bad;
}

TEST(IpAddress, ReadsBothFamiliesAndRefusesOthers) {
    EXPECT_EQ(IpAddress::parse("192.0.2.1")->to_string(), "192.0.2.1");
    EXPECT_EQ(IpAddress::parse("2001:DB8:0::1")->to_string(), "2001:db8::1");
    for (const auto* bad : {"", "192.0.2", "192.0.2.256", "010.0.0.1", "22:30", "::g", "fe80::1%lan"})
        EXPECT_FALSE(IpAddress::parse(bad)) << bad;
}

TEST(IpAddress, KnowsSpecialRanges) {
    EXPECT_TRUE(Ip4Address::parse("169.254.1.1")->is_link_local());
    EXPECT_TRUE(Ip4Address::parse("224.0.0.1")->is_multicast());
    EXPECT_TRUE(Ip4Address::parse("255.255.255.255")->is_class_e());
    EXPECT_FALSE(Ip4Address::parse("223.255.255.255")->is_multicast());
    EXPECT_TRUE(Ip6Address::parse("febf::1")->is_link_local());
    EXPECT_FALSE(Ip6Address::parse("fec0::1")->is_link_local());
    EXPECT_EQ(Ip6Address::parse("2001:db8::1:2345:6789")->solicited_node().to_string(), "ff02::1:ff45:6789");
    EXPECT_EQ(Ip6Address::link_local(*MacAddress::parse("02:00:00:00:01:01")).to_string(),
              "fe80::ff:fe00:101");
}

TEST(MulticastMac, FollowsTheGroup) {
    EXPECT_EQ(multicast_mac(*Ip4Address::parse("239.129.2.3")).to_string(), "01:00:5e:01:02:03");
    EXPECT_EQ(multicast_mac(*Ip6Address::parse("ff02::1:ff45:6789")).to_string(), "33:33:ff:45:67:89");
}

TEST(IpPrefix, RefusesBitsBehindTheLength) {
    EXPECT_EQ(IpPrefix::parse("10.0.0.0/8")->to_string(), "10.0.0.0/8");
    EXPECT_EQ(IpPrefix::parse("10.1.2.3")->to_string(), "10.1.2.3/32");
    EXPECT_EQ(IpPrefix::parse("::/0")->length(), 0);
    EXPECT_EQ(IpPrefix::parse("10.0.0.1/8").error().hint, "write 10.0.0.0/8");
    for (const auto* bad : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "2001:db8::/129", "/8"})
        EXPECT_FALSE(IpPrefix::parse(bad)) << bad;
}

TEST(IpPrefix, ContainsAddressesOfItsFamily) {
    const auto prefix = *IpPrefix::parse("2001:db8:8000::/33");
    EXPECT_TRUE(prefix.contains(*IpAddress::parse("2001:db8:ffff::1")));
    EXPECT_FALSE(prefix.contains(*IpAddress::parse("2001:db8:7fff::1")));
    EXPECT_FALSE(IpPrefix::any(Family::ip6).contains(*IpAddress::parse("192.0.2.1")));
    EXPECT_TRUE(IpPrefix::any(Family::ip4).contains(prefix) == false);
}

TEST(InterfaceAddress, KnowsItsNetworkAndBroadcast) {
    const auto address = *InterfaceAddress::parse("192.168.1.1/24");
    EXPECT_EQ(address.network().to_string(), "192.168.1.0/24");
    EXPECT_EQ(address.broadcast().to_string(), "192.168.1.255");
    EXPECT_FALSE(InterfaceAddress::parse("192.0.2.0/31")->has_broadcast());  // R3021
    EXPECT_FALSE(InterfaceAddress::parse("192.168.1.1"));
    EXPECT_FALSE(InterfaceAddress::parse("224.0.0.1/24"));
}

TEST(Random, RepeatsForASeedAndStaysBelow) {
    Random a(7);
    Random b(7);
    for (int i = 0; i < 1000; ++i) {
        const uint32_t value = a.below(10);
        EXPECT_EQ(value, b.below(10));
        EXPECT_LT(value, 10U);
    }
}

TEST(WallTime, NumbersAndIso8601) {
    EXPECT_EQ(*parse_wall_time("1767225600"), 1767225600);
    EXPECT_EQ(*parse_wall_time("1767225600.5"), 1767225600.5);
    for (const auto* text : {"2026-01-01T00:00:00Z", "2026-01-01 00:00:00", "2026-01-01T00:00",
                             "2026-01-01T01:00:00+01:00", "2025-12-31T19:30:00-0430"})
        EXPECT_EQ(*parse_wall_time(text), 1767225600) << text;
    EXPECT_DOUBLE_EQ(*parse_wall_time("2026-01-01T00:00:01.25Z"), 1767225601.25);
    for (const auto* text :
         {"", "now", "2026-01-01", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "-5", "1e300", "nan",
          "2026-01-01T00:00:00Zz", "2026-01-01T00:00:00+1", "2026-01-01T0-:00"})
        EXPECT_FALSE(parse_wall_time(text)) << text;
}

TEST(File, IsReadWholeOrNamedWithTheReason) {
    const std::string path = testing::TempDir() + "base_file";
    std::ofstream(path) << "twelve bytes";
    EXPECT_EQ(read_file(path, 12, "some text").value(), "twelve bytes");
    EXPECT_EQ(read_file(path, 11, "some text").error().text(),
              "'" + path + "' is too large: 12 bytes, at most 11 are read (expected some text)");
    std::filesystem::remove(path);
    EXPECT_EQ(read_file(path, 12, "some text").error().text(),
              "cannot read '" + path + "': No such file or directory (expected some text)");
    EXPECT_EQ(read_file("/", 12, "some text").error().text(), "'/' is no ordinary file (expected some text)");
}

}  // namespace
}  // namespace sluice
