#include <csignal>
#include <iostream>

#include "admin/server.hh"
#include "dpdk/locked_memory.hh"
#include "sluice/commands.hh"
#include "sluice/drop_catalog.hh"
#include "sluice/gateway.hh"
#include "sluice/last_good.hh"
#include "sluice/running_config.hh"
#include "sluice/verbs.hh"

namespace sluice {
namespace {

constexpr Duration kEventPeriod = std::chrono::milliseconds(20);
constexpr Duration kNatPeriod = std::chrono::milliseconds(500);

int refuse(const Error& error) {
    std::cerr << "sluice: " << error.text() << "\n";
    return kRefused;
}

// The configuration to start with: the file, or what worked last where the operator has allowed that.
std::optional<GatewayConfig> first_config(const RunOptions& options) {
    auto config = config::read_file<GatewayConfig>(options.file);
    if (config)
        return std::move(*config);
    std::cerr << config.error().text();
    if (!options.last_good)
        return std::nullopt;
    std::cerr << "sluice: starting with " << last_good_file().string() << " instead\n";
    auto last_good = config::read_file<GatewayConfig>(last_good_file().string());
    if (last_good)
        return std::move(*last_good);
    std::cerr << last_good.error().text();
    return std::nullopt;
}

// SIGTERM and SIGINT end the loop, SIGHUP reads the file again.
Expected<void> on_signals(admin::ControlLoop& loop, RunningConfig& running, telemetry::Log& log) {
    for (const int signal : {SIGTERM, SIGINT}) {
        auto registration = loop.on_signal(signal, [&loop, &log, signal] {
            log.info("stopping on {}", signal == SIGTERM ? "SIGTERM" : "SIGINT");
            loop.stop();
        });
        if (!registration)
            return std::unexpected(registration.error());
        registration->keep();
    }
    auto reload = loop.on_signal(SIGHUP, [&running, &log] {
        if (auto reopened = log.reopen(); !reopened)
            log.error("{}", reopened.error().text());
        auto candidate = running.read();
        if (!candidate) {
            for (const auto& problem : candidate.error())
                log.error("{}", problem.text());
        } else if (auto done = running.apply(std::move(*candidate), std::nullopt); !done) {
            log.error("{}", done.error().text());
        } else {
            return;
        }
        log.error("the configuration in force stays as it was");
    });
    if (!reload)
        return std::unexpected(reload.error());
    reload->keep();
    return {};
}

}  // namespace

int run(const RunOptions& options) {
    const Instant started = pipeline::read_clock();
    auto config = first_config(options);
    if (!config)
        return kRefused;
    auto log = telemetry::Log::open(config->log);
    if (!log)
        return refuse(log.error());
    admin::ControlLoop loop([&](std::string_view where, std::string_view what) {
        (*log)->error(telemetry::Cause{"handler_failed"}, "a {} handler failed: {}", where, what);
    });
    auto gateway = Gateway::start(*config, loop, **log);
    if (!gateway)
        return refuse(gateway.error());
    if (auto locked = dpdk::lock_memory(); !locked)
        (*log)->warn("{}", locked.error().text());
    RunningConfig running(std::filesystem::absolute(options.file), std::move(*config), **gateway, loop,
                          **log);
    const auto catalog = drop_catalog();
    conntrack::EventFeeds events(
        [&gateway] {
            std::vector<conntrack::EventQueue*> queues;
            for (size_t i = 0; i < (*gateway)->firewall().workers(); ++i)
                queues.push_back(&(*gateway)->firewall().of(static_cast<WorkerId>(i)).tracker().events());
            return queues;
        },
        flow_names(**gateway));
    const auto pump = loop.every(kEventPeriod, [&events] { events.pump(); });
    NatWatch nat(nat_access(**gateway), [&gateway] { return (*gateway)->firewall().translates(); }, **log);
    const auto look = loop.every(kNatPeriod, [&nat] { nat.look(); });
    Box box{**gateway, running, loop, **log, catalog, started, events, nat};
    admin::Verbs verbs;
    add_verbs(verbs, box);
    admin::Server server(loop, verbs);
    running.set_listen([&server](const admin::ControlConfig& control) { return server.apply(control); });
    if (auto done = server.apply(running.config().control); !done)
        return refuse(done.error());
    if (auto done = on_signals(loop, running, **log); !done)
        return refuse(done.error());
    (*log)->info("sluice {} runs {} with {} worker(s), ready after {:.0f} ms", SLUICE_VERSION,
                 running.file().string(), (*gateway)->workers().size(),
                 seconds(pipeline::read_clock() - started) * 1000);
    loop.run();
    server.close();
    (*log)->info("stopped");
    return kDone;
}

}  // namespace sluice
