#include "admin/socket_file.hh"

#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice::admin {
namespace {

class SocketFileTest : public testing::Test {
  protected:
    SocketFileTest() {
        std::string name = testing::TempDir() + "sluice_XXXXXX";
        directory = mkdtemp(name.data());
        settings.path = directory + "/run/test.sock";
    }
    ~SocketFileTest() override { std::filesystem::remove_all(directory); }
    [[nodiscard]] mode_t mode() const {
        struct stat status{};
        EXPECT_EQ(stat(settings.path.c_str(), &status), 0);
        return status.st_mode & 0777;
    }

    std::string directory;
    SocketSettings settings;
};

TEST_F(SocketFileTest, makes_directory_and_mode_and_removes_itself) {
    settings.mode = 0606;
    {
        const auto file = SocketFile::listen(settings);
        ASSERT_TRUE(file) << file.error().text();
        EXPECT_EQ(mode(), 0606U);
    }
    EXPECT_FALSE(std::filesystem::exists(settings.path));
}

TEST_F(SocketFileTest, a_group_that_is_taken_away_has_no_access_any_more) {
    if (geteuid() != 0)
        GTEST_SKIP() << "only root gives files to other groups";
    const auto group = [this] {
        struct stat status{};
        EXPECT_EQ(stat(settings.path.c_str(), &status), 0);
        return status.st_gid;
    };
    settings.group = "nogroup";
    auto file = SocketFile::listen(settings);
    ASSERT_TRUE(file) << file.error().text();
    EXPECT_NE(group(), getegid());
    settings.group.clear();
    ASSERT_TRUE(file->change_rights(settings));
    EXPECT_EQ(group(), getegid());
}

TEST_F(SocketFileTest, a_folder_may_say_whose_group_its_files_have) {
    const auto* const other = getgrnam("nogroup");
    if (geteuid() != 0 || other == nullptr)
        GTEST_SKIP() << "only root gives folders to other groups";
    const auto run = directory + "/run";
    std::filesystem::create_directory(run);
    ASSERT_EQ(chown(run.c_str(), static_cast<uid_t>(-1), other->gr_gid), 0);
    ASSERT_EQ(chmod(run.c_str(), 02755), 0);
    const auto file = SocketFile::listen(settings);
    ASSERT_TRUE(file) << file.error().text();
    struct stat status{};
    ASSERT_EQ(stat(settings.path.c_str(), &status), 0);
    EXPECT_EQ(status.st_gid, other->gr_gid);
}

TEST_F(SocketFileTest, refuses_a_socket_in_use) {
    const auto first = SocketFile::listen(settings);
    ASSERT_TRUE(first);
    const auto second = SocketFile::listen(settings);
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().message.find("somebody listens"), std::string::npos);
    EXPECT_TRUE(std::filesystem::exists(settings.path));
}

TEST_F(SocketFileTest, replaces_a_socket_left_behind) {
    auto first = SocketFile::listen(settings);
    ASSERT_TRUE(first);
    ::close(first->take_descriptor());  // as after a crash: the file stays
    auto second = SocketFile::listen(settings);
    ASSERT_TRUE(second) << second.error().text();
    first->remove();  // not its own any more
    EXPECT_TRUE(std::filesystem::exists(settings.path));
    second->remove();
    EXPECT_FALSE(std::filesystem::exists(settings.path));
}

TEST_F(SocketFileTest, leaves_other_files_alone) {
    std::filesystem::create_directories(directory + "/run");
    std::ofstream(settings.path) << "precious";
    EXPECT_FALSE(SocketFile::listen(settings));
    EXPECT_EQ(std::filesystem::file_size(settings.path), 8U);
}

TEST_F(SocketFileTest, says_what_is_wrong_with_group_and_path) {
    settings.group = "no_such_group_here";
    auto file = SocketFile::listen(settings);
    ASSERT_FALSE(file);
    EXPECT_NE(file.error().message.find("no_such_group_here"), std::string::npos);
    EXPECT_TRUE(std::filesystem::is_empty(directory + "/run"));
    settings = {.path = directory + "/" + std::string(200, 'x')};
    EXPECT_FALSE(SocketFile::listen(settings));
    settings = {.path = "/proc/none/test.sock"};
    EXPECT_FALSE(SocketFile::listen(settings));
}

}  // namespace
}  // namespace sluice::admin
