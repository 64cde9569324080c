// Each codec: what it takes, what it makes of it, what it refuses.
#include "config/scalar.hh"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/example.hh"

namespace sluice::config {
namespace {

using namespace std::chrono_literals;

template <typename T>
void takes(std::string_view text, const T& value, std::string_view canonical = {}) {
    const auto parsed = Scalar<T>::parse(text);
    ASSERT_TRUE(parsed) << text << ": " << parsed.error().text();
    EXPECT_EQ(*parsed, value) << text;
    EXPECT_EQ(Scalar<T>::format(value), canonical.empty() ? text : canonical);
    EXPECT_EQ(Scalar<T>::parse(Scalar<T>::format(value)), parsed);
}

template <typename T>
void refuses(const std::vector<std::string>& texts) {
    for (const auto& text : texts) {
        const auto parsed = Scalar<T>::parse(text);
        EXPECT_FALSE(parsed) << "'" << text << "' was taken as " << Scalar<T>::format(*parsed);
    }
    EXPECT_FALSE(Scalar<T>::expected().empty());
}

TEST(ScalarBool, IsTrueOrFalseOnly) {
    takes<bool>("true", true);
    takes<bool>("false", false);
    refuses<bool>({"", "yes", "no", "on", "off", "True", "1", "0", "y", "truefalse"});
    EXPECT_NE(Scalar<bool>::parse("no").error().hint.find("did you mean 'false'"), std::string::npos);
    EXPECT_NE(Scalar<bool>::parse("On").error().hint.find("did you mean 'true'"), std::string::npos);
}

TEST(ScalarNumber, TakesTheWholeRangeOfItsType) {
    takes<uint8_t>("0", 0);
    takes<uint8_t>("255", 255);
    takes<int8_t>("-128", -128);
    takes<int8_t>("127", 127);
    takes<uint16_t>("65535", 65535);
    takes<uint32_t>("4294967295", 4294967295U);
    takes<int64_t>("-9223372036854775808", INT64_MIN);
    takes<int64_t>("9223372036854775807", INT64_MAX);
    takes<uint64_t>("18446744073709551615", UINT64_MAX);
    takes<uint32_t>("0x1F", 31, "31");
    takes<int32_t>("-0x10", -16, "-16");
    takes<uint64_t>("0xffffffffffffffff", UINT64_MAX, "18446744073709551615");
}

TEST(ScalarNumber, RefusesAllElse) {
    refuses<uint8_t>(
        {"256", "-1", "", " 1", "1 ", "+1", "1.0", "1e2", "0x", "0x100", "1_0", "abc", "--1", "0b1"});
    refuses<int8_t>({"-129", "128", "-", "--1", "- 1", "-0x81"});
    refuses<uint64_t>({"18446744073709551616", "0x10000000000000000", "-0"});
    refuses<int64_t>({"-9223372036854775809", "9223372036854775808"});
}

TEST(ScalarNumber, RefusesWhatCouldBeOctal) {
    refuses<uint32_t>({"010", "00", "007", "-010"});
    EXPECT_EQ(Scalar<uint32_t>::parse("010").error().text(),
              "'010' has a leading zero, which some read as octal (expected it without, or with 0x for "
              "hexadecimal)");
}

TEST(ScalarText, IsWhatIsWritten) {
    for (const std::string text : {"", "no", "22:30", "010", "::/0", "null", "~", "1e3", "ümläut", "a\nb\tc"})
        takes<std::string>(text, text);
    refuses<std::string>({std::string("a\0b", 3), "\x1b[31m", "a\rb", "\x7f"});
}

TEST(ScalarAddress, FollowsTheFamilyOfTheKey) {
    takes<MacAddress>("02:00:00:00:01:01", MacAddress{{2, 0, 0, 0, 1, 1}});
    takes<MacAddress>("AA:bb:CC:dd:EE:ff", MacAddress{{0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}},
                      "aa:bb:cc:dd:ee:ff");
    refuses<MacAddress>({"", "02:00:00:00:01", "02-00-00-00-01-01", "02:00:00:00:01:0g", "0200.0000.0101"});
    takes<Ip4Address>("192.0.2.1", Ip4Address::from_host(0xc0000201));
    refuses<Ip4Address>({"", "192.0.2", "192.0.2.256", "::1", "192.0.2.1/24", "1.2.3.4.5", "0x7f.1"});
    takes<Ip6Address>("::", Ip6Address());
    refuses<Ip6Address>({"", "192.0.2.1", "::1::", "1:2:3:4:5:6:7:8:9", "fe80::1%eth0", "[::1]"});
    takes<IpAddress>("2001:db8::1", *IpAddress::parse("2001:db8::1"));
    refuses<IpAddress>({"", "localhost", "1.2.3", std::string(1000, '1')});
    takes<IpPrefix>("::/0", IpPrefix::any(Family::ip6));
    takes<IpPrefix>("10.0.0.0/8", *IpPrefix::parse("10.0.0.0/8"));
    takes<IpPrefix>("10.1.2.3", *IpPrefix::parse("10.1.2.3/32"), "10.1.2.3/32");
    refuses<IpPrefix>({"", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "::/129", "default"});
    takes<InterfaceAddress>("192.168.1.1/24", *InterfaceAddress::parse("192.168.1.1/24"));
    refuses<InterfaceAddress>({"", "192.168.1.1", "224.0.0.1/4", "0.0.0.0/0", "::/64"});
}

TEST(ScalarAddress, NeverRepeatsALongText) {
    const auto parsed = Scalar<Ip6Address>::parse(std::string(100000, ':'));
    ASSERT_FALSE(parsed);
    EXPECT_LT(parsed.error().message.size(), 200U);
}

TEST(ScalarDuration, TakesUnitsPartsAndSeconds) {
    takes<Duration>("30s", 30s);
    takes<Duration>("5m", 5min);
    takes<Duration>("2h", 2h);
    takes<Duration>("1d", 24h);
    takes<Duration>("100ms", 100ms);
    takes<Duration>("10us", 10us);
    takes<Duration>("7ns", 7ns);
    takes<Duration>("0s", 0s);
    takes<Duration>("0", 0s, "0s");
    takes<Duration>("90", 90s, "90s");
    takes<Duration>("60", 60s, "1m");
    takes<Duration>("0.5", 500ms, "500ms");
    takes<Duration>("1.25s", 1250ms, "1250ms");
    takes<Duration>("1h30m", 90min, "90m");
    takes<Duration>("1d2h3m4s", 24h + 2h + 3min + 4s, "93784s");
    takes<Duration>("9223372036854775807ns", Duration::max());
}

TEST(ScalarDuration, RefusesAllElse) {
    refuses<Duration>({"",
                       "s",
                       "-5s",
                       "5 s",
                       "5S",
                       "5w",
                       "30m1h",
                       "1h1h",
                       "1h30",
                       "1.",
                       ".5",
                       "1.s",
                       "0.0000000001",
                       "1.5ns",
                       "010s",
                       "05",
                       "106752d",
                       "9223372036854775808ns",
                       "999999999999999999999999999d",
                       "1e3",
                       "1s ",
                       "1s1"});
}

TEST(ScalarDuration, OfACoarserTypeMustBeExact) {
    takes<std::chrono::seconds>("5m", 300s);
    takes<std::chrono::seconds>("2000ms", 2s, "2s");
    refuses<std::chrono::seconds>({"1500ms", "0.5"});
    takes<std::chrono::milliseconds>("1500ms", 1500ms);
}

TEST(ScalarRate, IsAnAmountPerUnit) {
    takes<Rate>("10/second", Rate{10, Rate::Unit::second});
    takes<Rate>("5/minute", Rate{5, Rate::Unit::minute});
    takes<Rate>("1/hour", Rate{1, Rate::Unit::hour});
    takes<Rate>("0/day", Rate{0, Rate::Unit::day});
    refuses<Rate>(
        {"", "10", "10/", "/second", "10/s", "10/seconds", "1.5/second", "-1/second", "10 / second"});
    EXPECT_NE(Scalar<Rate>::parse("10/sekond").error().hint.find("did you mean 'second'"), std::string::npos);
    EXPECT_DOUBLE_EQ((Rate{120, Rate::Unit::minute}.per_second()), 2.0);
    EXPECT_EQ((Rate{1, Rate::Unit::day}.period()), 24h);
}

TEST(ScalarBytes, IsInPowersOf1024) {
    takes<Bytes>("0", Bytes{0});
    takes<Bytes>("1000", Bytes{1000});
    takes<Bytes>("64k", Bytes{65536});
    takes<Bytes>("64K", Bytes{65536}, "64k");
    takes<Bytes>("1024k", Bytes{1 << 20}, "1M");
    takes<Bytes>("16M", Bytes{16 << 20});
    takes<Bytes>("1G", Bytes{1 << 30});
    takes<Bytes>("16777215T", Bytes{uint64_t{16777215} << 40});
    refuses<Bytes>(
        {"", "k", "16777216T", "1.5G", "64kB", "64 k", "-1", "0x10", "064k", "1m", "18446744073709551616"});
}

TEST(ScalarPort, AndRangesOfThem) {
    takes<Port>("80", Port{80});
    refuses<Port>({"", "65536", "http", "80-90", "080"});
    takes<PortRange>("80", PortRange{80, 80});
    takes<PortRange>("1000-2000", PortRange{1000, 2000});
    takes<PortRange>("5-5", PortRange{5, 5}, "5");
    refuses<PortRange>({"", "-", "1-", "-1", "2000-1000", "1-65536", "1-2-3", "a-b", "1000 - 2000"});
    EXPECT_TRUE((PortRange{10, 20}.contains(20)));
    EXPECT_FALSE((PortRange{10, 20}.contains(21)));
}

TEST(ScalarEndpoint, NeedsBracketsAroundIp6) {
    takes<Endpoint>("127.0.0.1:9273", Endpoint{*IpAddress::parse("127.0.0.1"), 9273});
    takes<Endpoint>("[::1]:80", Endpoint{*IpAddress::parse("::1"), 80});
    refuses<Endpoint>({"", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:80",
                       "[127.0.0.1]:80", "[]:80", "[::1]", "[::1]80", "localhost:80", "[::1:80"});
}

TEST(ScalarPercent, HasTwoDigitsBehindThePoint) {
    takes<Percent>("2%", Percent{200});
    takes<Percent>("0%", Percent{0});
    takes<Percent>("100%", Percent{10000});
    takes<Percent>("0.25%", Percent{25});
    takes<Percent>("1.5%", Percent{150});
    takes<Percent>("1.05%", Percent{105});
    refuses<Percent>({"", "%", "2", "101%", "100.01%", "1.234%", "1.%", ".5%", "-1%", "02%", "2 %"});
    EXPECT_EQ(Percent{200}.of(1048576), 20971U);
}

TEST(ScalarFileMode, IsFourOctalDigits) {
    takes<FileMode>("0660", FileMode{0660});
    takes<FileMode>("0000", FileMode{0});
    refuses<FileMode>({"", "660", "432", "0o660", "0680", "06600", "rw-rw----", "1777"});
}

TEST(ScalarEnum, HasTheNamesOfItsList) {
    takes<example::Colour>("dark_blue", example::Colour::dark_blue);
    refuses<example::Colour>({"", "Red", "blue", "0"});
    EXPECT_EQ(Scalar<example::Colour>::parse("dark-blu").error().hint,
              "expected one of red, green, dark_blue (did you mean 'dark_blue'?)");
    EXPECT_EQ(name_of(example::Colour::red), "red");
    EXPECT_EQ(name_of(static_cast<example::Colour>(9)), "?");
}

}  // namespace
}  // namespace sluice::config
