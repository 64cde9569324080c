// Structs read by their declarations: every mistake reported once, at its place, none hiding another.
#include "config/mapping.hh"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "config/document.hh"
#include "config/example.hh"
#include "config/print.hh"

namespace sluice::config {
namespace {

using namespace std::chrono_literals;
using example::Automatic;
using example::Colour;
using example::Everything;
using example::Leaf;
using example::Unlimited;

Everything read(std::string_view text) {
    const auto result = read_text<Everything>("f.yaml", text, "/etc/sluice");
    EXPECT_TRUE(result) << result.error().text();
    return result.value_or(Everything{});
}

std::string problems_of(std::string_view text) {
    const auto result = read_text<Everything>("f.yaml", text);
    return result ? "" : result.error().text();
}

TEST(Mapping, AbsentKeysKeepTheirDefaults) {
    EXPECT_EQ(read(""), Everything{});
    EXPECT_EQ(read("{}"), Everything{});
    EXPECT_EQ(read("flag: true"), Everything{});
}

TEST(Mapping, ReadsEveryKindOfMember) {
    const auto all = read(R"(
flag: false
tiny: 9
balance: -7
huge: 18446744073709551615
text: no
mac: 02:00:00:00:01:01
ip4: 192.0.2.1
ip6: fd00::1
ip: ::1
prefix: ::/0
address: fd00:1::1/64
wait: 1500ms
age: 2h
rate: 5/minute
size: 1G
port: 443
endpoint: "[::1]:80"
share: 0.5%
mode: 0600
file: sets/../blocklist.txt
colour: red
colours: [green]
words: one
leaf: {name: x}
maybe_leaf: {name: y, number: 2}
leaves: [{name: a}, {name: b, number: 1024}]
sorted: {b: 2, a: 1}
named: {wan: {name: w}, lan: {name: l}}
workers: [1, 2]
errors: unlimited
located: 5
reference: lan
references: [wan, lan]
saddr: 10.0.0.0/8
ports: 80-90
action: {jump: guard}
)");
    EXPECT_FALSE(all.flag);
    EXPECT_EQ(all.huge, UINT64_MAX);
    EXPECT_EQ(all.text, "no");
    EXPECT_EQ(all.ip, *IpAddress::parse("::1"));
    EXPECT_EQ(all.prefix, IpPrefix::any(Family::ip6));
    EXPECT_EQ(all.wait, 1500ms);
    EXPECT_EQ(all.age, 2h);
    EXPECT_EQ(all.size.count, uint64_t{1} << 30);
    EXPECT_EQ(all.mode.bits, 0600U);
    EXPECT_EQ(all.file, (Path{"sets/../blocklist.txt", "/etc/sluice/blocklist.txt"}));
    EXPECT_EQ(all.colours, std::vector{Colour::green});
    EXPECT_EQ(all.words, std::vector<std::string>{"one"});
    EXPECT_EQ(all.leaf.number, 7);
    EXPECT_EQ(all.maybe_leaf->number, 2);
    EXPECT_EQ(all.leaves.size(), 2U);
    EXPECT_EQ(all.sorted, (std::map<std::string, uint32_t>{{"a", 1}, {"b", 2}}));
    EXPECT_EQ(all.named.names(), (std::vector<std::string>{"wan", "lan"}));
    EXPECT_EQ(all.named.find("lan")->name, "l");
    EXPECT_EQ(std::get<std::vector<uint16_t>>(all.workers), (std::vector<uint16_t>{1, 2}));
    EXPECT_TRUE(std::holds_alternative<Unlimited>(all.errors));
    EXPECT_EQ(all.located.value, 5U);
    EXPECT_EQ(all.references.size(), 2U);
    EXPECT_EQ(all.shared.ports, (std::vector{PortRange{80, 90}}));
    EXPECT_EQ(all.action.jump, "guard");
}

TEST(Mapping, RemembersPlaces) {
    const auto all =
        read("leaves:\n  - name: a\n  - {name: b}\nnamed:\n  lan: {name: x}\nlocated: 5\nreference: lan\n");
    EXPECT_EQ(all.leaves[1].at.mark, (Mark{3, 5}));
    EXPECT_EQ(all.leaves[1].at.path, "leaves[1]");
    EXPECT_EQ(*all.leaves[1].at.file, "f.yaml");
    EXPECT_EQ(all.named.begin()->at.path, "named.lan");
    EXPECT_EQ(all.located.at.mark, (Mark{6, 10}));
    EXPECT_EQ(all.reference.at.inside("x").path, "reference.x");
}

TEST(Mapping, TheShapeChoosesTheAlternative) {
    EXPECT_EQ(std::get<uint16_t>(read("workers: 3").workers), 3);
    EXPECT_TRUE(std::holds_alternative<Automatic>(read("workers: auto").workers));
    EXPECT_TRUE(std::holds_alternative<Automatic>(read("workers: \"auto\"").workers));
    EXPECT_EQ(std::get<Rate>(read("errors: 5/hour").errors), (Rate{5, Rate::Unit::hour}));
    EXPECT_EQ(problems_of("workers: atuo"),
              "f.yaml:1:10: workers: 'atuo' is none of what may stand here; expected a whole number from 1 "
              "to 64, a list, "
              "each item a whole number from 1 to 64, or auto (did you mean 'auto'?)\n");
    EXPECT_EQ(problems_of("workers: [1, 65]"),
              "f.yaml:1:14: workers[1]: '65' is too large; expected a whole number from 1 to 64\n");
    EXPECT_EQ(problems_of("workers: {a: 1}"),
              "f.yaml:1:10: workers: a mapping stands here; expected a whole number from 1 to 64, a list, "
              "each item a "
              "whole number from 1 to 64, or auto\n");
}

TEST(Mapping, NothingIsAnEmptyListOrNoValue) {
    const auto all = read("colours:\nip:\nmaybe_leaf: null\nnamed:\nleaves: ~\nsaddr: null\n");
    EXPECT_TRUE(all.colours.empty());
    EXPECT_FALSE(all.ip);
    EXPECT_FALSE(all.maybe_leaf);
    EXPECT_FALSE(all.shared.saddr);
    EXPECT_EQ(problems_of("tiny:\n"),
              "f.yaml:1:1: tiny: nothing stands here; expected a whole number from 0 to 255\n");
    EXPECT_EQ(read("text: null").text, "null");
}

TEST(Mapping, TenMistakesAreTenMessages) {
    EXPECT_EQ(problems_of("flag: no\n"
                          "tinny: 5\n"
                          "balance: -2000\n"
                          "mac: 02:00:00:00:01\n"
                          "prefix: 10.0.0.1/8\n"
                          "colour: grene\n"
                          "leaf: {number: 1}\n"
                          "leaves: [{name: a, number: 13}]\n"
                          "reference: lann\n"
                          "named: {lan: {name: [x]}}\n"
                          "flag: true\n"),
              "f.yaml:1:7: flag: 'no' is not a truth value; expected true or false (did you mean 'false'?)\n"
              "f.yaml:2:1: tinny: unknown key; expected one of 36 known ones (did you mean 'tiny'?)\n"
              "f.yaml:3:10: balance: '-2000' is too small; expected a whole number from -1000 to 1000\n"
              "f.yaml:4:6: mac: '02:00:00:00:01' is not a MAC address; expected a MAC address such as "
              "02:00:00:00:01:01\n"
              "f.yaml:5:9: prefix: '10.0.0.1/8' has bits set behind its length; write 10.0.0.0/8\n"
              "f.yaml:6:9: colour: 'grene' is none of the known values; expected one of red, green, "
              "dark_blue (did you "
              "mean 'green'?)\n"
              "f.yaml:7:7: leaf: 'name' is missing; expected a text\n"
              "f.yaml:8:28: leaves[0].number: 13 is unlucky; expected any other number\n"
              "f.yaml:9:12: reference: there is no leaf 'lann'; expected lan (did you mean 'lan'?)\n"
              "f.yaml:10:21: named.lan.name: a list stands here; expected a text\n"
              "f.yaml:11:1: flag: the key is given twice, first in line 1; expected each key once\n");
}

TEST(Mapping, BoundsHold) {
    EXPECT_EQ(problems_of("wait: 9ms"),
              "f.yaml:1:7: wait: '9ms' is too small; expected a duration such as 30s, 5m, 2h, "
              "1d, 100ms, or seconds, from 10ms to 1d\n");
    EXPECT_EQ(read("wait: 10ms").wait, 10ms);
    EXPECT_EQ(read("wait: 86400").wait, 24h);
    EXPECT_NE(problems_of("wait: 86401"), "");
    EXPECT_NE(problems_of("size: 1025G"), "");
    EXPECT_EQ(problems_of("port: 0"),
              "f.yaml:1:7: port: '0' is too small; expected a port from 1 to 65535\n");
    EXPECT_EQ(problems_of("sorted: {a: 1000001}"),
              "f.yaml:1:13: sorted.a: '1000001' is too large; expected a whole number from 0 to 1000000\n");
    EXPECT_EQ(problems_of("words: [a, b, c, d, e, f]"),
              "f.yaml:1:8: words: has 6 items; expected at most 5\n");
    EXPECT_EQ(problems_of("leaf: {name: ''}"),
              "f.yaml:1:14: leaf.name: has no characters; expected at least 1\n");
    EXPECT_EQ(problems_of("leaf: {name: " + std::string(21, 'x') + "}"),
              "f.yaml:1:14: leaf.name: has 21 characters; expected at most 20\n");
}

TEST(Mapping, WrongKindsAreNamed) {
    EXPECT_EQ(problems_of("- a\n"),
              "f.yaml:1:1: a list stands here; expected an example, a mapping of keys to values\n");
    EXPECT_EQ(problems_of("just text\n"),
              "f.yaml:1:1: 'just text' stands here; expected an example, a mapping of keys to values\n");
    EXPECT_EQ(problems_of("leaves: 5"),
              "f.yaml:1:9: leaves: '5' stands here; expected a list, each item a leaf\n");
    EXPECT_EQ(problems_of("named: [a]"),
              "f.yaml:1:8: named: a list stands here; expected a mapping from names, each to a leaf\n");
    EXPECT_EQ(problems_of("words: {a: b}"),
              "f.yaml:1:8: words: a mapping stands here; expected a text, or a list of "
              "such\n");
    EXPECT_EQ(problems_of("action: drop"),
              "f.yaml:1:9: action: this is no action; expected accept or {jump: CHAIN}\n");
}

TEST(Mapping, NamesAreChecked) {
    EXPECT_EQ(
        problems_of("named: {'a b': {name: x}}"),
        "f.yaml:1:9: named.a b: 'a b' is not a name; expected at most 64 letters, digits, '_', '.' or '-'\n");
    EXPECT_NE(problems_of("sorted: {" + std::string(65, 'a') + ": 1}"), "");
    EXPECT_EQ(read("sorted: {" + std::string(64, 'a') + ": 1, eth0.100: 2, null: 3}").sorted.size(), 3U);
}

TEST(Mapping, ABrokenEntryStillResolvesReferences) {
    EXPECT_EQ(problems_of("named: {lan: {name: x, number: 5000}}\nreference: lan\n"),
              "f.yaml:1:32: named.lan.number: '5000' is too large; expected a whole number from 1 to 1024\n");
}

TEST(Mapping, ARefusedNodeIsReportedOnce) {
    EXPECT_EQ(problems_of("tiny: *x\nbalance: 1\n"),
              "f.yaml:1:7: tiny: aliases are not taken; expected plain YAML; text "
              "that begins with * needs quotes\n");
    EXPECT_EQ(problems_of("leaf: !x\n"),
              "f.yaml:1:7: leaf: unquoted text that begins with ! is a tag in YAML; expected "
              "\"!x\", in quotes\n");
}

TEST(Mapping, DeclarationsAreCheckedThemselves) {
    EXPECT_THROW(Mapping<Leaf>("x").optional("a", &Leaf::name, "").optional("a", &Leaf::number, ""),
                 std::logic_error);
    EXPECT_THROW(Mapping<Leaf>("x").optional("a", &Leaf::name, "").range(1, 2), std::logic_error);
    EXPECT_THROW(Mapping<Leaf>("x").optional("a", &Leaf::number, "").range(1s, 2s), std::logic_error);
    EXPECT_THROW(Mapping<Leaf>("x").optional("a", &Leaf::number, "").range(2, 1), std::logic_error);
    EXPECT_THROW(Mapping<Leaf>("x").not_empty(), std::logic_error);
    const auto lower = Mapping<Leaf>("x").optional("a", &Leaf::number, "").at_least(5);
    EXPECT_EQ(lower.options()[0].expected(lower.options()[0].constraint), "a whole number of at least 5");
}

TEST(Document, AFileIsReadFromItsFolder) {
    const std::string path = testing::TempDir() + "sluice_config_test.yaml";
    std::ofstream(path) << "file: x.txt\ntiny: 3\n";
    const auto result = read_file<Everything>(path);
    ASSERT_TRUE(result) << result.error().text();
    EXPECT_EQ(result->tiny, 3);
    EXPECT_EQ(result->file.full, testing::TempDir() + "x.txt");
    std::ofstream(path) << "tiny: x\n";
    EXPECT_EQ(read_file<Everything>(path).error().text(),
              path + ":1:7: tiny: 'x' is not a whole number; expected a whole number from 0 to 255\n");
    std::remove(path.c_str());
    EXPECT_EQ(read_file<Everything>(path).error().text(),
              path + ": cannot be read: No such file or directory; expected a readable file\n");
    EXPECT_EQ(read_file<Everything>("/").error().text(),
              "/: cannot be read: it is a directory; expected a readable file\n");
}

TEST(Names, TheNearestIsWhatWasMeant) {
    constexpr std::array<std::string_view, 6> kKnown{"budget",    "poll", "steering",
                                                     "rp_filter", "mtu",  "workers"};
    EXPECT_EQ(nearest("bugdet", kKnown), "budget");
    EXPECT_EQ(nearest("BUDGET", kKnown), "budget");
    EXPECT_EQ(nearest("rp-filter", kKnown), "rp_filter");
    EXPECT_EQ(nearest("worker", kKnown), "workers");
    EXPECT_EQ(nearest("mut", kKnown), "mtu");
    EXPECT_EQ(nearest("xyz", kKnown), "");
    EXPECT_EQ(nearest("", kKnown), "");
    EXPECT_EQ(nearest(std::string(65, 'a'), kKnown), "");
    EXPECT_EQ(one_of("x", std::span<const std::string_view>()), "there are none");
}

}  // namespace
}  // namespace sluice::config
