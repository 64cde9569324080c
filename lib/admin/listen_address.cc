#include "admin/listen_address.hh"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>

namespace sluice::admin {

Expected<ListenAddress> ListenAddress::parse(std::string_view text) {
    const std::string whole(text);
    const auto wrong = [&whole] {
        return fail("'" + whole + "' is no address with a port",
                    "ADDRESS:PORT or [ADDRESS]:PORT, for instance 127.0.0.1:9273");
    };
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos)
        return wrong();
    std::string_view host = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (brackets)
        host = host.substr(1, host.size() - 2);
    const auto address = IpAddress::parse(host);
    ListenAddress result;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
    if (!address || address->is_ip6() != brackets || error != std::errc{} || end != port.data() + port.size())
        return wrong();
    result.address = *address;
    return result;
}

std::string ListenAddress::to_string() const {
    const std::string host = address.to_string();
    return (address.is_ip6() ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Expected<int> listen_tcp(const ListenAddress& where) {
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
        return fail("cannot listen on " + where.to_string() + ": " + std::generic_category().message(error),
                    error == EADDRINUSE ? "another program uses this port; choose another control.metrics"
                                        : "choose an address of this machine for control.metrics");
    }
    return fd;
}

}  // namespace sluice::admin
