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
    pipeline::for_each_drop(observed,
                            [&](std::optional<WorkerId> worker, const pipeline::Interface& interface,
                                const telemetry::DropInfo& info, uint64_t packet_count, uint64_t byte_count) {
                                const telemetry::MetricLabels labels{
                                    {"reason", info.name},
                                    {"family", telemetry::to_string(info.family)},
                                    {"interface", interface.name},
                                    {"worker", worker ? std::to_string(index(*worker)) : "control"}};
                                packets.sample(labels, packet_count);
                                bytes.sample(labels, byte_count);
                            });
}

void worker_metrics(MetricsText& text, const pipeline::Observed& observed) {
    auto& packets = text.counter("worker_packets", "Packets received by a worker");
    auto& bursts = text.counter("worker_bursts", "Bursts that had packets");
    auto& busy =
        text.counter("worker_busy_cycles", "CPU cycles of rounds in which there was something to do");
    auto& total = text.counter("worker_total_cycles", "CPU cycles since the start, those asleep among them");
    auto& exhausted = text.counter("worker_budget_exhausted", "Times a queue gave a full budget");
    auto& empty = text.counter("worker_empty_rounds", "Polls of all queues that found nothing");
    auto& sleeps = text.counter("worker_sleeps", "Times a worker went to sleep");
    auto& wakeups = text.counter("worker_wakeups", "Sleeps that ended before their time");
    auto& handed_over = text.counter("worker_handed_over", "Packets given to the workers that own them");
    auto& taken_over = text.counter("worker_taken_over", "Packets that other workers gave to this one");
    for (const auto& one : observed.workers) {
        const std::string id = std::to_string(index(one.worker->id));
        packets.sample({{"worker", id}}, one.worker->counters.received.read());
        bursts.sample({{"worker", id}}, one.worker->loop.bursts.read());
        busy.sample({{"worker", id}}, one.worker->loop.busy_cycles.read());
        exhausted.sample({{"worker", id}}, one.worker->loop.budget_exhausted.read());
        handed_over.sample({{"worker", id}}, one.worker->loop.handed_over.read());
        taken_over.sample({{"worker", id}}, one.worker->loop.taken_over.read());
        total.sample({{"worker", id}}, one.worker->loop.total_cycles.read());
        empty.sample({{"worker", id}}, one.worker->loop.empty_rounds.read());
        sleeps.sample({{"worker", id}}, one.worker->loop.sleeps.read());
        wakeups.sample({{"worker", id}}, one.worker->loop.wakeups.read());
    }
}

