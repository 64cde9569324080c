#include "telemetry/log.hh"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "config/document.hh"
#include "telemetry/cause_limit.hh"
#include "telemetry/journal_socket.hh"
#include "telemetry/log_line.hh"

namespace sluice::telemetry {
namespace {

using std::chrono::seconds;

constexpr WallTime kTime{std::chrono::milliseconds(1700000000123)};

TEST(LogLine, text) {
    EXPECT_EQ(text_line(kTime, LogLevel::warn, "", "hello"), "2023-11-14T22:13:20.123Z warn  hello");
    EXPECT_EQ(text_line(kTime, LogLevel::error, "table_full", "a\nb\t\x1b[31m\x7f"),
              "2023-11-14T22:13:20.123Z error a\\nb\\t\\x1b[31m\\x7f [table_full]");
}

TEST(LogLine, json) {
    EXPECT_EQ(json_line(kTime, LogLevel::info, "", "say \"\\\"\n"),
              R"({"time":1700000000.123000,"level":"info","message":"say \"\\\"\u000a"})");
    EXPECT_EQ(json_line(kTime, LogLevel::debug, "cause", "grün € 𝄞"),
              R"({"time":1700000000.123000,"level":"debug","cause":"cause","message":"grün € 𝄞"})");
}

TEST(LogLine, json_replaces_what_is_no_utf8) {
    const auto message = [](std::string_view text) {
        const std::string line = json_line(kTime, LogLevel::info, "", text);
        const size_t start = line.find("\"message\":\"") + 11;
        return line.substr(start, line.size() - start - 2);
    };
    EXPECT_EQ(message("a\xff\x80z"), "a\\ufffd\\ufffdz");
    EXPECT_EQ(message("\xc3"), "\\ufffd");
    EXPECT_EQ(message("\xc0\xaf"), "\\ufffd\\ufffd");             // overlong
    EXPECT_EQ(message("\xed\xa0\x80"), "\\ufffd\\ufffd\\ufffd");  // surrogate
    EXPECT_EQ(message("\xf4\x90\x80\x80").size(), 4 * 6U);        // above U+10FFFF
}

TEST(CauseLimit, lets_a_burst_through_and_then_one_each_refill) {
    CauseLimit limit(3, seconds(2), 10);
    Instant now{seconds(100)};
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(limit.admit("a", now).admitted);
    EXPECT_FALSE(limit.admit("a", now).admitted);
    EXPECT_FALSE(limit.admit("a", now + seconds(1)).admitted);
    EXPECT_TRUE(limit.admit("b", now).admitted) << "causes do not share a bucket";
    const auto next = limit.admit("a", now + seconds(2));
    EXPECT_TRUE(next.admitted);
    EXPECT_EQ(next.suppressed, 2U);
    EXPECT_FALSE(limit.admit("a", now + seconds(2)).admitted);
    EXPECT_EQ(limit.total_suppressed(), 3U);
    EXPECT_TRUE(limit.quiet(now + seconds(3)).empty()) << "not quiet yet";
    EXPECT_EQ(limit.quiet(now + seconds(10)), (std::vector<CauseLimit::Suppressed>{{"a", 1}}));
    EXPECT_TRUE(limit.all().empty());
}

TEST(CauseLimit, many_causes_share_the_last_bucket) {
    CauseLimit limit(1, seconds(1), 2);
    const Instant now{};
    EXPECT_TRUE(limit.admit("a", now).admitted);
    EXPECT_TRUE(limit.admit("b", now).admitted);
    EXPECT_TRUE(limit.admit("c", now).admitted);
    EXPECT_FALSE(limit.admit("d", now).admitted);
    EXPECT_EQ(limit.all(), (std::vector<CauseLimit::Suppressed>{{"other", 1}}));
}

class LogTest : public testing::Test {
  protected:
    LogTest() {
        std::string name = testing::TempDir() + "sluice_XXXXXX";
        directory = mkdtemp(name.data());
        config.target = {directory + "/log", {}};
    }
    ~LogTest() override { std::filesystem::remove_all(directory); }
    std::unique_ptr<Log> open() {
        auto log = Log::open(config, [this] { return now; });
        EXPECT_TRUE(log) << log.error().text();
        return std::move(*log);
    }
    // The lines of a file without their times.
    [[nodiscard]] std::vector<std::string> lines(const std::string& path) const {
        std::ifstream file(path);
        std::vector<std::string> result;
        for (std::string line; std::getline(file, line);)
            result.push_back(config.format == LogFormat::text ? line.substr(line.find(' ') + 1) : line);
        return result;
    }
    [[nodiscard]] std::vector<std::string> lines() const { return lines(config.target.written); }

