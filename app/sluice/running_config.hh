// The configuration in force: where it came from, how it is replaced, how one goes back. Control thread.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "admin/control_loop.hh"
#include "config/difference.hh"
#include "sluice/config.hh"
#include "sluice/gateway.hh"
#include "sluice/last_good.hh"
#include "telemetry/log.hh"

namespace sluice {

class RunningConfig {
  public:
    RunningConfig(std::filesystem::path file, GatewayConfig config, Gateway& gateway,
                  admin::ControlLoop& loop, telemetry::Log& log);

    // Who listens anew when the section `control` has changed.
    using Listen = std::function<Expected<void>(const admin::ControlConfig&)>;
    void set_listen(Listen listen) { listen_ = std::move(listen); }

    [[nodiscard]] const GatewayConfig& config() const { return config_; }
    [[nodiscard]] const std::filesystem::path& file() const { return file_; }
    [[nodiscard]] uint64_t generation() const { return generation_; }
    // Seconds until an unconfirmed configuration is taken back; nothing if there is none.
    [[nodiscard]] std::optional<double> unconfirmed_for() const;

    // A candidate from a text, paths in it relative to the file's folder.
    [[nodiscard]] std::expected<GatewayConfig, config::Problems> parse(std::string_view text) const;
    [[nodiscard]] std::vector<config::Difference> difference(const GatewayConfig& candidate) const;

    // What a live gateway cannot change is refused with its name. With `confirm` the former configuration
    // comes back by itself unless confirm() is called in time.
    Expected<void> apply(GatewayConfig candidate, std::optional<Duration> confirm);
    Expected<void> confirm();
    // To what was in force before. Sets that both have in common keep what was changed in them at run time,
    // others have the content they had. Rules come first: a log or a listener that cannot be had as before
    // stays as it is, and the log says so.
    Expected<void> rollback();
    // What the file says now, to be applied.
    [[nodiscard]] std::expected<GatewayConfig, config::Problems> read() const;

  private:
    // A configuration and what was read for it.
    struct Former {
        GatewayConfig config;
        FirewallFiles files;
    };
    [[nodiscard]] Former in_force() const { return {config_, gateway_.firewall().files()}; }
    // On an error nothing has changed.
    Expected<void> put_in_force(GatewayConfig candidate);
    // Who listens, as `to` says instead of `from`, and what is logged; on an error all is as it was.
    Expected<void> turn_outside(const admin::ControlConfig& from, const admin::ControlConfig& to,
                                const telemetry::LogConfig& log);
    void enter(GatewayConfig config);
    // Compiles the rules anew once one of them has expired.
    void renew();

    std::filesystem::path file_;
    GatewayConfig config_;
    uint64_t generation_ = 1;
    Gateway& gateway_;
    admin::ControlLoop& loop_;
    telemetry::Log& log_;
    LastGood last_good_;
    Listen listen_;
    std::optional<Former> former_;     // the one before, for rollback
    std::optional<Instant> deadline_;  // of the confirmation
    admin::ControlLoop::Registration timer_;
    admin::ControlLoop::Registration renewal_;
};

}  // namespace sluice
