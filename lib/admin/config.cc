#include "admin/config.hh"

namespace sluice::admin {

SocketSettings ControlConfig::socket_settings() const {
    return {.path = socket.full.empty() ? socket.written : socket.full,
            .mode = socket_mode.bits,
            .group = socket_group};
}

}  // namespace sluice::admin

namespace sluice::config {

const Mapping<admin::ControlConfig>& Schema<admin::ControlConfig>::get() {
    using admin::ControlConfig;
    static const auto mapping =
        Mapping<ControlConfig>("the control socket")
            .optional("socket", &ControlConfig::socket, "the Unix socket of the admin API")
            .optional("socket_mode", &ControlConfig::socket_mode,
                      "its permissions: who may write to it may do all")
            .optional("socket_group", &ControlConfig::socket_group, "its group, by name")
            .optional("metrics", &ControlConfig::metrics,
                      "where Prometheus may fetch /metrics over TCP, without a password; it is always on the "
                      "socket");
    return mapping;
}

}  // namespace sluice::config
