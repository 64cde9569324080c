// The whole loop over a packet path that only notes what it was asked.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "replay/driver.hh"
#include "replay/test_directory.hh"

namespace sluice::replay {
namespace {

constexpr InterfaceId kLan{3};
constexpr InterfaceId kWan{7};

// What a frame's first byte asks for.
enum Kind : uint8_t { forward = 1, discard = 2, hold = 3 };

// Forwards to the other side, holds for 100 ns and gives up, or discards. Notes times.
class FakeDataplane : public Dataplane {
  public:
    std::vector<Interface> interfaces() const override { return {{kWan, "wan"}, {kLan, "lan"}}; }

    Expected<void> begin(Instant first) override {
        begun.push_back(first.time_since_epoch().count());
        if (refuses)
            return fail("cannot begin", "never");
        return {};
    }

    Expected<void> advance(Instant now, std::vector<TimerOutcome>& caused) override {
        advanced.push_back(now.time_since_epoch().count());
        if (now >= ends)
            return fail("cannot go on", "never");
        while (!held_.empty() && held_.front() <= now) {
            Outcome outcome{.reason = "gave_up", .outputs = {{kLan, {0xee}}}};
            caused.push_back({held_.front(), FinalVerdict::drop, std::move(outcome)});
            held_.erase(held_.begin());
            --totals_.held;
            ++totals_.dropped;
            ++totals_.originated;
            ++totals_.sent;
        }
        return {};
    }

    Outcome inject(InterfaceId interface, std::span<const uint8_t> frame, Instant now) override {
        ++totals_.received;
        switch (frame[0]) {
            case forward:
                ++totals_.sent;
                return {.hook = "forward",
                        .rule = "say \"yes\"",
                        .ct_state = "new",
                        .outputs = {{interface == kLan ? kWan : kLan, {frame.begin(), frame.end()}}}};
            case hold:
                ++totals_.held;
                held_.push_back(now + Duration(100));
                return {.verdict = FinalVerdict::held};
            default:
                ++totals_.dropped;
                return {.verdict = FinalVerdict::drop, .reason = "unwanted"};
        }
    }

    PacketTotals totals() const override { return totals_; }
    std::vector<NamedCount> drops() const override { return {{"unwanted", 1}, {"never", 0}, {"gave_up", 1}}; }
    std::vector<std::string> flows() override { return {R"({"id":1})", R"({"id":2})"}; }
    std::vector<std::string> rules() override { return {}; }
    std::vector<NamedCount> counters() const override { return {{"IpInReceives", totals_.received}}; }

    std::vector<int64_t> begun;
    std::vector<int64_t> advanced;
    bool refuses = false;
    Instant ends = Instant::max();

