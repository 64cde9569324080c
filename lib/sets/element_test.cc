#include "sets/element.hh"

#include <gtest/gtest.h>

#include "sets/element_lines.hh"
#include "sets/piece.hh"

namespace sluice::sets {
namespace {

SetType type(const char* text) {
    return *SetType::parse(text);
}

// How an element reads back, or what is wrong with it.
std::string read(const char* kind, std::string_view text) {
    const auto value = parse_element(type(kind), text);
    return value ? format(type(kind), *value) : "error: " + value.error().text();
}

TEST(SetType, IsUpToThreeFields) {
    for (const char* text :
         {"ip", "net", "port", "mac", "proto", "mark", "ip,port", "net,port,ip", "net,net"})
        EXPECT_EQ(type(text).to_string(), text);
    EXPECT_EQ(type("ip, port").to_string(), "ip,port");
    for (const char* text : {"", "ip,", "ipv4", "ip,port,ip,port", "ip port", ","})
        EXPECT_FALSE(SetType::parse(text)) << text;
}

TEST(SetType, KnowsItsWidths) {
    EXPECT_EQ(type("ip,port").key_bytes(Family::ip4), 6U);
    EXPECT_EQ(type("ip,port,net").key_bytes(Family::ip6), 34U);
    EXPECT_EQ(type("mac,mark,proto").key_bytes(Family::ip4), 11U);
}

TEST(Element, ReadsBackAsWritten) {
    EXPECT_EQ(read("ip", "192.0.2.1"), "192.0.2.1");
    EXPECT_EQ(read("ip", "2001:db8::1"), "2001:db8::1");
    EXPECT_EQ(read("net", "10.0.0.0/8"), "10.0.0.0/8");
    EXPECT_EQ(read("net", "0.0.0.0/0"), "0.0.0.0/0");
    EXPECT_EQ(read("net", "::/0"), "::/0");
    EXPECT_EQ(read("net", "2001:db8::/32"), "2001:db8::/32");
    EXPECT_EQ(read("net", "192.0.2.1-192.0.2.9"), "192.0.2.1-192.0.2.9");
    EXPECT_EQ(read("net", "192.0.2.1 - 192.0.2.9"), "192.0.2.1-192.0.2.9");
    EXPECT_EQ(read("net", "192.0.2.0-192.0.2.255"), "192.0.2.0/24");
    EXPECT_EQ(read("net", "192.0.2.7/32"), "192.0.2.7");
    EXPECT_EQ(read("port", "80"), "80");
    EXPECT_EQ(read("port", "1000-2000"), "1000-2000");
    EXPECT_EQ(read("mac", "02:00:00:00:01:01"), "02:00:00:00:01:01");
    EXPECT_EQ(read("proto", "tcp"), "tcp");
    EXPECT_EQ(read("proto", "6"), "tcp");
    EXPECT_EQ(read("proto", "200"), "200");
    EXPECT_EQ(read("mark", "0xff"), "255");
    EXPECT_EQ(read("ip,port", "192.0.2.1,443"), "192.0.2.1,443");
    EXPECT_EQ(read("ip,port", "192.0.2.1 . 443"), "192.0.2.1,443");
    EXPECT_EQ(read("port,ip", "443,2001:db8::1"), "443,2001:db8::1");
    EXPECT_EQ(read("net,port,ip", "10.0.0.0/8 . 1-5 . 192.0.2.1"), "10.0.0.0/8,1-5,192.0.2.1");
}

TEST(Element, SaysWhatIsWrong) {
    EXPECT_EQ(read("ip", "10.0.0.0/8"),
              "error: '10.0.0.0/8' is more than one address (a set of type net holds prefixes and ranges)");
    EXPECT_EQ(read("net", "10.0.0.1/8"),
              "error: '10.0.0.1/8' has bits set behind the prefix (did you mean 10.0.0.0/8?)");
    EXPECT_EQ(read("net", "10.0.0.9-10.0.0.1"), "error: '10.0.0.9-10.0.0.1' ends before it begins");
    EXPECT_EQ(read("ip,ip", "10.0.0.1,::1"),
              "error: '10.0.0.1,::1' mixes IPv4 and IPv6 (expected addresses of one family)");
    EXPECT_EQ(read("ip,port", "10.0.0.1"),
              "error: '10.0.0.1' is no element of a set of type ip,port (expected the fields ip,port)");
    for (const char* text :
         {"", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "1.2.3.4x", "1.2.3.4/", "1.2.3.4/33",
          "1.2.3.4/08", "::1/129", "::1-1.2.3.4", "1.2.3.4-", "host", "1.2.3.4,5", "-", "/8"})
        EXPECT_FALSE(parse_element(type("net"), text)) << text;
    for (const char* text : {"", "65536", "-1", "1-", "2-1", "080", "1-2-3", "http", "1 2"})
        EXPECT_FALSE(parse_element(type("port"), text)) << text;
    for (const char* text : {"256", "TCP", "", "0x06"})
        EXPECT_FALSE(parse_element(type("proto"), text)) << text;
    for (const char* text : {"4294967296", "0x", "0x100000000", "-1", "0xfg"})
        EXPECT_FALSE(parse_element(type("mark"), text)) << text;
}

TEST(Element, TimeoutsAreNftables) {
    using std::chrono::milliseconds;
    using std::chrono::seconds;
    EXPECT_EQ(*parse_timeout("90"), Duration(seconds(90)));
    EXPECT_EQ(*parse_timeout("1d2h3m4s"), Duration(seconds(93784)));
    EXPECT_EQ(*parse_timeout("500ms"), Duration(milliseconds(500)));
    for (const char* text :
         {"", "0", "0s", "-1s", "1x", "1s2m", "1s1s", "5m3", "99999999d", "1 s", "4294967295d"})
        EXPECT_FALSE(parse_timeout(text)) << text;
}

TEST(Line, HasOptionsAndRemarks) {
    const auto line = parse_line(type("net"), "  10.0.0.0/8 timeout 10m comment \"a # b\"  # said Bob\r");
    ASSERT_TRUE(line && *line);
    EXPECT_EQ(format(type("net"), (*line)->value), "10.0.0.0/8");
    EXPECT_EQ((*line)->timeout, Duration(std::chrono::minutes(10)));
    EXPECT_EQ((*line)->comment, "a # b");
    for (const char* empty : {"", "   ", "# 10.0.0.1", "\t# x", "\r"})
        EXPECT_TRUE(parse_line(type("net"), empty) && !*parse_line(type("net"), empty)) << empty;
    EXPECT_TRUE(*parse_line(type("net"), "10.0.0.1#x"));
    EXPECT_TRUE(*parse_line(type("net,port"), "10.0.0.1 . 1-2 timeout 5s"));
    EXPECT_TRUE(*parse_line(type("net,port"), "10.0.0.1, 80 timeout 5s"));
    for (const char* bad :
         {"10.0.0.1 10.0.0.2", "10.0.0.1 timeout", "10.0.0.1 timeout 1x", "10.0.0.1 comment x",
          "10.0.0.1 comment \"x", "10.0.0.1 timeout 1s timeout 1s", "x # y"})
        EXPECT_FALSE(parse_line(type("net"), bad)) << bad;
}

TEST(Line, CountsFamilies) {
    const auto count = count_lines("10.0.0.1\n# a: b\n\n2001:db8::1\n10.0.0.2 # x: y");
    EXPECT_EQ(count.ip4, 2U);
    EXPECT_EQ(count.ip6, 1U);
}

TEST(Pieces, CoverTheElementExactly) {
    const auto count = [](const char* kind, const char* text) {
        return count_pieces(type(kind), *parse_element(type(kind), text));
    };
    EXPECT_EQ(count("net", "0.0.0.0/0"), 1U);
    EXPECT_EQ(count("net", "::/0"), 1U);
    EXPECT_EQ(count("net", "0.0.0.1-255.255.255.254"), 62U);
    EXPECT_EQ(count("net", "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), 254U);
    EXPECT_EQ(count("port", "1-65534"), 30U);
    EXPECT_EQ(count("net,port", "0.0.0.1-255.255.255.254,1-65534"), 62U * 30);
    // All ports of the range, each in one piece.
    for (const auto& [low, high] :
         {std::pair(0, 65535), std::pair(1, 65534), std::pair(7, 7), std::pair(1000, 2000)}) {
        const auto value = *parse_element(type("port"), std::to_string(low) + "-" + std::to_string(high));
        std::vector<int> times(65536);
        for_each_piece(type("port"), value, [&](const Piece& piece) {
            const size_t base = Be16::load(piece.key.data()).host();
            for (size_t i = 0; i < size_t{1} << (16 - piece.lengths[0]); ++i)
                ++times[base + i];
        });
        for (int port = 0; port < 65536; ++port)
            ASSERT_EQ(times[static_cast<size_t>(port)], port >= low && port <= high) << port;
    }
}

}  // namespace
}  // namespace sluice::sets
