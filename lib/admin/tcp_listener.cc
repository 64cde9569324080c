#include "admin/tcp_listener.hh"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "config/scalar.hh"

namespace sluice::admin {

Expected<int> listen_tcp(const config::Endpoint& where) {
    const bool ip6 = where.address.is_ip6();
    const int fd = socket(ip6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail("no socket: " + std::generic_category().message(errno));
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_storage storage{};
    socklen_t size = 0;
    if (ip6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        auto& address = reinterpret_cast<sockaddr_in6&>(storage);
        address.sin6_family = AF_INET6;
        address.sin6_port = htons(where.port);
        where.address.ip6().store(&address.sin6_addr);
        size = sizeof address;
    } else {
        auto& address = reinterpret_cast<sockaddr_in&>(storage);
        address.sin_family = AF_INET;
        address.sin_port = htons(where.port);
        where.address.ip4().store(&address.sin_addr);
        size = sizeof address;
    }
    if (bind(fd, reinterpret_cast<const sockaddr*>(&storage), size) != 0 || listen(fd, 16) != 0) {
        const int error = errno;
        close(fd);
        return fail("cannot listen on " + config::Scalar<config::Endpoint>::format(where) + ": " +
                        std::generic_category().message(error),
                    error == EADDRINUSE ? "another program uses this port; choose another control.metrics"
                                        : "choose an address of this machine for control.metrics");
    }
    return fd;
}

}  // namespace sluice::admin