  private:
    PacketTotals totals_;
    std::vector<Instant> held_;
};

class Driver : public testing::Test {
  protected:
    Expected<ReplayResult> run(std::vector<Input> inputs, std::optional<Duration> until = {},
                               std::string_view out = "out") {
        return replay({std::move(inputs), directory_ / out, until}, dataplane_);
    }
    TestDirectory directory_;
    FakeDataplane dataplane_;
};

TEST_F(Driver, WritesALineForEachPacketAndTimer) {
    const auto lan = directory_.write_capture(
        "lan.pcap", {{1'000, {hold}}, {1'050, {forward, 0xab}}, {1'000'000'000, {discard}}});
    const auto wan = directory_.write_capture("wan.pcap", {{1'200, {forward}}});
    const auto result = run({{"lan", lan}, {"wan", wan}});
    ASSERT_TRUE(result) << result.error().text();
    EXPECT_TRUE(result->damaged_captures.empty());
    EXPECT_EQ(
        directory_.read("out/packets.jsonl"),
        R"({"n":1,"time":0.000001000,"in":"lan","verdict":"held","reason":null,"hook":null,"rule":null,"ct_state":null,"out":[]})"
        "\n"
        R"({"n":2,"time":0.000001050,"in":"lan","verdict":"accept","reason":null,"hook":"forward","rule":"say \"yes\"","ct_state":"new","out":[{"interface":"wan","frame":"01ab"}]})"
        "\n"
        R"({"n":null,"time":0.000001100,"in":null,"verdict":"drop","reason":"gave_up","hook":null,"rule":null,"ct_state":null,"out":[{"interface":"lan","frame":"ee"}]})"
        "\n"
        R"({"n":3,"time":0.000001200,"in":"wan","verdict":"accept","reason":null,"hook":"forward","rule":"say \"yes\"","ct_state":"new","out":[{"interface":"lan","frame":"01"}]})"
        "\n"
        R"({"n":4,"time":1.000000000,"in":"lan","verdict":"drop","reason":"unwanted","hook":null,"rule":null,"ct_state":null,"out":[]})"
        "\n");
    EXPECT_EQ(directory_.read("out/rules.json"), "{\"items\":[],\"total\":0}\n");
    EXPECT_EQ(directory_.read("out/conntrack.json"), "{\"items\":[\n{\"id\":1},\n{\"id\":2}],\"total\":2}\n");
    directory_.write_capture("expected.pcap", {{1'100, {0xee}}, {1'200, {forward}}});
    EXPECT_EQ(directory_.read("out/lan.pcap"), directory_.read("expected.pcap"));
}

TEST_F(Driver, SumsUp) {
    const auto lan =
        directory_.write_capture("lan.pcap", {{1'000, {hold}}, {1'050, {forward, 0xab}}, {1'500, {discard}}});
    ASSERT_TRUE(run({{"lan", lan}}));
    const std::string text = directory_.read("out/summary.json");
    EXPECT_EQ(text,
              R"({
 "first":0.000001000,
 "last":0.000001500,
 "packets":{"received":3,"originated":1,"sent":2,"dropped":2,"consumed":0,"held":0},
 "verdicts":{"accept":1,"drop":2,"consumed":0,"held":1},
 "reasons":{"gave_up":1,"unwanted":1},
 "interfaces":[
  {"name":"lan","rx_packets":3,"rx_bytes":4,"tx_packets":1,"tx_bytes":1},
  {"name":"wan","rx_packets":0,"rx_bytes":0,"tx_packets":1,"tx_bytes":2}],
 "counters":{"IpInReceives":3},
 "captures":[
  {"interface":"lan","frames":3,"short_frames":0,"times_set_right":0}]
}
)");
    EXPECT_TRUE(boost::json::parse(text).is_object());
    EXPECT_TRUE(dataplane_.totals().balanced());
}

TEST_F(Driver, TheClockStartsWithTheFirstFrame) {
    const auto lan = directory_.write_capture("lan.pcap", {{1'000, {forward}}, {1'200, {discard}}});
    const auto wan = directory_.write_capture("wan.pcap", {{900, {forward}}});
    ASSERT_TRUE(run({{"lan", lan}, {"wan", wan}}));
    EXPECT_EQ(dataplane_.begun, std::vector<int64_t>{900});
    EXPECT_EQ(dataplane_.advanced, (std::vector<int64_t>{900, 1'000, 1'200}));
}

TEST_F(Driver, TimersRunBeforeTheFrameOfTheirTime) {
    const auto lan = directory_.write_capture("lan.pcap", {{1'000, {hold}}, {1'100, {forward}}});
    ASSERT_TRUE(run({{"lan", lan}}));
    const std::string lines = directory_.read("out/packets.jsonl");
    EXPECT_LT(lines.find("gave_up"), lines.find("\"n\":2"));
}

TEST_F(Driver, UntilLeavesOutLaterFramesAndRunsTimersToTheEnd) {
    const auto lan = directory_.write_capture("lan.pcap", {{1'000, {hold}}, {1'300, {discard}}});
    const auto result = run({{"lan", lan}}, Duration(250));
    ASSERT_TRUE(result);
    EXPECT_EQ(dataplane_.advanced, (std::vector<int64_t>{1'000, 1'250}));
    EXPECT_EQ(result->summary.last, at(1'250));
    EXPECT_EQ(result->summary.packets.received, 1U);
    EXPECT_EQ(result->summary.packets.dropped, 1U);
    EXPECT_EQ(result->summary.captures[0].frames, 1U);
}

TEST_F(Driver, WithoutUntilTheLastFrameEndsIt) {
    const auto lan = directory_.write_capture("lan.pcap", {{1'000, {hold}}});
    const auto result = run({{"lan", lan}});
    ASSERT_TRUE(result);
    EXPECT_EQ(result->summary.packets.held, 1U);
    EXPECT_TRUE(result->summary.packets.balanced());
}

TEST_F(Driver, AnEmptyCaptureGivesEmptyResults) {
    ASSERT_TRUE(run({{"lan", directory_.write_capture("lan.pcap", {})}}, Duration(5)));
    EXPECT_EQ(directory_.read("out/packets.jsonl"), "");
    EXPECT_TRUE(dataplane_.advanced.empty());
}

TEST_F(Driver, RefusesBeforeAnythingIsWritten) {
    const auto lan = directory_.write_capture("lan.pcap", {{1'000, {forward}}});
    const auto unknown = run({{"lan", lan}, {"dmz", lan}});
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().text(),
              "the configuration has no device interface 'dmz' (frames may enter by: wan, lan)");
    EXPECT_FALSE(run({{"lan", lan}, {"wan", directory_ / "missing.pcap"}}));
    EXPECT_TRUE(dataplane_.begun.empty());
    dataplane_.refuses = true;
    const auto refused = run({{"lan", lan}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "cannot begin");
    EXPECT_FALSE(std::filesystem::exists(directory_ / "out"));
}

TEST_F(Driver, TellsOfDamageAndKeepsWhatCameBefore) {
    const auto lan = directory_.write_capture("lan.pcap", {{1'000, {forward}}, {2'000, {forward}}});
    std::filesystem::resize_file(lan, std::filesystem::file_size(lan) - 1);
    const auto result = run({{"lan", lan}});
    ASSERT_TRUE(result);
    EXPECT_EQ(result->damaged_captures.size(), 1U);
    EXPECT_EQ(result->summary.packets.received, 1U);
}

TEST_F(Driver, EndsWhereThePacketPathCannotGoOn) {
    const auto lan = directory_.write_capture("lan.pcap", {{1'000, {forward}}, {2'000, {forward}}});
    dataplane_.ends = at(2'000);
    const auto result = run({{"lan", lan}});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "cannot go on");
    EXPECT_EQ(dataplane_.totals().received, 1U);
}

TEST_F(Driver, SaysWhereResultsCannotBeWritten) {
    const auto lan = directory_.write_capture("lan.pcap", {{1'000, {forward}}});
    directory_.write("file", "in the way");
    const auto result = run({{"lan", lan}}, {}, "file/out");
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().hint.find("--out"), std::string::npos);
}

TEST(ParseUntil, TakesSecondsWithFractions) {
    EXPECT_EQ(parse_until("30").value(), std::chrono::seconds(30));
    EXPECT_EQ(parse_until("0.5").value(), std::chrono::milliseconds(500));
    EXPECT_EQ(parse_until("0").value(), Duration(0));
    for (const char* wrong : {"", "-1", "nan", "inf", "1e30", "5s", "x"}) {
        EXPECT_FALSE(parse_until(wrong)) << wrong;
    }
}

}  // namespace
}  // namespace sluice::replay
