#include "sluice/verbs.hh"

#include <unistd.h>

#include <boost/json.hpp>
#include <fstream>

#include "config/scalar.hh"
#include "pipeline/verbs.hh"
#include "routing/verbs.hh"

namespace sluice {
namespace {

namespace json = boost::json;

uint64_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    uint64_t size = 0;
    uint64_t resident = 0;
    file >> size >> resident;
    return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

json::object packets_json(const telemetry::PacketTotals& totals) {
    return {{"received", totals.received}, {"originated", totals.originated}, {"sent", totals.sent},
            {"dropped", totals.dropped},   {"consumed", totals.consumed},     {"held", totals.held}};
}

json::value status_json(const Box& box) {
    const auto& gateway = box.gateway;
    json::object config{{"file", box.config.file().string()}, {"generation", box.config.generation()}};
    if (const auto left = box.config.unconfirmed_for())
        config["unconfirmed_for"] = *left;
    return {{"version", SLUICE_VERSION},
            {"uptime", seconds(pipeline::read_clock() - box.started)},
            {"config", std::move(config)},
            {"workers", gateway.workers().size()},
            {"interfaces", gateway.snapshot().tables.interfaces.all().size()},
            {"flows", gateway.flows()},
            {"memory",
             {{"resident", resident_bytes()},
              {"hugepages", gateway.eal().uses_hugepages() ? dpdk::eal_memory() : 0},
              {"mbufs", gateway.pool().size()},
              {"mbufs_free", gateway.pool().available()}}},
            {"packets", packets_json(gateway.totals())},
            {"latency", pipeline::latency_json(pipeline::latency_of(observe(box)))}};
}

admin::Response set_log(Box& box, const admin::Request& request) {
    const auto body = request.json();
    if (!body)
        return admin::Response::error(400, body.error(), request.path);
    if (!body->is_object() || body->as_object().empty())
        return admin::Response::error(400, "the body names nothing to change", R"(send {"level": "debug"})");
    auto wanted = box.log.config();
    for (const auto& [name, value] : body->as_object()) {
        const auto set = [&value](auto& option) -> Expected<void> {
            using Option = std::remove_reference_t<decltype(option)>;
            auto parsed = config::Scalar<Option>::parse(value.is_string() ? value.as_string() : "");
            if (!parsed)
                return std::unexpected(parsed.error());
            option = *parsed;
            return {};
        };
        const auto done = name == "level" ? set(wanted.level)
                          : name == "format"
                              ? set(wanted.format)
                              : fail("'" + std::string(name) + "' cannot be changed here",
                                     "expected level or format; the rest changes with the configuration");
        if (!done)
            return admin::Response::error(400, done.error(), name);
    }
    if (auto done = box.log.apply(wanted); !done)
        return admin::Response::error(409, done.error());
    return admin::Response::json(
        json::value{{"level", config::name_of(wanted.level)}, {"format", config::name_of(wanted.format)}});
}

}  // namespace

pipeline::Observed observe(const Box& box) {
    const auto& gateway = box.gateway;
    pipeline::Observed observed{.interfaces = &gateway.snapshot().tables.interfaces,
                                .devices = gateway.devices(),
                                .links = {},
                                .workers = {},
                                .threads = {},
                                .catalog = &box.catalog};
    for (size_t port = 0; port < gateway.devices().size(); ++port)
        observed.links.push_back(gateway.link(static_cast<pipeline::PortId>(port)));
    for (const auto* worker : gateway.workers()) {
        observed.workers.push_back({worker, gateway.eal().cpu(worker->id)});
        observed.threads.push_back({worker->id, &worker->counters});
    }
    observed.threads.push_back({std::nullopt, &gateway.control_counters()});
    return observed;
}

void add_verbs(admin::Verbs& verbs, Box& box) {
    verbs.add("GET", "/v1/status", "version, uptime, configuration, memory, where packets went",
              [&box](const admin::Request&) { return admin::Response::json(status_json(box)); });
    verbs.add("PUT", "/v1/log", "sets the log level until the next reload",
              [&box](const admin::Request& request) { return set_log(box, request); });
    verbs.add("POST", "/v1/stop", "drains and stops the gateway", [&box](const admin::Request&) {
        auto response = admin::Response::json(json::value{{"stopping", true}});
        response.sent = [&box] { box.loop.stop(); };
        return response;
    });
    pipeline::add_verbs(verbs, [&box] { return observe(box); });
    routing::add_verbs(verbs, [&box] {
        return routing::RoutingView{&box.gateway.snapshot().tables, &box.gateway.neighbours(),
                                    pipeline::read_clock()};
    });
    add_firewall_verbs(verbs, box);
    add_config_verbs(verbs, box);
    add_metrics(verbs, box);
    admin::add_index(verbs);
}

}  // namespace sluice
