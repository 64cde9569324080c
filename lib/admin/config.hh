// The `control` section of the configuration.
#pragma once

#include <optional>
#include <string>

#include "admin/socket_file.hh"
#include "config/mapping.hh"

namespace sluice::admin {

struct ControlConfig {
    config::Path socket{"/run/sluice/sluice.sock", {}};
    config::FileMode socket_mode{0660};
    std::string socket_group;                 // empty: the process's own
    std::optional<config::Endpoint> metrics;  // none: /metrics is on the socket only
    bool operator==(const ControlConfig&) const = default;

    [[nodiscard]] SocketSettings socket_settings() const;
};

}  // namespace sluice::admin

namespace sluice::config {

template <>
struct Schema<admin::ControlConfig> {
    static const Mapping<admin::ControlConfig>& get();
};

}  // namespace sluice::config
