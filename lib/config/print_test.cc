// What is printed reads as the same value again; what changed between two values is found; the reference
// tells all.
#include "config/print.hh"

#include <gtest/gtest.h>

#include <sstream>

#include "config/difference.hh"
#include "config/document.hh"
#include "config/example.hh"
#include "config/reference.hh"

namespace sluice::config {
namespace {

using namespace std::chrono_literals;
using example::Everything;
using example::Leaf;

void reads_back(const Everything& value) {
    for (const std::string& text : {to_yaml(value), to_json(value)}) {
        const auto again = read_text<Everything>("printed", text, "/x");
        ASSERT_TRUE(again) << again.error().text() << text;
        EXPECT_EQ(*again, value) << text;
    }
}

Everything unusual() {
    Everything value;
    value.flag = false;
    value.balance = -1000;
    value.huge = UINT64_MAX;
    value.ip = *IpAddress::parse("fd00::1");
    value.prefix = IpPrefix::any(Family::ip6);
    value.wait = 90min;
    value.file = {"a b/ü.txt", "/x/a b/ü.txt"};
    value.colours.clear();
    value.words = {"no", "22:30", "010", "a: b", ""};
    value.maybe_leaf = Leaf{"- x", 3, {}};
    value.leaves = {Leaf{"#", 1, {}}, Leaf{"y", 2, {}}};
    value.sorted = {{"null", 1}, {"1.5", 2}, {"-", 3}};
    value.named.add("yes", Leaf{"n", 1, {}});
    value.named.add("eth0.1", Leaf{"{", 1, {}});
    value.workers = std::vector<uint16_t>{1, 2};
    value.errors = example::Unlimited::unlimited;
    value.reference.name = "yes";
    value.references = {{"eth0.1", {}}};
    value.shared.ports = {{80, 80}, {1000, 2000}};
    value.shared.saddr = *IpPrefix::parse("10.0.0.0/8");
    value.action.jump = "x";
    return value;
}

TEST(Print, DefaultsReadBack) {
    reads_back(Everything{});
}

TEST(Print, UnusualValuesReadBack) {
    reads_back(unusual());
}

TEST(Print, EveryStringReadsBack) {
    for (const std::string text : {"",
                                   " ",
                                   "a",
                                   "no",
                                   "null",
                                   "~",
                                   "1",
                                   "1.5",
                                   "1e3",
                                   "0x1f",
                                   "2027-01-31",
                                   "22:30",
                                   "a: b",
                                   "a #b",
                                   "#",
                                   "- a",
                                   "-",
                                   "?",
                                   ":",
                                   ": ",
                                   "[",
                                   "]",
                                   "{",
                                   "}",
                                   ",",
                                   "a,b",
                                   "&x",
                                   "*x",
                                   "!x",
                                   "@x",
                                   "%x",
                                   "`x",
                                   "|",
                                   ">",
                                   "\"",
                                   "'",
                                   "\\",
                                   "a\nb",
                                   "\n",
                                   "a\n",
                                   "\t",
                                   "trailing ",
                                   " leading",
                                   "---",
                                   "...",
                                   "<<",
                                   "=",
                                   "ü",
                                   "\xc2\x85",
                                   "\xe2\x80\xa8",
                                   "\xef\xbb\xbf",
                                   "\xf0\x9f\x98\x80",
                                   "a\\nb",
                                   ".inf",
                                   "+1",
                                   "1_000",
                                   "true",
                                   "10s",
                                   "1.2.3.4"}) {
        Everything value;
        value.text = text;
        value.words = {text, text};
        value.leaves = {Leaf{text.empty() ? "x" : text, 1, {}}};
        reads_back(value);
    }
    Everything value;
    value.text = std::string(size_t{1} << 16, 'x') + "\n";
    reads_back(value);
}

TEST(Print, YamlIsWrittenForPeople) {
    Node root = Node::mapping();
    root.append("count", Node::bare("5"));
    root.append("word", Node::string("no"));
    root.append("time", Node::string("22:30"));
    root.append("address", Node::string("192.168.1.1/24"));
    root.append("wait", Node::string("30s"));
    Node& list = root.append("ports", Node::sequence());
    list.append(Node::bare("80"));
    list.append(Node::string("1000-2000"));
    Node& rules = root.append("rules", Node::sequence());
    Node& rule = rules.append(Node::mapping());
    rule.append("name", Node::string("a"));
    rule.append("empty", Node::mapping());
    rules.append(Node::sequence()).append(Node::bare("1"));
    root.append("none", Node::sequence());
    EXPECT_EQ(yaml_text(root),
              "count: 5\nword: \"no\"\ntime: \"22:30\"\naddress: 192.168.1.1/24\nwait: 30s\nports: [80, "
              "\"1000-2000\"]\n"
              "rules:\n  - name: a\n    empty: {}\n  - [1]\nnone: []\n");
    EXPECT_EQ(inline_text(rules), "[{name: a, empty: {}}, [1]]");
    EXPECT_EQ(json_text(*&list), "[\n  80,\n  \"1000-2000\"\n]\n");
}

TEST(Print, LongListsTakeALineForEachItem) {
    Node root = Node::mapping();
    Node& list = root.append("list", Node::sequence());
    for (int i = 0; i < 30; ++i)
        list.append(Node::string("item" + std::to_string(i)));
    const std::string text = yaml_text(root);
    EXPECT_TRUE(text.starts_with("list:\n  - item0\n  - item1\n")) << text;
    Problems problems;
    EXPECT_EQ(parse("x", text, problems), root);
}

struct Choice {
    std::optional<uint16_t> number = uint16_t{5};
    bool operator==(const Choice&) const = default;
};

}  // namespace

template <>
struct Schema<Choice> {
    static const Mapping<Choice>& get() {
        static const auto mapping =
            Mapping<Choice>("a choice").optional("number", &Choice::number, "a number");
        return mapping;
    }
};

namespace {

TEST(Print, NoValueIsToldFromTheDefault) {
    Choice none;
    none.number.reset();
    EXPECT_EQ(to_yaml(none), "number:\n");
    EXPECT_EQ(read_text<Choice>("x", to_yaml(none))->number, std::nullopt);
    EXPECT_EQ(read_text<Choice>("x", to_json(none))->number, std::nullopt);
    EXPECT_EQ(read_text<Choice>("x", "")->number, 5);
}

TEST(Difference, IsNamedByPath) {
    const Everything before = unusual();
    EXPECT_TRUE(differences(before, before).empty());
    Everything after = unusual();
    after.tiny = 99;
    after.ip.reset();
    after.colour = example::Colour::red;
    after.leaf.number = 8;
    after.sorted.erase("-");
    after.named.begin()->value.number = 2;
    after.named.add("new", Leaf{"z", 7, {}});
    after.shared.ports.pop_back();
    EXPECT_EQ(differences(before, after), (std::vector<Difference>{
                                              {"tiny", "1", "99", false},
                                              {"ip", "\"fd00::1\"", "", false},
                                              {"colour", "green", "red", true},
                                              {"leaf.number", "7", "8", true},
                                              {"sorted.-", "3", "", false},
                                              {"named.yes.number", "1", "2", false},
                                              {"named.new", "", "{name: z, number: 7}", false},
                                              {"ports", "[80, \"1000-2000\"]", "[80]", false},
                                          }));
}

TEST(Reference, TellsAllOfEachKey) {
    std::ostringstream out;
    write_reference(out, Schema<Everything>::get());
    const std::string text = out.str();
    for (const std::string_view part :
         {"| key | takes | default | meaning |",
          "| `balance` | a whole number from -1000 to 1000 | `-5` | a signed number |",
          "| `colour` | red, green or dark_blue | `green` | a colour; needs a restart to change |",
          "| `leaf` | a leaf; see [`leaf`](#leaf) |  | one leaf; needs a restart to change |",
          "| `named` | a mapping from names, each to a leaf; see [`leaf`](#leaf) | none | leaves by name |",
          "\n## `leaf`\n\nA leaf.\n", "| `name` | a text; length 1 to 20 | required | what it is called |",
          "| `saddr` | a prefix such as 192.0.2.0/24"})
        EXPECT_NE(text.find(part), std::string::npos) << part << "\nin\n" << text;
    EXPECT_EQ(text.find("## `leaf`"), text.rfind("## `leaf`"));
}

}  // namespace
}  // namespace sluice::config