    std::string directory;
    LogConfig config;
    Instant now{seconds(1000)};
};

TEST_F(LogTest, leaves_out_what_is_below_its_level) {
    const auto log = open();
    log->debug("not {}", "shown");
    log->info("shown {}", 1);
    log->set_level(LogLevel::error);
    log->warn("not shown");
    log->error("shown {}", 2);
    log->set_level(LogLevel::trace);
    log->trace("shown {}", 3);
    EXPECT_EQ(lines(), (std::vector<std::string>{"info  shown 1", "error shown 2", "trace shown 3"}));
    EXPECT_EQ(log->level(), LogLevel::trace);
}

TEST_F(LogTest, limits_each_cause_and_says_how_many_it_left_out) {
    const auto log = open();
    for (int i = 0; i < 20; ++i)
        log->warn(Cause{"flood"}, "line {}", i);
    log->warn(Cause{"calm"}, "still shown");
    log->warn("without a cause, never limited");
    EXPECT_EQ(lines().size(), Log::kBurst + 2);
    EXPECT_EQ(log->suppressed(), 20U - Log::kBurst);
    now += Log::kRefill;
    log->warn(Cause{"flood"}, "again");
    auto all = lines();
    EXPECT_EQ(all[all.size() - 2], "warn  suppressed 15 messages of flood [flood]");
    EXPECT_EQ(all.back(), "warn  again [flood]");
    log->warn(Cause{"flood"}, "too early");
    now += seconds(60);
    log->report_suppressed();
    log->report_suppressed();
    EXPECT_EQ(lines().size(), all.size() + 1);
    EXPECT_EQ(lines().back(), "warn  suppressed 1 messages of flood [flood]");
}

TEST_F(LogTest, says_what_it_left_out_at_its_end) {
    {
        const auto log = open();
        for (int i = 0; i < 7; ++i)
            log->info(Cause{"flood"}, "x");
    }
    EXPECT_EQ(lines().back(), "warn  suppressed 2 messages of flood [flood]");
}

TEST_F(LogTest, lines_below_the_level_take_no_tokens) {
    const auto log = open();
    for (int i = 0; i < 100; ++i)
        log->debug(Cause{"flood"}, "x");
    EXPECT_EQ(log->suppressed(), 0U);
}

TEST_F(LogTest, json_format) {
    config.format = LogFormat::json;
    open()->warn(Cause{"why"}, "one\nline");
    ASSERT_EQ(lines().size(), 1U);
    EXPECT_TRUE(lines()[0].ends_with(R"(,"level":"warn","cause":"why","message":"one\u000aline"})"))
        << lines()[0];
}

TEST_F(LogTest, opens_its_file_again_after_rotation) {
    const auto log = open();
    log->info("before");
    const std::string old = config.target.written + ".1";
    std::filesystem::rename(config.target.written, old);
    log->info("into the old one");
    ASSERT_TRUE(log->reopen());
    log->info("after");
    EXPECT_EQ(lines(old), (std::vector<std::string>{"info  before", "info  into the old one"}));
    EXPECT_EQ(lines(), (std::vector<std::string>{"info  after"}));
    struct stat status{};
    ASSERT_EQ(stat(config.target.written.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0027U, 0U) << "nobody but owner and group reads it, only the owner writes";
}

TEST_F(LogTest, a_target_that_cannot_be_opened_changes_nothing) {
    const auto log = open();
    LogConfig other = config;
    other.level = LogLevel::trace;
    other.target = {directory + "/none/log", {}};
    const auto applied = log->apply(other);
    ASSERT_FALSE(applied);
    EXPECT_NE(applied.error().message.find("/none/log"), std::string::npos);
    EXPECT_EQ(log->level(), LogLevel::info);
    log->info("still here");
    other.target = {directory + "/other", {}};
    ASSERT_TRUE(log->apply(other));
    log->trace("moved");
    EXPECT_EQ(lines(), (std::vector<std::string>{"info  still here"}));
    EXPECT_EQ(lines(directory + "/other"), (std::vector<std::string>{"trace moved"}));
    EXPECT_FALSE(
        Log::open({.level = LogLevel::info, .target = {"/proc/none", {}}, .format = LogFormat::text}));
}

TEST_F(LogTest, threads_may_share_it) {
    const auto log = open();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&log, t] {
            for (int i = 0; i < 100; ++i) {
                log->info("thread {} line {}", t, i);
                log->info(Cause{"shared"}, "limited");
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(lines().size(), 400U + Log::kBurst);
    EXPECT_EQ(log->suppressed(), 400U - Log::kBurst);
}

TEST_F(LogTest, journal_gets_fields) {
    const std::string path = directory + "/journal";
    EXPECT_FALSE(JournalSocket::open(path));
    const int receiver = socket(AF_UNIX, SOCK_DGRAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, path.size());
    ASSERT_EQ(bind(receiver, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const auto journal = JournalSocket::open(path);
    ASSERT_TRUE(journal) << journal.error().text();
    journal->send(4, "hello", "why");
    char buffer[200];
    const ssize_t got = recv(receiver, buffer, sizeof buffer, 0);
    EXPECT_EQ(std::string_view(buffer, static_cast<size_t>(got)),
              "PRIORITY=4\nSYSLOG_IDENTIFIER=sluice\nMESSAGE=hello\nSLUICE_CAUSE=why\n");
    close(receiver);
}

TEST(LogConfig, is_read_and_refused_with_names) {
    const auto good =
        config::read_text<LogConfig>("x", "{level: debug, target: sluice.log, format: json}", "/etc");
    ASSERT_TRUE(good);
    EXPECT_EQ(good->level, LogLevel::debug);
    EXPECT_EQ(good->target.full, "/etc/sluice.log");
    EXPECT_EQ(good->format, LogFormat::json);
    const auto bad = config::read_text<LogConfig>("x", "{level: loud, format: xml, targets: stderr}");
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().size(), 3U);
}

}  // namespace
}  // namespace sluice::telemetry
