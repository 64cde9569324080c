#include "sluice/verbs.hh"
#include "telemetry/metrics_text.hh"

namespace sluice {
namespace {

using telemetry::MetricsText;

void interface_metrics(MetricsText& text, const pipeline::Observed& observed) {
    auto& rx_packets = text.counter("interface_rx_packets", "Packets received");
    auto& rx_bytes = text.counter("interface_rx_bytes", "Bytes received");
    auto& tx_packets = text.counter("interface_tx_packets", "Packets sent");
    auto& tx_bytes = text.counter("interface_tx_bytes", "Bytes sent");
    auto& up = text.gauge("interface_up", "1 if the link is up");
    for (const auto& interface : observed.interfaces->all()) {
        const auto sums = pipeline::sum_of(observed, interface.id);
        rx_packets.sample({{"interface", interface.name}}, sums.rx_packets);
        rx_bytes.sample({{"interface", interface.name}}, sums.rx_bytes);
        tx_packets.sample({{"interface", interface.name}}, sums.tx_packets);
        tx_bytes.sample({{"interface", interface.name}}, sums.tx_bytes);
        up.sample({{"interface", interface.name}}, observed.links[index(interface.port)].up ? 1 : 0);
    }
}

void drop_metrics(MetricsText& text, const pipeline::Observed& observed) {
    auto& packets = text.counter("drops", "Packets dropped, by reason, interface and worker");
    auto& bytes = text.counter("dropped_bytes", "Bytes dropped, by reason, interface and worker");
    pipeline::for_each_drop(
        observed, [&](const std::string& worker, const pipeline::Interface& interface,
                      const telemetry::DropInfo& info, uint64_t packet_count, uint64_t byte_count) {
            const telemetry::MetricLabels labels{{"reason", info.name},
                                                 {"family", telemetry::to_string(info.family)},
                                                 {"interface", interface.name},
                                                 {"worker", worker}};
            packets.sample(labels, packet_count);
            bytes.sample(labels, byte_count);
        });
}

void worker_metrics(MetricsText& text, const pipeline::Observed& observed) {
    auto& packets = text.counter("worker_packets", "Packets received by a worker");
    auto& bursts = text.counter("worker_bursts", "Bursts that had packets");
    auto& busy = text.counter("worker_busy_cycles", "CPU cycles spent on packets");
    auto& exhausted = text.counter("worker_budget_exhausted", "Times a queue gave a full budget");
    auto& sleeps = text.counter("worker_sleeps", "Times a worker went to sleep");
    for (const auto& one : observed.workers) {
        const std::string id = std::to_string(index(one.worker->id));
        packets.sample({{"worker", id}}, one.worker->counters.received.read());
        bursts.sample({{"worker", id}}, one.worker->loop.bursts.read());
        busy.sample({{"worker", id}}, one.worker->loop.busy_cycles.read());
        exhausted.sample({{"worker", id}}, one.worker->loop.budget_exhausted.read());
        sleeps.sample({{"worker", id}}, one.worker->loop.sleeps.read());
    }
}

void box_metrics(MetricsText& text, const Box& box) {
    const auto totals = box.gateway.totals();
    auto& packets = text.counter("packets", "Where packets came from and went");
    packets.sample({{"fate", "received"}}, totals.received);
    packets.sample({{"fate", "originated"}}, totals.originated);
    packets.sample({{"fate", "sent"}}, totals.sent);
    packets.sample({{"fate", "dropped"}}, totals.dropped);
    packets.sample({{"fate", "consumed"}}, totals.consumed);
    text.gauge("packets_held", "Packets that wait in the box").sample({}, totals.held);
    text.gauge("uptime_seconds", "Since the start").sample({}, seconds(pipeline::read_clock() - box.started));
    text.gauge("config_generation", "Number of the configuration in force")
        .sample({}, box.config.generation());
    text.gauge("mbufs", "Packet buffers").sample({}, box.gateway.pool().size());
    text.gauge("mbufs_free", "Packet buffers not in use").sample({}, box.gateway.pool().available());
}

std::string metrics(const Box& box) {
    MetricsText text;
    const auto observed = observe(box);
    box_metrics(text, box);
    interface_metrics(text, observed);
    drop_metrics(text, observed);
    worker_metrics(text, observed);
    const auto sums = pipeline::protocol_sums(observed);
    auto& protocol = text.counter("protocol", "Protocol counters by their SNMP and nstat names");
    for (size_t i = 0; i < sums.size(); ++i)
        protocol.sample({{"counter", telemetry::protocol_catalog()[i].name}}, sums[i]);
    return text.text();
}

}  // namespace

void add_metrics(admin::Verbs& verbs, Box& box) {
    verbs.add("GET", "/metrics", "all counters in Prometheus' text format", [&box](const admin::Request&) {
        return admin::Response::text(admin::kMetricsText, metrics(box));
    });
}

}  // namespace sluice
