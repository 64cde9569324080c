// Serves the verbs over HTTP/1.1 on a Unix socket, and the metrics alone on an optional TCP address.
// Everything runs on the control loop; no client can block it.
#pragma once

#include <functional>
#include <memory>

#include "admin/config.hh"
#include "admin/control_loop.hh"
#include "admin/limits.hh"
#include "admin/socket_file.hh"
#include "admin/verbs.hh"
#include "base/error.hh"
#include "config/quantity.hh"

namespace sluice::admin {

class Server {
  public:
    // verbs must outlive the server.
    Server(ControlLoop& loop, const Verbs& verbs, Limits limits = {});
    // Closes everything and removes the socket it made.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Listens where the configuration says, at the start and after a change; connections go on. On an error
    // it listens where it did before.
    Expected<void> apply(const ControlConfig& control);
    // Makes the socket, and its directory if need be, in place of the one it may have. Refuses a path that
    // somebody listens on or that is no socket; replaces a socket left behind.
    Expected<void> listen(const SocketSettings& settings);
    // Serves GET /metrics, and nothing else, there and not where it did before. Port 0 lets the system choose
    // one.
    Expected<void> listen_metrics(const config::Endpoint& address);
    // The port in use by listen_metrics, 0 without it.
    [[nodiscard]] uint16_t metrics_port() const;
    // Stops accepting and ends all connections; the socket is removed.
    void close();

    [[nodiscard]] const ServerCounters& counters() const;
    [[nodiscard]] size_t open_connections() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::admin
