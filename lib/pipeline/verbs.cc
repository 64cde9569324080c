#include "pipeline/verbs.hh"

#include <algorithm>
#include <boost/json.hpp>

#include "config/enum_names.hh"
#include "pipeline/config.hh"

namespace sluice::pipeline {
namespace {

namespace json = boost::json;

json::array strings(const std::vector<std::string>& texts) {
    json::array array;
    for (const auto& text : texts)
        array.emplace_back(text);
    return array;
}

json::object device_json(const dpdk::Device& device) {
    json::object nic;
    for (const auto& counter : device.nic_counters())
        nic[counter.name] = counter.value;
    return {{"driver", device.driver()},
            {"profile", device.profile_used()},
            {"sleep", config::name_of(device.sleep(0))},
            {"queues", device.queues()},
            {"offloads", strings(device.offloads())},
            {"offloads_refused", strings(device.refused())},
            {"nic", std::move(nic)}};
}

json::value interface_json(const Observed& observed, const Interface& interface) {
    const auto& link = observed.links[index(interface.port)];
    const auto sums = sum_of(observed, interface.id);
    json::array addresses;
    for (const auto& address : interface.addresses)
        addresses.emplace_back(address.to_string());
    const bool has_link_local = std::ranges::any_of(interface.addresses, [](const InterfaceAddress& own) {
        return own.address.is_ip6() && own.address.ip6().is_link_local();
    });
    if (!has_link_local)
        addresses.emplace_back(Ip6Address::link_local(interface.mac).to_string() + "/64");
    json::object object{{"name", interface.name},
                        {"link", {{"up", link.up}, {"speed", link.speed_mbps}}},
                        {"mac", interface.mac.to_string()},
                        {"mtu", interface.mtu},
                        {"addresses", std::move(addresses)},
                        {"rp_filter", config::name_of(interface.rp_filter)},
                        {"rx_packets", sums.rx_packets},
                        {"rx_bytes", sums.rx_bytes},
                        {"tx_packets", sums.tx_packets},
                        {"tx_bytes", sums.tx_bytes},
                        {"drops", sums.dropped}};
    if (interface.vlan == kNoVlan) {
        for (auto& [key, value] : device_json(observed.devices[index(interface.port)]))
            object[key] = std::move(value);
    } else {
        object["parent"] = interface.parent;
        object["vlan"] = interface.vlan;
    }
    return object;
}

json::value worker_json(const ObservedWorker& one) {
    const Worker& worker = *one.worker;
    json::object stages;
    for (size_t stage = 0; stage < kStageNames.size(); ++stage)
        stages[kStageNames[stage]] = cycles_per_packet(worker, stage);
    return {{"id", index(worker.id)},
            {"cpu", one.cpu},
            {"packets", worker.counters.received.read()},
            {"bursts", worker.loop.bursts.read()},
            {"cycles_per_packet", cycles_per_packet(worker)},
            {"busy", busy_share(worker)},
            {"handed_over", worker.loop.handed_over.read()},
            {"taken_over", worker.loop.taken_over.read()},
            {"budget_exhausted", worker.loop.budget_exhausted.read()},
            {"sleeps", worker.loop.sleeps.read()},
            {"wakeups", worker.loop.wakeups.read()},
            {"empty_rounds", worker.loop.empty_rounds.read()},
            {"busy_cycles", worker.loop.busy_cycles.read()},
            {"total_cycles", worker.loop.total_cycles.read()},
            {"latency", latency_json(worker.latency.read())},
            {"stages", std::move(stages)}};
}

json::array drops_json(const Observed& observed) {
    json::array items;
    for_each_drop(observed, [&](std::optional<WorkerId> worker, const Interface& interface,
                                const telemetry::DropInfo& info, uint64_t packets, uint64_t bytes) {
        items.push_back({{"reason", info.name},
                         {"family", telemetry::to_string(info.family)},
                         {"packets", packets},
                         {"bytes", bytes},
                         {"interface", interface.name},
                         {"worker", worker ? json::value(index(*worker)) : json::value("control")},
                         {"description", info.help}});
    });
    return items;
}

json::value counters_json(const Observed& observed) {
    const auto sums = protocol_sums(observed);
    const auto catalog = telemetry::protocol_catalog();
    json::object object;
    for (size_t i = 0; i < catalog.size(); ++i)
        object[catalog[i].name] = sums[i];
    return object;
}

}  // namespace

json::object latency_json(const telemetry::LatencyCounts& counts) {
    const auto as_seconds = [](uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; };
    const uint64_t packets = counts.total();
    return {{"packets", packets},
            {"mean", packets == 0 ? 0.0 : as_seconds(counts.sum) / static_cast<double>(packets)},
            {"p50", as_seconds(counts.quantile(0.5))},
            {"p90", as_seconds(counts.quantile(0.9))},
            {"p99", as_seconds(counts.quantile(0.99))},
            {"p999", as_seconds(counts.quantile(0.999))},
            {"max", as_seconds(counts.longest)}};
}

void add_verbs(admin::Verbs& verbs, const std::function<Observed()>& observe) {
    verbs.add("GET", "/v1/interfaces",
              "interfaces: link, addresses, offloads, counters of Sluice and of the device",
              [observe](const admin::Request& request) {
                  const auto observed = observe();
                  json::array items;
                  for (const auto& interface : observed.interfaces->all())
                      items.push_back(interface_json(observed, interface));
                  return admin::paged(request, std::move(items));
              });
    verbs.add("GET", "/v1/workers",
              "workers: load, cycles a packet by stage, sleeps, time of packets in the box",
              [observe](const admin::Request& request) {
                  json::array items;
                  for (const auto& worker : observe().workers)
                      items.push_back(worker_json(worker));
                  return admin::paged(request, std::move(items));
              });
    verbs.add(
        "GET", "/v1/drops", "dropped packets by reason, interface and worker",
        [observe](const admin::Request& request) { return admin::paged(request, drops_json(observe())); });
    verbs.add("GET", "/v1/counters", "protocol counters by their SNMP and nstat names",
              [observe](const admin::Request&) { return admin::Response::json(counters_json(observe())); });
}

}  // namespace sluice::pipeline