// By powers of two of nanoseconds, so that figures of several machines add up.
void latency_metrics(MetricsText& text, const pipeline::Observed& observed) {
    constexpr unsigned kFirst = 9;  // 512 ns
    constexpr unsigned kLast = 30;  // a second
    auto& latency =
        text.histogram("latency_seconds", "From the receive of a burst to its transmit, by packet");
    for (const auto& one : observed.workers) {
        const auto counts = one.worker->latency.read();
        std::vector<telemetry::MetricBucket> buckets;
        for (unsigned power = kFirst; power <= kLast; ++power)
            buckets.push_back({static_cast<double>(uint64_t{1} << power) / 1e9, counts.below(power)});
        latency.sample({{"worker", std::to_string(index(one.worker->id))}}, buckets, counts.total(),
                       static_cast<double>(counts.sum) / 1e9);
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

void conntrack_metrics(MetricsText& text, const FirewallControl& firewall) {
    auto& flows = text.gauge("conntrack_flows", "Flows in a worker's table");
    auto& max = text.gauge("conntrack_max", "Flows a worker's table may hold");
    auto& pressure = text.gauge("conntrack_pressure", "0 to 3: how far timeouts are shortened");
    auto& counts = text.counter("conntrack", "What connection tracking did, by the names of conntrack -S");
    auto& invalid = text.counter("conntrack_invalid_packets", "Invalid packets, by reason");
    const auto catalog = conntrack::count_catalog();
    for (size_t i = 0; i < firewall.workers(); ++i) {
        const auto& counters = firewall.of(static_cast<WorkerId>(i)).conntrack_counters();
        const std::string worker = std::to_string(i);
        flows.sample({{"worker", worker}}, counters.flows.read());
        max.sample({{"worker", worker}}, counters.max.read());
        pressure.sample({{"worker", worker}}, counters.pressure.read());
        for (size_t place = 0; place < catalog.size(); ++place)
            counts.sample({{"counter", catalog[place].name}, {"worker", worker}}, counters.read(place));
        const auto reasons = conntrack::invalid_reason_catalog();
        for (size_t place = 0; place < reasons.size(); ++place)
            invalid.sample({{"reason", reasons[place].name}, {"worker", worker}},
                           counters.read(static_cast<conntrack::InvalidReason>(place)));
    }
}

void nat_metrics(MetricsText& text, const nat::NatUse& use) {
    auto& in_use = text.gauge("nat_ports_in_use", "Ports of an external address that mappings have");
    auto& held_down = text.gauge("nat_ports_held_down", "Freed ports that are not used again yet");
    auto& limit = text.gauge("nat_ports_limit", "Ports that may be given out");
    auto& refused = text.counter("nat_ports_refused", "Times no port was left");
    for (const nat::PortUse& one : use.ports) {
        const std::string address = one.address.to_string();
        const std::string protocol = conntrack::protocol_name(one.protocol);
        const telemetry::MetricLabels labels{{"address", address}, {"proto", protocol}};
        in_use.sample(labels, one.in_use);
        held_down.sample(labels, one.held_down);
        limit.sample(labels, one.limit);
        refused.sample(labels, one.refused);
    }
    text.gauge("nat_mappings", "Mappings there are").sample({}, use.mappings);
    text.gauge("nat_mappings_max", "Mappings there may be").sample({}, use.max);
    text.counter("nat_mappings_made", "Mappings made").sample({}, use.made);
    text.counter("nat_mappings_ended", "Mappings ended").sample({}, use.ended);
}

// By the names that `rules` shows: chain and rule.
void rule_metrics(MetricsText& text, const FirewallControl& firewall) {
    auto& packets = text.counter("rule_packets", "Packets a rule, or a chain's policy, has matched");
    auto& bytes = text.counter("rule_bytes", "Bytes of these");
    const auto workers = firewall.rule_counters();
    for (filter::RuleId rule = filter::kNoRule + 1; rule < firewall.rules().size(); ++rule) {
        const auto label = firewall.rules().label(rule);
        if (label.empty())
            continue;
        const auto counts = firewall.rules().sum(rule, workers);
        const auto slash = label.find('/');
        const telemetry::MetricLabels labels{{"chain", label.substr(0, slash)},
                                             {"rule", label.substr(slash + 1)}};
        packets.sample(labels, counts.packets);
        bytes.sample(labels, counts.bytes);
    }
}

void set_metrics(MetricsText& text, const sets::SetTable& sets) {
    auto& elements = text.gauge("set_elements", "Elements of a set");
    for (const auto& entry : sets.entries()) {
        if (entry.set)
            elements.sample({{"set", entry.set->name()}}, entry.set->element_count());
    }
}

std::string metrics(const Box& box) {
    MetricsText text;
    const auto observed = observe(box);
    box_metrics(text, box);
    interface_metrics(text, observed);
    drop_metrics(text, observed);
    worker_metrics(text, observed);
    latency_metrics(text, observed);
    conntrack_metrics(text, box.gateway.firewall());
    if (box.gateway.firewall().translates())
        nat_metrics(text, box.nat.use());
    rule_metrics(text, box.gateway.firewall());
    set_metrics(text, *box.gateway.firewall().sets().table());
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
