// The Unix socket in the file system: made with the right owner and mode before anybody can connect to it,
// removed at the end.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.hh"

namespace sluice::admin {

struct SocketSettings {
    std::string path = "/run/sluice/sluice.sock";
    uint32_t mode = 0660;
    std::string group = {};  // a name; empty: that of any new file there
    bool operator==(const SocketSettings&) const = default;
};

// A listening socket. Removes its file when destroyed, if it is still the one it made.
class SocketFile {
  public:
    // Makes the directory if need be. Refuses a path that somebody listens on or that is no socket; replaces
    // a socket left behind.
    static Expected<SocketFile> listen(const SocketSettings& settings);
    SocketFile(SocketFile&& other) noexcept;
    SocketFile& operator=(SocketFile&& other) noexcept;
    SocketFile(const SocketFile&) = delete;
    SocketFile& operator=(const SocketFile&) = delete;
    ~SocketFile() { remove(); }

    // The descriptor, now the caller's; -1 if it was taken before.
    [[nodiscard]] int take_descriptor();
    // Gives the file another mode and group; the path in the settings is not looked at.
    Expected<void> change_rights(const SocketSettings& settings);
    void remove();

  private:
    SocketFile() = default;
    std::string path_;
    int fd_ = -1;
    uint64_t device_ = 0;
    uint64_t inode_ = 0;
    uint32_t group_ = 0;  // that it was made with
};

}  // namespace sluice::admin
