#include "sluice/last_good.hh"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

namespace sluice {
namespace {

class LastGoodTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "last_good_XXXXXX").string();
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    [[nodiscard]] std::filesystem::path file() const { return folder_ / "state" / "last-good.yaml"; }
    [[nodiscard]] std::filesystem::path fresh() const { return folder_ / "state" / "last-good.yaml.new"; }
    // A pipe that nobody reads stands for a disk that does not answer.
    void block() const {
        std::filesystem::create_directories(file().parent_path());
        ASSERT_EQ(mkfifo(fresh().c_str(), 0600), 0);
    }
    [[nodiscard]] std::string kept() const {
        std::ifstream in(file());
        return {std::istreambuf_iterator<char>(in), {}};
    }

    std::filesystem::path folder_;
};

TEST_F(LastGoodTest, FilesAreFoundFromAnotherFolder) {
    std::ofstream(folder_ / "blocked.txt") << "192.0.2.1\n";
    const auto read = [](std::string_view text, const std::filesystem::path& from) {
        auto config = config::read_text<GatewayConfig>("test.yaml", text, from.string());
        EXPECT_TRUE(config.has_value()) << (config ? "" : config.error().text());
        return config ? std::move(*config) : GatewayConfig();
    };
    const auto config = read(R"(
interfaces: {lan: {device: net_null0}}
control: {socket: run/sluice.sock}
log: {target: stderr}
sets: {blocked: {type: ip, file: blocked.txt}}
)",
                             folder_);
    const auto again = read(last_good_text(config), folder_ / "state");
    EXPECT_EQ(again.sets.find("blocked")->file->full, (folder_ / "blocked.txt").string());
    EXPECT_EQ(again.control.socket.full, (folder_ / "run/sluice.sock").string());
    EXPECT_EQ(again.log.target.written, "stderr");
}

TEST_F(LastGoodTest, TheLastTextIsInTheFileAtTheEnd) {
    {
        LastGood last_good(file(), {});
        for (int i = 0; i < 100; ++i)
            last_good.keep("text " + std::to_string(i));
    }
    EXPECT_EQ(kept(), "text 99");
    EXPECT_FALSE(std::filesystem::exists(fresh()));
}

TEST_F(LastGoodTest, ADiskThatDoesNotAnswerIsNotWaitedForForever) {
    block();
    const auto began = std::chrono::steady_clock::now();
    std::optional<LastGood> last_good(std::in_place, file(), nullptr);
    last_good->keep("text");
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(1));
    last_good.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
    // Lets the thread that was left behind go.
    std::ifstream reader(fresh());
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(reader), {}), "text");
}

TEST_F(LastGoodTest, SaysWhyTheFileCannotBeWritten) {
    std::ofstream(folder_ / "state") << "not a folder";
    std::vector<std::string> said;
    {
        LastGood last_good(file(), [&](const std::string& why) { said.push_back(why); });
        last_good.keep("text");
    }
    ASSERT_EQ(said.size(), 1u);
    EXPECT_EQ(said.front(), "cannot write " + fresh().string() +
                                ": Not a directory; make its folder writable or set SLUICE_STATE_DIR, or "
                                "--last-good finds no file");
}

}  // namespace
}  // namespace sluice
