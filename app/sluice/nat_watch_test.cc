#include "sluice/nat_watch.hh"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "nat/box_under_test.hh"

namespace sluice {
namespace {

using nat::ip;

std::string make_directory() {
    std::string name = testing::TempDir() + "sluice_XXXXXX";
    return mkdtemp(name.data());
}

std::unique_ptr<telemetry::Log> open_log(const std::string& file) {
    telemetry::LogConfig settings;
    settings.target = {file, {}};
    return *telemetry::Log::open(settings);
}

// A worker that answers when it is told to, and the log on disk.
class NatWatchTest : public testing::Test {
  protected:
    ~NatWatchTest() override { std::filesystem::remove_all(directory); }

    // So many mappings more, of a pool of 100 ports.
    void open(int count) {
        for (; count > 0; --count, ++last_port)
            opened += box.open(rule, {ip("10.0.0.1"), last_port}, {ip("198.51.100.1"), 53}) ? 1 : 0;
    }
    void look() {
        watch.look();
        while (job != nullptr && !job->is_back())
            job->run(&box.nat(), 64);
        watch.look();
    }
    // Lines of the log that have this text.
    long told(std::string_view text) {
        std::ifstream file(directory + "/log");
        long lines = 0;
        for (std::string line; std::getline(file, line);)
            lines += line.find(text) != std::string::npos ? 1 : 0;
        return lines;
    }

    std::string directory = make_directory();
    std::unique_ptr<telemetry::Log> log = open_log(directory + "/log");
    nat::BoxUnderTest box;
    nat::NatRule rule{.kind = nat::NatKind::masquerade, .ports = nat::PortRange{2000, 2099}};
    uint16_t last_port = 10000;
    int opened = 0;
    bool translates = true;
    std::shared_ptr<nat::NatJob> job;
    nat::NatAccess access{
        .workers = [] { return size_t{1}; },
        .hand_over = [this](size_t, std::shared_ptr<nat::NatJob> asked) { job = std::move(asked); },
        .interface = {},
        .now = [this] { return box.now; }};
    NatWatch watch{access, [this] { return translates; }, *log};
};

TEST_F(NatWatchTest, WarnsOnceBeforeTheLastPort) {
    open(79);
    look();
    EXPECT_EQ(told("taken"), 0);
    EXPECT_EQ(watch.use().ports.at(0).in_use, 79U);
    open(1);
    look();
    look();
    EXPECT_EQ(told("203.0.113.1: 80 % of udp ports are taken, 80 in use and 0 held down of 100"), 1);
    EXPECT_EQ(told("taken"), 1);
    box.close_all();
    box.pass(std::chrono::seconds(1));
    look();
    open(85);
    look();
    EXPECT_EQ(told("taken"), 2) << "there were ports again in between";
}

TEST_F(NatWatchTest, SaysWhenNoneIsLeft) {
    open(100);
    look();
    EXPECT_EQ(told("left"), 0);
    open(3);
    ASSERT_EQ(opened, 100);
    look();
    look();
    EXPECT_EQ(told("203.0.113.1 had no udp port left for 3 new flows"), 1);
    EXPECT_EQ(told("left"), 1);
}

TEST_F(NatWatchTest, SharedPortsAreNotExhausted) {
    rule.mapping = nat::Dependence::address_and_port_dependent;
    rule.port_overlap = true;
    open(100);
    look();
    EXPECT_EQ(watch.use().ports.at(0).in_use, 100U);
    EXPECT_EQ(told("taken"), 0);
}

TEST_F(NatWatchTest, AsksNobodyWithoutNat) {
    translates = false;
    look();
    EXPECT_EQ(job, nullptr);
}

}  // namespace
}  // namespace sluice
