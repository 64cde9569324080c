#include "sluice/running_config.hh"

#include "config/print.hh"

namespace sluice {
namespace {

constexpr Duration kRenewalPeriod = std::chrono::seconds(1);

}  // namespace

RunningConfig::RunningConfig(std::filesystem::path file, GatewayConfig config, Gateway& gateway,
                             admin::ControlLoop& loop, telemetry::Log& log)
    : file_(std::move(file)),
      config_(std::move(config)),
      gateway_(gateway),
      loop_(loop),
      log_(log),
      last_good_(last_good_file(),
                 [&log](const std::string& why) { log.warn(telemetry::Cause{"last_good"}, "{}", why); }) {
    last_good_.keep(last_good_text(config_));
    renewal_ = loop_.every(kRenewalPeriod, [this] { renew(); });
}

void RunningConfig::renew() {
    if (!gateway_.firewall().has_expired())
        return;
    // Nobody has asked for what files say now.
    const auto files = gateway_.firewall().files();
    if (auto done = gateway_.apply(config_, generation_, &files); !done)
        log_.error(telemetry::Cause{"renewal"}, "expired rules still count: {}", done.error().text());
    else
        log_.info("rules that have expired no longer count");
}

std::optional<double> RunningConfig::unconfirmed_for() const {
    if (!deadline_)
        return std::nullopt;
    return std::max(0.0, seconds(*deadline_ - pipeline::read_clock()));
}

std::expected<GatewayConfig, config::Problems> RunningConfig::parse(std::string_view text) const {
    return config::read_text<GatewayConfig>("request", text, file_.parent_path().string());
}

std::vector<config::Difference> RunningConfig::difference(const GatewayConfig& candidate) const {
    auto all = config::differences(config_, candidate);
    // There is no room for more than at the start.
    if (conntrack_of(candidate).max > gateway_.firewall().capacity()) {
        for (auto& difference : all)
            difference.fixed = difference.fixed || difference.path == "conntrack.max";
    }
    // Nor do interfaces come and go, but for the last VLANs.
    if (!pipeline::in_place_of(config_.interfaces, candidate.interfaces)) {
        for (auto& difference : all)
            difference.fixed = difference.fixed || (difference.path.starts_with("interfaces.") &&
                                                    (difference.before.empty() || difference.after.empty()));
    }
    return all;
}

Expected<void> RunningConfig::put_in_force(GatewayConfig candidate) {
    std::string fixed;
    for (const auto& difference : this->difference(candidate)) {
        if (!difference.fixed)
            continue;
        if (!fixed.empty())
            fixed += ", ";
        fixed += difference.path;
    }
    if (!fixed.empty())
        return fail("cannot change while running: " + fixed, "restart sluice to change it");
    auto interfaces = pipeline::in_place_of(config_.interfaces, std::move(candidate.interfaces));
    if (!interfaces)
        return std::unexpected(interfaces.error());
    candidate.interfaces = std::move(*interfaces);
    const auto logged = log_.config();
    if (auto done = turn_outside(config_.control, candidate.control, candidate.log); !done)
        return done;
    if (auto done = gateway_.apply(candidate, generation_ + 1); !done) {
        if (auto back = turn_outside(candidate.control, config_.control, logged); !back)
            log_.error("cannot go back: {}", back.error().text());
        return done;
    }
    enter(std::move(candidate));
    return {};
}

Expected<void> RunningConfig::turn_outside(const admin::ControlConfig& from, const admin::ControlConfig& to,
                                           const telemetry::LogConfig& log) {
    const bool listens_anew = listen_ && to != from;
    if (listens_anew) {
        if (auto done = listen_(to); !done)
            return done;
    }
    auto done = log_.apply(log);
    if (!done && listens_anew) {
        if (auto back = listen_(from); !back)
            log_.error("cannot go back: {}", back.error().text());
    }
    return done;
}

void RunningConfig::enter(GatewayConfig config) {
    ++generation_;
    config_ = std::move(config);
    log_.info("configuration {} is in force", generation_);
}

Expected<void> RunningConfig::apply(GatewayConfig candidate, std::optional<Duration> confirm) {
    // A second apply before the first was confirmed still goes back to what was confirmed last.
    Former former = deadline_ ? *former_ : in_force();
    if (auto done = put_in_force(std::move(candidate)); !done)
        return done;
    former_ = std::move(former);
    timer_.cancel();
    deadline_.reset();
    if (!confirm) {
        last_good_.keep(last_good_text(config_));
        return {};
    }
    deadline_ = pipeline::read_clock() + *confirm;
    timer_ = loop_.after(*confirm, [this] {
        log_.warn("configuration {} was not confirmed in time, going back", generation_);
        if (auto done = rollback(); !done)
            log_.error("cannot go back: {}", done.error().text());
    });
    return {};
}

Expected<void> RunningConfig::confirm() {
    if (!deadline_)
        return fail("nothing waits for confirmation", "apply a configuration with ?confirm=SECONDS first");
    timer_.cancel();
    deadline_.reset();
    last_good_.keep(last_good_text(config_));
    log_.info("configuration {} is confirmed", generation_);
    return {};
}

Expected<void> RunningConfig::rollback() {
    if (!former_)
        return fail("there is no configuration to go back to", "one is kept from every apply");
    timer_.cancel();
    deadline_.reset();
    Former present = in_force();
    if (auto done = gateway_.apply(former_->config, generation_ + 1, &former_->files); !done)
        return done;
    GatewayConfig former = std::exchange(former_, std::move(present))->config;
    if (auto done = turn_outside(config_.control, former.control, former.log); !done) {
        log_.error("rules are as before, but not the log and who listens: {}", done.error().text());
        former.control = config_.control;
        former.log = config_.log;
    }
    enter(std::move(former));
    last_good_.keep(last_good_text(config_));
    return {};
}

std::expected<GatewayConfig, config::Problems> RunningConfig::read() const {
    return config::read_file<GatewayConfig>(file_.string());
}

}  // namespace sluice
