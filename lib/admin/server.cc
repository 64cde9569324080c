#include "admin/server.hh"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "admin/door.hh"
#include "admin/tcp_listener.hh"

namespace sluice::admin {
namespace {

constexpr size_t kMetricsConnections = 16;

// The port a socket is bound to.
uint16_t port_of(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
    return ntohs(storage.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(storage).sin6_port
                                               : reinterpret_cast<const sockaddr_in&>(storage).sin_port);
}

}  // namespace

struct Server::Impl {
    Impl(ControlLoop& l, const Verbs& v, Limits b) : loop(l), verbs(v), limits(b) {
        metrics_verbs.add("GET", "/metrics", "metrics for Prometheus",
                          [this](const Request& request) { return verbs.handle(request); });
    }

    ControlLoop& loop;
    const Verbs& verbs;
    Verbs metrics_verbs;
    Limits limits;
    std::shared_ptr<ServerCounters> counters = std::make_shared<ServerCounters>();
    std::optional<SocketFile> file;
    std::optional<SocketSettings> settings;
    std::optional<config::Endpoint> metrics;
    uint16_t metrics_port = 0;
    std::shared_ptr<Door> socket_door;
    std::shared_ptr<Door> metrics_door;
    std::vector<std::shared_ptr<Door>> former_doors;  // closed to new connections
    ControlLoop::Registration sweeper;

    [[nodiscard]] std::vector<std::shared_ptr<Door>> doors() const {
        auto result = former_doors;
        for (const auto& door : {socket_door, metrics_door}) {
            if (door)
                result.push_back(door);
        }
        return result;
    }

    void sweep() {
        for (const auto& door : doors())
            door->sweep();
        std::erase_if(former_doors, [](const auto& door) { return door->connections() == 0; });
    }

    void close_metrics() {
        if (const auto door = std::exchange(metrics_door, nullptr))
            door->close();
        metrics.reset();
        metrics_port = 0;
    }

    void close() {
        for (const auto& door : doors())
            door->close();
        former_doors.clear();
        socket_door.reset();
        close_metrics();
        file.reset();
        settings.reset();
        sweeper.cancel();
    }
};

Server::Server(ControlLoop& loop, const Verbs& verbs, Limits limits)
    : impl_(std::make_unique<Impl>(loop, verbs, limits)) {
    const Duration period =
        std::clamp<Duration>(limits.idle / 10, std::chrono::milliseconds(10), std::chrono::seconds(1));
    impl_->sweeper = loop.every(period, [impl = impl_.get()] { impl->sweep(); });
}

Server::~Server() {
    impl_->close();
}

Expected<void> Server::listen(const SocketSettings& settings) {
    if (impl_->settings == settings)
        return {};
    if (impl_->settings && impl_->settings->path == settings.path) {
        if (auto changed = impl_->file->change_rights(settings); !changed)
            return changed;
        impl_->settings = settings;
        return {};
    }
    auto file = SocketFile::listen(settings);
    if (!file)
        return std::unexpected(std::move(file.error()));
    if (impl_->socket_door) {
        impl_->socket_door->stop_accepting();
        impl_->former_doors.push_back(std::move(impl_->socket_door));
    }
    impl_->socket_door = Door::open(impl_->loop, impl_->verbs, impl_->limits, impl_->counters, AF_UNIX,
                                    file->take_descriptor());
    if (impl_->file)
        *impl_->file = std::move(*file);
    else
        impl_->file.emplace(std::move(*file));
    impl_->settings = settings;
    return {};
}

Expected<void> Server::listen_metrics(const config::Endpoint& address) {
    if (impl_->metrics == address)
        return {};
    // The old and the new address may exclude each other, so the old one is closed first, and opened again if
    // the new one cannot be.
    const auto before = impl_->metrics;
    impl_->close_metrics();
    const auto fd = listen_tcp(address);
    if (!fd) {
        if (before)
            static_cast<void>(listen_metrics(*before));
        return std::unexpected(fd.error());
    }
    Limits limits = impl_->limits;
    limits.connections = std::min(limits.connections, kMetricsConnections);
    limits.body_bytes = 0;
    impl_->metrics_port = port_of(*fd);
    impl_->metrics_door = Door::open(impl_->loop, impl_->metrics_verbs, limits, impl_->counters,
                                     address.address.is_ip6() ? AF_INET6 : AF_INET, *fd);
    impl_->metrics = address;
    return {};
}

Expected<void> Server::apply(const ControlConfig& control) {
    const auto before = impl_->settings;
    if (auto listening = listen(control.socket_settings()); !listening)
        return listening;
    if (!control.metrics) {
        impl_->close_metrics();
        return {};
    }
    auto listening = listen_metrics(*control.metrics);
    if (!listening && before)
        static_cast<void>(listen(*before));
    return listening;
}

uint16_t Server::metrics_port() const {
    return impl_->metrics_port;
}

void Server::close() {
    impl_->close();
}

const ServerCounters& Server::counters() const {
    return *impl_->counters;
}

size_t Server::open_connections() const {
    size_t result = 0;
    for (const auto& door : impl_->doors())
        result += door->connections();
    return result;
}

}  // namespace sluice::admin
