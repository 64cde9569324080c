#include "conntrack/config.hh"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "config/document.hh"
#include "config/print.hh"

namespace sluice::conntrack {

// A document with the section and something beside it.
struct ConntrackDocument {
    ConntrackConfig conntrack;
    bool operator==(const ConntrackDocument&) const = default;
};

}  // namespace sluice::conntrack

template <>
struct sluice::config::Schema<sluice::conntrack::ConntrackDocument> {
    static const Mapping<conntrack::ConntrackDocument>& get() {
        static const auto mapping =
            Mapping<conntrack::ConntrackDocument>("a document")
                .optional("conntrack", &conntrack::ConntrackDocument::conntrack, "connection tracking");
        return mapping;
    }
};

namespace sluice::conntrack {
namespace {

using std::chrono::seconds;

ConntrackConfig read(const std::string& section) {
    const auto document = config::read_text<ConntrackDocument>("f.yaml", "conntrack: " + section + "\n");
    EXPECT_TRUE(document) << document.error().text();
    return document ? document->conntrack : ConntrackConfig{};
}
std::string problems(const std::string& section) {
    const auto document = config::read_text<ConntrackDocument>("f.yaml", "conntrack: " + section + "\n");
    return document ? "" : document.error().text();
}

TEST(ConntrackConfig, DefaultsAreTheRfcs) {
    for (const std::string section : {"", "{}", "{profile: rfc}"})
        EXPECT_EQ(read(section), ConntrackConfig::of(Profile::rfc)) << section;
    EXPECT_EQ(config::read_text<ConntrackDocument>("f.yaml", "{}")->conntrack, ConntrackConfig{});
    EXPECT_EQ(ConntrackConfig{}, ConntrackConfig::of(Profile::rfc));
    EXPECT_EQ(ConntrackConfig{}.settings(), Settings::of(Profile::rfc));
}

TEST(ConntrackConfig, ProfileLinux) {
    const ConntrackConfig conntrack = read("{profile: linux}");
    EXPECT_EQ(conntrack, ConntrackConfig::of(Profile::linux));
    EXPECT_EQ(conntrack.settings(), Settings::of(Profile::linux));
    EXPECT_TRUE(conntrack.tcp_loose);
    EXPECT_EQ(conntrack.when_full, WhenFull::early_drop);
    EXPECT_EQ(conntrack.reserve.hundredths, 0U);
    EXPECT_FALSE(conntrack.pressure);
    EXPECT_EQ(conntrack.timeouts.tcp_established, seconds(432000));
    EXPECT_EQ(conntrack.timeouts.udp, seconds(30));
}

// R4787-5, R4787-5c, R5508-2, R5382-5
TEST(ConntrackConfig, TimeoutsOfTheRfcs) {
    const Timeouts timeouts = ConntrackConfig{}.settings().timeouts;
    EXPECT_GE(timeouts[Timeout::udp], seconds(120));
    EXPECT_GE(timeouts[Timeout::udp_stream], seconds(300));
    EXPECT_GE(timeouts[Timeout::icmp], seconds(60));
    EXPECT_GE(timeouts[Timeout::icmpv6], seconds(60));
    EXPECT_GE(timeouts[Timeout::tcp_established], seconds(7440));
    for (const auto each : {Timeout::tcp_syn_sent, Timeout::tcp_syn_recv, Timeout::tcp_fin_wait,
                            Timeout::tcp_close_wait, Timeout::tcp_last_ack, Timeout::tcp_time_wait})
        EXPECT_GE(timeouts[each], seconds(240));
}

TEST(ConntrackConfig, WhatIsWrittenWins) {
    const ConntrackConfig conntrack = read(
        "{timeouts: {udp_stream: 10m, tcp_close: 1s}, tcp_loose: false, profile: linux, max: 1000, "
        "reserve: 5%, when_full: refuse_new, pressure: true, tcp_be_liberal: true, "
        "tcp_ignore_invalid_rst: true, tcp_max_retrans: 7, checksum: false, helpers: [tftp, ftp]}");
    const Settings settings = conntrack.settings();
    EXPECT_EQ(settings.timeouts[Timeout::udp_stream], seconds(600));
    EXPECT_EQ(settings.timeouts[Timeout::tcp_close], seconds(1));
    EXPECT_EQ(settings.timeouts[Timeout::udp], seconds(30)) << "the profile's, although it is written behind";
    EXPECT_FALSE(settings.tcp_loose);
    EXPECT_TRUE(settings.tcp_be_liberal);
    EXPECT_TRUE(settings.tcp_ignore_invalid_rst);
    EXPECT_EQ(settings.tcp_max_retrans, 7);
    EXPECT_FALSE(settings.checksum);
    EXPECT_TRUE(settings.has(Helper::ftp));
    EXPECT_TRUE(settings.has(Helper::tftp));
    EXPECT_FALSE(ConntrackConfig{}.settings().has(Helper::ftp));
    EXPECT_EQ(conntrack.when_full, WhenFull::refuse_new);
    EXPECT_TRUE(conntrack.pressure);
}

// Each timeout goes where it belongs.
TEST(ConntrackConfig, EveryTimeoutHasItsKey) {
    for (size_t place = 0; place < kTimeouts; ++place) {
        const std::string name(kTimeoutCatalog.at(place).name);
        const Timeouts timeouts = read("{timeouts: {" + name + ": 77s}}").settings().timeouts;
        for (size_t other = 0; other < kTimeouts; ++other)
            EXPECT_EQ(timeouts[static_cast<Timeout>(other)] == seconds(77), other == place) << name;
    }
}

TEST(ConntrackConfig, TimeoutsMayBeShorterThanASecond) {
    const Timeouts timeouts = read("{timeouts: {udp: 100ms}}").settings().timeouts;
    EXPECT_EQ(timeouts[Timeout::udp], std::chrono::milliseconds(100));
}

TEST(ConntrackConfig, PrintsEffectiveValuesThatReadBack) {
    const auto document = config::read_text<ConntrackDocument>(
        "f.yaml", "conntrack: {profile: linux, per_source: {wan: 20}, helpers: [ftp]}");
    ASSERT_TRUE(document);
    const std::string text = config::to_yaml(*document);
    EXPECT_NE(text.find("tcp_established: \"5d\""), std::string::npos) << text;
    EXPECT_NE(text.find("when_full: early_drop"), std::string::npos) << text;
    EXPECT_EQ(config::read_text<ConntrackDocument>("g.yaml", text), *document);
}

TEST(ConntrackConfig, Refuses) {
    for (const auto& [section, told] : std::initializer_list<std::pair<std::string, std::string>>{
             {"{profile: bsd}", "conntrack.profile"},
             {"{max: 0}", "conntrack.max"},
             {"{reserve: 51%}", "conntrack.reserve"},
             {"{timeouts: {udp: 0}}", "conntrack.timeouts.udp"},
             {"{timeouts: {udp: 99ms}}", "conntrack.timeouts.udp"},
             {"{timeouts: {udp: 26d}}", "conntrack.timeouts.udp"},
             {"{timeouts: {udp_streams: 1m}}", "did you mean 'udp_stream'"},
             {"{tcp_max_retrans: 256}", "conntrack.tcp_max_retrans"},
             {"{helpers: [sip]}", "conntrack.helpers"},
             {"{helpers: [ftp, ftp]}", "named twice"},
             {"{max: 10, per_source: {wan: 11}}", "more flows than there may be"},
             {"{per_source: {wan: 0}}", "conntrack.per_source.wan"},
             {"{tcp_loos: true}", "did you mean 'tcp_loose'"},
             {"7", "conntrack"}})
        EXPECT_NE(problems(section).find(told), std::string::npos) << section << ": " << problems(section);
    const std::string both = problems("{profile: bsd, max: 0}");
    EXPECT_NE(both.find("conntrack.max"), std::string::npos) << both;
}

TEST(ConntrackConfig, LimitsOfAWorker) {
    const ConntrackConfig conntrack =
        read("{max: 1001, reserve: 10%, per_source: {inside: 100, lan: 30, guests: 200}}");
    const auto named = [](std::string_view name) -> std::vector<InterfaceId> {
        if (name == "inside")
            return {InterfaceId{1}, InterfaceId{2}};
        return {name == "lan" ? InterfaceId{1} : InterfaceId{2}};
    };
    const Limits one = conntrack.limits(1, 1, named);
    EXPECT_EQ(one.max, 1001U);
    EXPECT_EQ(one.reserve, 100U);
    EXPECT_EQ(one.per_source[0], 0U);
    EXPECT_EQ(one.per_source[1], 30U);
    EXPECT_EQ(one.per_source[2], 100U);
    EXPECT_EQ(one.when_full, WhenFull::refuse_new);
    EXPECT_TRUE(one.pressure);
    const Limits half = conntrack.limits(1, 2, named);
    EXPECT_EQ(half.max, 501U);
    EXPECT_EQ(half.reserve, 50U);
    EXPECT_EQ(half.per_source[1], 15U);
    const Limits most = conntrack.limits(96, 128, named);
    EXPECT_EQ(most.max, 751U);
    EXPECT_EQ(most.per_source[1], 23U);
}

TEST(ConntrackConfig, NamesOfPerSourceMustExist) {
    const ConntrackConfig conntrack = read("{per_source: {wan: 20, lann: 30}}");
    config::Problems found;
    check_per_source(conntrack, {"wan", "lan"}, found);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_NE(found.text().find("did you mean 'lan'"), std::string::npos) << found.text();
    EXPECT_EQ(found.all()[0].mark.line, 1U);
}

}  // namespace
}  // namespace sluice::conntrack
