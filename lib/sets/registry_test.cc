#include "sets/registry.hh"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "sets/set_test_support.hh"

namespace sluice::sets {
namespace {

// A file that the test writes, and that goes with it.
class File {
  public:
    explicit File(std::string_view text) {
        std::string name = std::filesystem::temp_directory_path() / "sets_XXXXXX";
        ::close(::mkstemp(name.data()));
        path_ = name;
        write(text);
    }
    ~File() { std::filesystem::remove(path_); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    void write(std::string_view text) const { std::ofstream(path_) << text; }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

SetDeclaration declared(std::string name, std::string_view type, std::vector<std::string> elements = {}) {
    SetDeclaration declaration;
    declaration.name = std::move(name);
    declaration.options.type = type_of(type);
    for (auto& text : elements)
        declaration.elements.push_back({std::move(text), std::nullopt, "", {}});
    return declaration;
}

class Registry : public testing::Test {
  protected:
    // What prepare() found wrong, with FILE standing for the file's name.
    std::string apply(const std::vector<SetDeclaration>& declarations, const std::vector<SetUse>& uses = {}) {
        config::Problems problems;
        auto table = registry.prepare(declarations, uses, at(1), problems);
        EXPECT_EQ(table == nullptr, !problems.empty());
        if (table)
            registry.adopt(std::move(table));
        return problems.text();
    }
    bool has(const char* set, const char* text) {
        const Set* found = registry.find(set);
        return found != nullptr && found->contains(probe(found->options().type, text), at(1));
    }
    void add(const char* set, const char* text) {
        Set& found = *registry.find(set);
        ASSERT_TRUE(found.add(std::vector{element(found.options().type, text)}, at(1)));
    }

    Grace grace;
    SetRegistry registry{7, grace.retire()};
};

TEST_F(Registry, BuildsSetsFromElementsAndFiles) {
    const File file("# head\n\n10.0.0.0/8 # ten\r\n192.0.2.1 timeout 1h comment \"one\"\n2001:db8::/32");
    auto block = declared("block", "net", {"172.16.0.0/12"});
    block.file = file.path();
    EXPECT_EQ(apply({block, declared("web", "ip,port", {"192.0.2.1,80"})}), "");
    for (const char* in : {"10.1.1.1", "192.0.2.1", "2001:db8::1", "172.16.0.1"})
        EXPECT_TRUE(has("block", in)) << in;
    EXPECT_TRUE(has("web", "192.0.2.1,80"));
    EXPECT_EQ(registry.find("nothing"), nullptr);
    EXPECT_EQ(registry.find("block")->find(element(type_of("net"), "192.0.2.1").value, at(1))->comment,
              "one");
}

TEST_F(Registry, TellsOfEveryMistakeWithItsLine) {
    const File file(
        "10.0.0.0/8\nnonsense\n10.0.0.1/8\n192.0.2.1 timeout\n192.0.2.0-192.0.2.9\n"
        "192.0.2.5-192.0.2.20\n");
    auto block = declared("block", "net");
    block.file = file.path();
    auto list = declared("list", "ip", {"10.0.0.0/8"});
    EXPECT_EQ(apply({declared("kept", "ip", {"192.0.2.1"})}), "");
    const std::string text = apply({block, list});
    for (const char* line :
         {":2:1: sets.block: 'nonsense' is no network", ":3:1: ", ":4:1: ",
          ":6:1: sets.block: '192.0.2.5-192.0.2.20' overlaps '192.0.2.0-192.0.2.9' of line 5",
          "'10.0.0.0/8' is more than one address"})
        EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
    EXPECT_TRUE(has("kept", "192.0.2.1"));
}

TEST_F(Registry, ASetThatIsTooSmallSaysSoOnce) {
    const File file("192.0.2.1\n192.0.2.2\n192.0.2.3\n192.0.2.4\n");
    auto set = declared("small", "ip");
    set.options.size = 2;
    set.file = file.path();
    const std::string text = apply({set});
    EXPECT_NE(text.find(":3:1: sets.small: the set is full"), std::string::npos) << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

TEST_F(Registry, FilesThatCannotBeReadAreRefused) {
    auto set = declared("block", "net");
    for (const char* path : {"/nowhere/to/be/found", "/tmp", "/dev/zero"}) {
        set.file = path;
        EXPECT_NE(apply({set}).find(path), std::string::npos);
    }
}

TEST_F(Registry, LiveChangesSurviveUntilTheDeclarationChanges) {
    const File file("10.0.0.0/8\n");
    auto set = declared("block", "net", {"192.0.2.1"});
    set.file = file.path();
    EXPECT_EQ(apply({set}), "");
    const Set* before = registry.find("block");
    add("block", "172.16.0.0/12");
    set.description = "other words";
    EXPECT_EQ(apply({set}), "");
    EXPECT_EQ(registry.find("block"), before);
    EXPECT_TRUE(has("block", "172.16.0.1"));
    // Other options: another object, the same content.
    set.options.size = 1000;
    EXPECT_EQ(apply({set}), "");
    EXPECT_NE(registry.find("block"), before);
    EXPECT_TRUE(has("block", "172.16.0.1"));
    EXPECT_TRUE(has("block", "10.0.0.1"));
    file.write("11.0.0.0/8\n");
    EXPECT_EQ(apply({set}), "");
    EXPECT_FALSE(has("block", "172.16.0.1"));
    EXPECT_FALSE(has("block", "10.0.0.1"));
    EXPECT_TRUE(has("block", "11.0.0.1"));
}

TEST_F(Registry, AFileWithMistakesLeavesTheSetAsItIs) {
    const File file("10.0.0.0/8\n");
    auto set = declared("block", "net");
    set.file = file.path();
    EXPECT_EQ(apply({set}), "");
    add("block", "192.0.2.1");
    file.write("11.0.0.0/8\nwrong\n");
    config::Problems problems;
    EXPECT_FALSE(registry.reload("block", at(1), problems));
    EXPECT_NE(problems.text().find(":2:1:"), std::string::npos);
    EXPECT_NE(apply({set}), "");
    EXPECT_TRUE(has("block", "192.0.2.1"));
    EXPECT_TRUE(has("block", "10.0.0.1"));
    file.write("11.0.0.0/8\n12.0.0.0/8\n");
    config::Problems none;
    const auto changed = registry.reload("block", at(1), none);
    ASSERT_TRUE(changed);
    EXPECT_EQ(changed->added, 2U);
    EXPECT_EQ(changed->removed, 2U);
    EXPECT_TRUE(has("block", "12.0.0.1"));
    // What was reloaded counts as declared.
    add("block", "192.0.2.7");
    EXPECT_EQ(apply({set}), "");
    EXPECT_TRUE(has("block", "192.0.2.7"));
}

TEST_F(Registry, IdsStayWithNames) {
    EXPECT_EQ(apply({declared("a", "ip"), declared("b", "ip")}), "");
    const auto a = registry.table()->find("a");
    const auto b = registry.table()->find("b");
    EXPECT_NE(a, b);
    EXPECT_EQ(apply({declared("c", "ip"), declared("b", "ip")}), "");
    EXPECT_EQ(registry.table()->find("b"), b);
    EXPECT_FALSE(registry.table()->find("a"));
    EXPECT_NE(registry.table()->find("c"), b);
    EXPECT_EQ(&(*registry.table())[*b], registry.find("b"));
}

TEST_F(Registry, SetsThatRulesAddToAreDynamicAndKnown) {
    EXPECT_EQ(apply({declared("seen", "ip"), declared("web", "ip")},
                    {{"seen", "filter.input.note", true}, {"web", "filter.input.pass", false}}),
              "");
    EXPECT_TRUE(registry.find("seen")->options().dynamic);
    EXPECT_FALSE(registry.find("web")->options().dynamic);
    EXPECT_EQ(registry.table()->entry("seen")->uses.at(0).by, "filter.input.note");
    EXPECT_TRUE(registry.find("seen")->add(probe(type_of("ip"), "192.0.2.1"), at(1), 60));
    // The rule goes, what it added stays.
    EXPECT_EQ(apply({declared("seen", "ip"), declared("web", "ip")}), "");
    EXPECT_FALSE(registry.find("seen")->options().dynamic);
    EXPECT_TRUE(has("seen", "192.0.2.1"));
}

TEST_F(Registry, TheGenerationFollowsRepeatableSets) {
    auto counted = declared("counted", "ip");
    counted.options.counters = true;
    EXPECT_EQ(apply({declared("plain", "ip"), counted}), "");
    uint64_t last = registry.generation();
    add("plain", "192.0.2.1");
    EXPECT_NE(registry.generation(), last);
    last = registry.generation();
    add("counted", "192.0.2.1");
    EXPECT_EQ(registry.generation(), last);
}

TEST_F(Registry, MaintenanceSweeps) {
    EXPECT_EQ(apply({declared("a", "ip")}), "");
    add("a", "192.0.2.1 timeout 5s");
    registry.maintain(at(5));
    EXPECT_EQ(registry.find("a")->element_count(), 1U);
    registry.maintain(at(6));
    EXPECT_EQ(registry.find("a")->element_count(), 0U);
}

}  // namespace
}  // namespace sluice::sets
