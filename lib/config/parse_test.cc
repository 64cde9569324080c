// The tree: exact places, every syntax mistake located, and nothing in a file that could harm.
#include <gtest/gtest.h>

#include <string>

#include "config/node.hh"
#include "config/places.hh"
#include "config/text_check.hh"

namespace sluice::config {
namespace {

struct Parsed {
    Node root;
    Problems problems;
};

Parsed parsed(std::string_view text, const Limits& limits = {}) {
    Parsed result;
    result.root = parse("f.yaml", text, result.problems, limits);
    return result;
}

// The only problem of a text.
std::string problem_of(std::string_view text, const Limits& limits = {}) {
    const auto result = parsed(text, limits);
    EXPECT_EQ(result.problems.size(), 1U) << result.problems.text();
    return result.problems.empty() ? "" : result.problems.all().front().text();
}

const Node& child(const Node& node, std::string_view key) {
    const auto* entry = node.find(key);
    EXPECT_NE(entry, nullptr) << key;
    static const Node none;
    return entry == nullptr ? none : entry->value;
}

TEST(Parse, KeepsPlacesTextsAndQuotes) {
    const auto [root, problems] =
        parsed("# a comment\na: no\nb:\n  - 'x'\n  - 010\n\"c\": {d: ::/0, e: [1, 2]}\n");
    ASSERT_TRUE(problems.empty()) << problems.text();
    ASSERT_TRUE(root.is_mapping());
    EXPECT_EQ(child(root, "a").text, "no");
    EXPECT_EQ(child(root, "a").mark, (Mark{2, 4}));
    EXPECT_FALSE(child(root, "a").quoted);
    const Node& b = child(root, "b");
    ASSERT_TRUE(b.is_sequence());
    EXPECT_TRUE(b.items[0].quoted);
    EXPECT_EQ(b.items[1].text, "010");
    EXPECT_EQ(b.items[1].mark, (Mark{5, 5}));
    EXPECT_EQ(child(child(root, "c"), "d").text, "::/0");
    EXPECT_EQ(root.find("c")->key_mark, (Mark{6, 1}));
}

TEST(Parse, CountsColumnsInCharacters) {
    const auto [root, problems] = parsed("{ü: 'größe', b: x}\n");
    EXPECT_EQ(child(root, "b").mark, (Mark{1, 17}));
    EXPECT_EQ(child(root, "ü").mark, (Mark{1, 5}));
}

TEST(Parse, TakesJson) {
    const auto [root, problems] =
        parsed("{\n\t\"a\": 1,\n\t\"b\": [true, \"x\\n\\/\\u00e9\"],\n\t\"c\": null\n}\n");
    ASSERT_TRUE(problems.empty()) << problems.text();
    EXPECT_EQ(child(root, "b").items[1].text, "x\n/é");
    EXPECT_EQ(child(root, "c").text, "null");
    EXPECT_FALSE(child(root, "c").quoted);
}

TEST(Parse, TakesCrlfAndByteOrderMark) {
    const auto [root, problems] = parsed(
        "\xef\xbb\xbf"
        "a: 1\r\nb: x\r\n");
    ASSERT_TRUE(problems.empty()) << problems.text();
    EXPECT_EQ(child(root, "a").mark, (Mark{1, 4}));
    EXPECT_EQ(child(root, "b").text, "x");
    EXPECT_EQ(child(root, "b").mark, (Mark{2, 4}));
}

TEST(Parse, KeepsTheWordsForNothing) {
    const auto [root, problems] =
        parsed("a: null\nb:\nc: ~\nd: [null, NULL]\nnull: 5\ne:\nNull: 6\nf: null\n");
    ASSERT_TRUE(problems.empty()) << problems.text();
    EXPECT_EQ(child(root, "a").text, "null");
    EXPECT_TRUE(child(root, "b").is_null());
    EXPECT_EQ(child(root, "b").mark, (Mark{2, 1}));
    EXPECT_EQ(child(root, "c").text, "~");
    EXPECT_EQ(child(root, "d").items[1].text, "NULL");
    EXPECT_EQ(child(root, "null").text, "5");
    EXPECT_TRUE(child(root, "e").is_null());
    EXPECT_EQ(child(root, "Null").text, "6");
    EXPECT_EQ(child(root, "f").text, "null");
}

TEST(Parse, OfNothingIsANullNode) {
    for (const std::string_view text : {"", "\n\n", "# only a comment\n", "---\n"}) {
        const auto [root, problems] = parsed(text);
        EXPECT_TRUE(problems.empty()) << problems.text();
        EXPECT_TRUE(root.is_null());
        EXPECT_FALSE(root.broken);
    }
}

TEST(Parse, FindsEveryDuplicate) {
    const auto [root, problems] = parsed("a: 1\nb:\n  x: 1\n  y: 2\n  x: {z: 1, z: 2}\na: 3\na: [4]\n");
    EXPECT_EQ(problems.text(),
              "f.yaml:5:3: b.x: the key is given twice, first in line 3; expected each key once\n"
              "f.yaml:5:13: b.x.z: the key is given twice, first in line 5; expected each key once\n"
              "f.yaml:6:1: a: the key is given twice, first in line 1; expected each key once\n"
              "f.yaml:7:1: a: the key is given twice, first in line 1; expected each key once\n");
    EXPECT_EQ(child(root, "a").text, "1");
    EXPECT_EQ(child(child(root, "b"), "x").text, "1");
}

TEST(Parse, RefusesAliasesAnchorsAndTags) {
    EXPECT_EQ(problem_of("a: *x\n"),
              "f.yaml:1:4: a: aliases are not taken; expected plain YAML; text that begins with "
              "* needs quotes");
    const auto both = parsed("a: &x [1]\nb: [2, *x]\n");
    ASSERT_EQ(both.problems.size(), 2U) << both.problems.text();
    EXPECT_EQ(both.problems.all()[0].path, "a");
    EXPECT_EQ(both.problems.all()[1].path, "b[1]");
    EXPECT_EQ(problem_of("saddr: !10.0.0.0/8\n"),
              "f.yaml:1:8: saddr: unquoted text that begins with ! is a tag in YAML; expected "
              "\"!10.0.0.0/8\", in quotes");
    EXPECT_EQ(problem_of("a: !!int 5\n"),
              "f.yaml:1:4: a: tags are not taken; expected plain YAML; text that begins "
              "with ! needs quotes");
}

TEST(Parse, BillionLaughsStayUntold) {
    std::string text = "a: &a [lol, lol]\n";
    for (char name = 'b'; name <= 'z'; ++name) {
        text += name;
        text += ": &";
        text += name;
        for (const char* separator : {" [*", ", *", ", *"}) {
            text += separator;
            text += static_cast<char>(name - 1);
        }
        text += "]\n";
    }
    const auto [root, problems] = parsed(text);
    EXPECT_EQ(problems.size(), 26U + 25U * 3U);
}

TEST(Parse, RefusesASecondDocument) {
    EXPECT_EQ(problem_of("a: 1\n---\nb: 2\n"),
              "f.yaml:2:1: a second document begins here; expected one document; if it shall be one, check "
              "how far lines "
              "are indented");
    EXPECT_EQ(parsed(" a: 1\nb: 2\n").problems.all().front().mark, (Mark{2, 1}));
    EXPECT_TRUE(parsed("---\na: 1\n...\n").problems.empty());
}

TEST(Parse, LocatesMistakesOfSyntax) {
    EXPECT_EQ(problem_of("a: b: c\n"),
              "f.yaml:1:5: a `:` cannot stand here; expected text that has `: ` in it in quotes, and keys "
              "of one "
              "mapping equally indented");
    EXPECT_EQ(problem_of("a: [1, 2\nb: 3\n"), "f.yaml:1:4: a: this `[` is never closed; expected `]`");
    EXPECT_EQ(problem_of("x: 1\na: {b: 1\n"), "f.yaml:2:4: a: this `{` is never closed; expected `}`");
    EXPECT_EQ(problem_of("a: @set\n"),
              "f.yaml:1:4: a: text cannot begin with @ unquoted; expected it in quotes, as in \"@name\"");
    EXPECT_EQ(problem_of("a: \"x\n"),
              "f.yaml:1:4: a: these quotes are never closed; expected the closing quote");
    EXPECT_EQ(problem_of("a: \"x"), "f.yaml:1:6: a: the text ends within quotes; expected the closing quote");
    EXPECT_EQ(problem_of("- a: 'it''s\n- x\n"),
              "f.yaml:1:6: [0].a: these quotes are never closed; expected the closing quote");
    EXPECT_TRUE(parsed("a: \"x\\\"\\\\\"\nb: 'it''s'\nc: ''\n").problems.empty());
    EXPECT_EQ(problem_of("a:\n  b: 1\n c: 2\n"),
              "f.yaml:3:2: this does not continue the mapping above; expected `key: value`, indented as the "
              "keys before");
    EXPECT_EQ(problem_of("? [a]\n: b\n"), "f.yaml:1:3: a key must be a single text; expected `key: value`");
    EXPECT_EQ(problem_of(": b\n"), "f.yaml:1:1: a key is missing here; expected `key: value`");
}

TEST(Parse, RefusesTabsThatIndent) {
    const auto [root, problems] = parsed("a:\n\tb: 1\n");
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems.all().front().mark.line, 2U);
    EXPECT_TRUE(root.broken);
}

TEST(Parse, RefusesWhatIsNoText) {
    const std::string not_utf8 = "expected text in UTF-8 with lines ended by \\n or \\r\\n";
    EXPECT_EQ(problem_of(std::string("a: 1\nb: \x00\n", 10)), "f.yaml:2:4: a control character; " + not_utf8);
    EXPECT_EQ(problem_of("a: \x04\nb: 1\n"), "f.yaml:1:4: a control character; " + not_utf8);
    EXPECT_EQ(problem_of("ä: \xff\n"), "f.yaml:1:4: this is not UTF-8; " + not_utf8);
    EXPECT_EQ(problem_of("a: 1\rb: 2\r"), "f.yaml:1:5: a carriage return stands alone; " + not_utf8);
    EXPECT_EQ(problem_of("\xff\xfe"
                         "a"),
              "f.yaml:1:1: the file is in UTF-16; expected UTF-8");
}

// yaml-cpp makes of these escapes bytes that are no UTF-8.
TEST(Parse, RefusesEscapesThatBreakUtf8) {
    const std::string refusal =
        "the text has an escape that is not taken; expected the character itself, or \\uXXXX";
    EXPECT_EQ(problem_of("a: [\"x\\N\"]\n"), "f.yaml:1:5: a[0]: " + refusal);
    EXPECT_EQ(problem_of("\"\\_\": 1\n"), "f.yaml:1:1: " + refusal);
    EXPECT_EQ(child(parsed("a: \"\\x41\\u00e9\\L\\U0001f600\"\n").root, "a").text, "A\u00e9\u2028\U0001f600");
}

TEST(Parse, KnowsWellFormedUtf8) {
    for (const std::string_view good : {"a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                        "\xef\xbf\xbd", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
        EXPECT_EQ(utf8_length(good), good.size());
    for (const std::string_view bad :
         {"\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x80\xaf", "\xed\xa0\x80",
          "\xe1\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff"})
        EXPECT_EQ(utf8_length(bad), 0U);
}

TEST(Parse, BoundsDepth) {
    Limits limits;
    limits.depth = 4;
    EXPECT_TRUE(parsed("[[[[1]]]]", limits).problems.empty());
    EXPECT_EQ(problem_of("[[[[[1]]]]]", limits),
              "f.yaml:1:5: [0][0][0][0]: this is nested too deep; expected at most 4 "
              "levels");
    for (const std::string_view opening : {"[", "{a: ", "- ", "{", "[{"}) {
        std::string text;
        for (int i = 0; i < 20000; ++i)
            text += opening;
        EXPECT_FALSE(parsed(text).problems.empty());
    }
}

TEST(Parse, BoundsSizeAndNumberOfValues) {
    Limits limits;
    limits.bytes = 10;
    EXPECT_EQ(problem_of("a: 12345678", limits), "f.yaml: the file is too large; expected at most 10 bytes");
    limits.bytes = 100;
    limits.nodes = 3;
    EXPECT_TRUE(parsed("[1, 2]", limits).problems.empty());
    EXPECT_EQ(problem_of("[1, 2, 3]", limits),
              "f.yaml:1:8: [2]: the file has too many values; expected at most 3");
}

TEST(Parse, TakesHugeScalars) {
    const std::string huge(size_t{1} << 18, 'x');
    for (const std::string& text : {"a: " + huge + "\n", "a: \"" + huge + "\"\n", "a: |\n  " + huge + "\n"}) {
        const auto [root, problems] = parsed(text);
        ASSERT_TRUE(problems.empty()) << problems.text();
        EXPECT_GE(child(root, "a").text.size(), huge.size());
    }
}

TEST(Parse, MergeKeysAreKeysLikeAnyOther) {
    const auto [root, problems] = parsed("<<: {a: 1}\n");
    EXPECT_TRUE(problems.empty());
    EXPECT_NE(root.find("<<"), nullptr);
}

TEST(Places, AreFoundInAnyOrder) {
    Places places("ab\n\nü x\n");
    EXPECT_EQ(places.find(7), (Mark{3, 3}));
    EXPECT_EQ(places.find(0), (Mark{1, 1}));
    EXPECT_EQ(places.find(3), (Mark{2, 1}));
    EXPECT_EQ(places.find(2), (Mark{1, 3}));
    EXPECT_EQ(places.find(6), (Mark{3, 2}));
    EXPECT_EQ(places.find(4), (Mark{3, 1}));
    EXPECT_EQ(places.find(100), (Mark{4, 1}));
    EXPECT_EQ(places.find(1), (Mark{1, 2}));
    EXPECT_EQ(places.from(7), "x\n");
    EXPECT_EQ(places.from(100), "");
}

TEST(Problems, AreSortedBoundedAndPrintable) {
    Problems problems;
    for (uint32_t i = 0; i < 300; ++i)
        problems.add(Problem{"f", {300 - i, 1}, "p", "m", "h"});
    EXPECT_EQ(problems.all().size(), Problems::kMax);
    EXPECT_EQ(problems.size(), 300U);
    EXPECT_EQ(problems.left_out(), 100U);
    EXPECT_EQ(problems.all().front().mark.line, 101U);
    EXPECT_TRUE(problems.text().ends_with("and 100 more\n"));
    EXPECT_EQ(problems.first(), (Error{"f:101:1: p: m (and 299 more)", "h"}));

    Problems one;
    one.add(Problem{"f", {}, "", std::string("\x1b[2J\n") + std::string(5000, 'x'), ""});
    EXPECT_LT(one.text().size(), 1000U);
    EXPECT_TRUE(one.text().starts_with("f: \\x1b[2J\\nxxx"));
}

}  // namespace
}  // namespace sluice::config
