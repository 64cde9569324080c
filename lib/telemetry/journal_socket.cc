#include "telemetry/journal_socket.hh"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace sluice::telemetry {

Expected<JournalSocket> JournalSocket::open(std::string_view path) {
    const std::string hint = "log to stderr or a file on a machine without systemd-journald (log.target)";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail("the journal's socket has too long a name");
    path.copy(address.sun_path, path.size());
    JournalSocket result(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (result.fd_ < 0 ||
        connect(result.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail("cannot reach journald: " + std::generic_category().message(errno), hint);
    return result;
}

JournalSocket::JournalSocket(JournalSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

JournalSocket::~JournalSocket() {
    if (fd_ >= 0)
        close(fd_);
}

void JournalSocket::send(int priority, std::string_view message, std::string_view cause) const {
    std::string datagram =
        fmt::format("PRIORITY={}\nSYSLOG_IDENTIFIER=sluice\nMESSAGE={}\n", priority, message);
    if (!cause.empty())
        datagram += fmt::format("SLUICE_CAUSE={}\n", cause);
    ::send(fd_, datagram.data(), datagram.size(), MSG_NOSIGNAL);
}

}  // namespace sluice::telemetry
