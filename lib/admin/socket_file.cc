#include "admin/socket_file.hh"

#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

namespace sluice::admin {
namespace {

constexpr std::string_view kNewSuffix = ".new";
constexpr int kBacklog = 128;

std::string reason(int error) {
    return std::generic_category().message(error);
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

Expected<gid_t> find_group(const std::string& name) {
    std::vector<char> buffer(1024);
    group entry{};
    group* found = nullptr;
    int error = 0;
    while ((error = getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) == ERANGE)
        buffer.resize(buffer.size() * 2);
    if (!found)
        return fail("group " + name + " of the admin socket does not exist",
                    "groupadd --system " + name + ", or leave control.socket_group out");
    return found->gr_gid;
}

// Nothing if path is free, or holds a socket nobody listens on (then it may be replaced).
Expected<void> check_free(const std::string& path) {
    struct stat status{};
    if (lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT)
            return {};
        return fail("cannot look at " + path + ": " + reason(errno));
    }
    if (!S_ISSOCK(status.st_mode))
        return fail(path + " exists and is no socket", "remove it, or choose another control.socket");
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return fail("no socket: " + reason(errno));
    const sockaddr_un address = address_of(path);
    const int error =
        connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
    ::close(probe);
    if (error == 0 || error == EAGAIN)
        return fail("somebody listens on " + path + " already",
                    "stop the other instance, or give this one its own control.socket");
    if (error != ECONNREFUSED && error != ENOENT)
        return fail("cannot tell whether somebody listens on " + path + ": " + reason(error));
    return {};
}

// `own`: the group that the file has without one.
Expected<void> give_rights(const std::string& path, const SocketSettings& settings, gid_t own) {
    gid_t group = own;
    if (!settings.group.empty()) {
        const auto found = find_group(settings.group);
        if (!found)
            return std::unexpected(found.error());
        group = *found;
    }
    if (chown(path.c_str(), static_cast<uid_t>(-1), group) != 0)
        return fail("cannot give " + path + " to group " +
                    (settings.group.empty() ? std::to_string(group) : settings.group) + ": " + reason(errno));
    if (chmod(path.c_str(), static_cast<mode_t>(settings.mode)) != 0)
        return fail("cannot set the mode of " + path + ": " + reason(errno));
    return {};
}

}  // namespace

SocketFile::SocketFile(SocketFile&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      fd_(std::exchange(other.fd_, -1)),
      device_(other.device_),
      inode_(other.inode_),
      group_(other.group_) {}

SocketFile& SocketFile::operator=(SocketFile&& other) noexcept {
    if (this != &other) {
        remove();
        path_ = std::exchange(other.path_, {});
        fd_ = std::exchange(other.fd_, -1);
        device_ = other.device_;
        inode_ = other.inode_;
        group_ = other.group_;
    }
    return *this;
}

int SocketFile::take_descriptor() {
    return std::exchange(fd_, -1);
}

Expected<void> SocketFile::change_rights(const SocketSettings& settings) {
    return give_rights(path_, settings, group_);
}

void SocketFile::remove() {
    if (fd_ >= 0)
        ::close(std::exchange(fd_, -1));
    struct stat status{};
    if (!path_.empty() && lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ &&
        status.st_ino == inode_)
        unlink(path_.c_str());
    path_.clear();
}

Expected<SocketFile> SocketFile::listen(const SocketSettings& settings) {
    const std::string fresh = settings.path + std::string(kNewSuffix);
    if (settings.path.empty() || fresh.size() >= sizeof(sockaddr_un::sun_path))
        return fail("the admin socket's path is empty or too long: " + settings.path,
                    "at most " + std::to_string(sizeof(sockaddr_un::sun_path) - 1 - kNewSuffix.size()) +
                        " characters in control.socket");
    std::error_code error;
    const auto directory = std::filesystem::path(settings.path).parent_path();
    if (!directory.empty())
        std::filesystem::create_directories(directory, error);
    if (error)
        return fail("cannot make " + directory.string() + ": " + error.message(),
                    "make it yourself, or choose another control.socket");
    if (auto free = check_free(settings.path); !free)
        return std::unexpected(std::move(free.error()));

    // Bound under another name, so that it appears under its own with its rights and its listener at once.
    SocketFile file;
    file.fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (file.fd_ < 0)
        return fail("no socket: " + reason(errno));
    unlink(fresh.c_str());
    const sockaddr_un address = address_of(fresh);
    if (fchmod(file.fd_, 0600) != 0 ||
        bind(file.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail("cannot make the socket " + fresh + ": " + reason(errno),
                    "run with the rights to write to its directory, or choose another control.socket");
    struct stat status{};
    Expected<void> rights;
    if (lstat(fresh.c_str(), &status) == 0)
        rights = give_rights(fresh, settings, status.st_gid);
    if (!rights || status.st_ino == 0 || ::listen(file.fd_, kBacklog) != 0 ||
        rename(fresh.c_str(), settings.path.c_str()) != 0) {
        const int failure = errno;
        unlink(fresh.c_str());
        if (!rights)
            return std::unexpected(std::move(rights.error()));
        return fail("cannot listen on " + settings.path + ": " + reason(failure));
    }
    file.path_ = settings.path;
    file.device_ = status.st_dev;
    file.inode_ = status.st_ino;
    file.group_ = status.st_gid;
    return file;
}

}  // namespace sluice::admin
