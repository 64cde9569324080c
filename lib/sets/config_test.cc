#include "sets/config.hh"

#include <gtest/gtest.h>

#include "config/document.hh"
#include "config/print.hh"

namespace sluice {
namespace {

struct Document {
    sets::SetsConfig sets;
    bool operator==(const Document&) const = default;
};

}  // namespace

template <>
struct config::Schema<Document> {
    static const Mapping<Document>& get() {
        static const auto mapping = Mapping<Document>("a document").optional("sets", &Document::sets, "sets");
        return mapping;
    }
};

namespace {

std::string problems(std::string_view text) {
    const auto read = config::read_text<Document>("test.yaml", text, "/etc");
    return read ? "" : read.error().text();
}

TEST(SetsConfig, ReadsWhatTheContractShows) {
    const auto read = config::read_text<Document>("test.yaml", R"(
sets:
  blocklist: {type: net, file: blocklist.txt}
  web_hosts: {type: ip, elements: [192.168.1.10, {value: 192.168.1.11, timeout: 1h, comment: "for now"}]}
  guests_seen: {type: "ip,port", size: 65536, timeout: 10m, counters: true, description: those who came}
)",
                                                  "/etc");
    ASSERT_TRUE(read) << read.error().text();
    const auto declared = sets::declarations(read->sets);
    ASSERT_EQ(declared.size(), 3U);
    EXPECT_EQ(declared[0].name, "blocklist");
    EXPECT_EQ(declared[0].file, "/etc/blocklist.txt");
    EXPECT_EQ(declared[0].options.size, sets::kDefaultSize);
    ASSERT_EQ(declared[1].elements.size(), 2U);
    EXPECT_EQ(declared[1].elements[0].value, "192.168.1.10");
    EXPECT_EQ(declared[1].elements[1].timeout, Duration(std::chrono::hours(1)));
    EXPECT_EQ(declared[1].elements[1].comment, "for now");
    EXPECT_EQ(declared[1].elements[0].at.mark.line, 4U);
    EXPECT_EQ(declared[2].options.type.to_string(), "ip,port");
    EXPECT_EQ(declared[2].options.size, 65536U);
    EXPECT_EQ(declared[2].options.timeout, Duration(std::chrono::minutes(10)));
    EXPECT_TRUE(declared[2].options.counters);
    EXPECT_EQ(declared[2].description, "those who came");
    EXPECT_EQ(config::read_text<Document>("printed", config::to_yaml(*read), "/etc"), *read);
}

TEST(SetsConfig, RefusesWhatMakesNoSet) {
    EXPECT_NE(problems("sets: {a: {}}").find("type"), std::string::npos);
    EXPECT_NE(problems("sets: {a: {type: ipv4}}").find("sets.a.type"), std::string::npos);
    EXPECT_NE(problems("sets: {a: {type: ip, size: 0}}").find("sets.a.size"), std::string::npos);
    EXPECT_NE(problems("sets: {a: {type: ip, size: 99999999}}").find("sets.a.size"), std::string::npos);
    EXPECT_NE(problems("sets: {a: {type: ip, timeout: 0s}}").find("sets.a.timeout"), std::string::npos);
    EXPECT_NE(problems("sets: {a: {type: ip, elements: [{value: 1.2.3.4, ttl: 4}]}}").find("ttl"),
              std::string::npos);
    EXPECT_NE(problems("sets: {a: {type: ip, elements: [[1.2.3.4]]}}").find("elements[0]"),
              std::string::npos);
    EXPECT_NE(
        problems("sets: {a: {type: ip, elements: [{value: 1.2.3.4, comment: 'a\"b'}]}}").find("comment"),
        std::string::npos);
}

}  // namespace
}  // namespace sluice
