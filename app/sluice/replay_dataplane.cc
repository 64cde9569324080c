#include "sluice/replay_dataplane.hh"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "conntrack/flow_job.hh"
#include "conntrack/flow_json.hh"
#include "filter/verbs.hh"
#include "pipeline/drops.hh"
#include "sluice/drop_catalog.hh"
#include "sluice/masquerade_end.hh"
#include "sluice/stages.hh"
#include "sluice/worker_path.hh"

namespace sluice {
namespace {

constexpr uint32_t kPackets = 4096;
constexpr uint32_t kMemoryMb = 64;
constexpr uint32_t kLargestFrame = 9216 + 22;
// Replay repeats to the byte, so chance must be the same every time.
constexpr uint64_t kSeed = 1;

// Addresses for devices that have none in the configuration: 02:51:1c:e0 and the number of the device.
std::vector<MacAddress> made_up_macs(size_t count) {
    std::vector<MacAddress> macs;
    for (size_t i = 0; i < count; ++i)
        macs.push_back({{0x02, 0x51, 0x1c, 0xe0, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)}});
    return macs;
}

}  // namespace

Expected<std::unique_ptr<dpdk::Eal>> ReplayDataplane::start_eal() {
    dpdk::EalPlan plan;
    plan.control_cpus = dpdk::allowed_cpus();
    plan.memory_mb = kMemoryMb;
    plan.hugepages = dpdk::Hugepages::off;
    return dpdk::Eal::start(plan);
}

Expected<std::unique_ptr<ReplayDataplane>> ReplayDataplane::create(const GatewayConfig& config, bool strict) {
    auto pool = dpdk::PacketPool::create("packets", kPackets, kLargestFrame);
    if (!pool)
        return std::unexpected(pool.error());
    auto ring = dpdk::PacketRing::create("to_control", 1024);
    if (!ring)
        return std::unexpected(ring.error());
    return std::unique_ptr<ReplayDataplane>(
        new ReplayDataplane(std::move(*pool), std::move(*ring), config, strict));
}

ReplayDataplane::ReplayDataplane(dpdk::PacketPool pool, dpdk::PacketRing to_control,
                                 const GatewayConfig& config, bool strict)
    : config_(&config),
      pool_(std::move(pool)),
      to_control_(std::move(to_control)),
      catalog_(drop_catalog()),
      worker_(WorkerId{0}, config.interfaces.size(), device_interfaces(config).size(), pool_, to_control_,
              kSeed),
      state_(kSeed),
      control_counters_(config.interfaces.size()),
      neighbours_(
          grace_, strict ? routing::NeighbourMode::strict : routing::NeighbourMode::derive, pool_,
          control_counters_, kSeed,
          [this](dpdk::Packet* packet) {
              to_worker_.push_back(packet);
              return true;
          },
          [](const routing::AddressConflict&) {}),
      firewall_(
          config, 1, kSeed, [](const std::function<void()>& retired) { retired(); },
          [this] { return day_of(worker_.now); }) {
    state_.icmp_errors = error_bucket(config.icmp, 1);
    neighbours_.set_watch(&worker_.watch);
}

ReplayDataplane::~ReplayDataplane() {
    for (auto* packet : to_worker_)
        rte_pktmbuf_free(packet);
}

std::vector<replay::Dataplane::Interface> ReplayDataplane::interfaces() const {
    std::vector<Interface> devices;
    const auto interfaces = make_interfaces(*config_, {});
    for (const auto& interface : interfaces.all()) {
        if (interface.vlan == pipeline::kNoVlan)
            devices.push_back({interface.id, interface.name});
    }
    return devices;
}

Expected<void> ReplayDataplane::begin(Instant first) {
    worker_.now = first;
    return apply();
}

Expected<void> ReplayDataplane::apply() {
    const auto macs = made_up_macs(device_interfaces(*config_).size());
    auto fresh = build_snapshot(*config_, 1, macs, neighbours_, firewall_, worker_.now);
    if (!fresh)
        return std::unexpected(fresh.error());
    worker_firewall().adopt((*fresh)->firewall.get());
    firewall_.adopt();
    const auto former = std::exchange(snapshot_, std::move(*fresh));
    if (former) {
        for (const auto neighbour : former->tables.fib->pinned())
            neighbours_.resolver().unpin(neighbour);
        end_masquerade(*former);
    }
    return {};
}

Expected<void> ReplayDataplane::reload(const GatewayConfig& config) {
    const auto* const former = std::exchange(config_, &config);
    auto done = apply();
    if (!done)
        config_ = former;
    return done;
}

void ReplayDataplane::end_masquerade(const Snapshot& before) {
    const auto ends = ends_with_address(before.tables.interfaces, snapshot_->tables.interfaces);
    if (!ends)
        return;
    conntrack::FlowJob job(conntrack::FlowAction::erase, {}, ends);
    job.send();
    while (!job.run(worker_firewall().tracker(), worker_.now, conntrack::FlowJob::kBatch)) {
    }
}

void ReplayDataplane::run_errands() {
    std::array<dpdk::Packet*, pipeline::kMaxBurst> packets;
    auto context = this->context();
    while (!to_control_.empty() || !to_worker_.empty()) {
        const unsigned count = to_control_.pop(packets);
        for (unsigned i = 0; i < count; ++i)
            neighbours_.handle(packets[i], worker_.now);
        for (auto* packet : std::exchange(to_worker_, {}))
            routing::handle_errand(context, packet);
    }
}

void ReplayDataplane::collect(std::vector<replay::Output>& outputs) {
    const auto& interfaces = snapshot_->tables.interfaces;
    for (size_t port = 0; port < worker_.egress.size(); ++port) {
        const auto id = static_cast<pipeline::PortId>(port);
        const auto packets = worker_.egress[port].packets();
        for (const auto* packet : packets) {
            const auto bytes = dpdk::bytes(packet);
            outputs.push_back({interfaces.of_port(id), {bytes.begin(), bytes.end()}});
        }
        for (auto* packet : packets)
            rte_pktmbuf_free(packet);
        pipeline::settle(worker_, interfaces, id, packets.size());
    }
}

std::optional<Instant> ReplayDataplane::next_timer() const {
    const auto fragments = state_.reassembler.next_expiry();
    const auto neighbours = neighbours_.resolver().next_deadline();
    const auto answers = firewall_.of(worker_.id).next_answer();
    std::optional<Instant> first;
    for (const auto& due : {fragments, neighbours, answers}) {
        if (due && (!first || *due < *first))
            first = due;
    }
    return first;
}

Expected<void> ReplayDataplane::tell_time(Instant now) {
    worker_.now = now;
    if (firewall_.has_expired()) {
        if (auto done = apply(); !done)
            return done;
    }
    while (!worker_firewall().expire(now)) {
    }
    firewall_.sets().maintain(now);
    return {};
}

Expected<void> ReplayDataplane::run_timers(Instant at) {
    if (auto done = tell_time(at); !done)
        return done;
    auto context = this->context();
    routing::expire_fragments(context);
    if (snapshot_->firewall)
        worker_firewall().answer_held_syns(context);
    neighbours_.tick(at);
    run_errands();
    return {};
}

Expected<void> ReplayDataplane::advance(Instant now, std::vector<replay::TimerOutcome>& caused) {
    while (const auto due = next_timer()) {
        if (*due > now)
            break;
        const size_t fragmented = state_.reassembler.datagrams();
        if (auto done = run_timers(*due); !done)
            return done;
        replay::TimerOutcome outcome{.time = *due, .verdict = std::nullopt, .outcome = {}};
        collect(outcome.outcome.outputs);
        if (!outcome.outcome.outputs.empty())
            caused.push_back(std::move(outcome));
        if (next_timer() == due && state_.reassembler.datagrams() == fragmented)
            break;  // it could not be dealt with now; do not stay here for ever
    }
    return tell_time(now);
}

replay::Outcome ReplayDataplane::inject(InterfaceId interface, std::span<const uint8_t> frame, Instant now) {
    worker_.now = now;
    replay::Outcome outcome;
    dpdk::Packet* packet = pool_.copy_of(frame);
    if (packet == nullptr) {
        worker_.counters.received.add(1);
        worker_.counters.interface(interface).rx_packets.add(1);
        worker_.counters.interface(interface).rx_bytes.add(frame.size());
        worker_.counters.drop(interface, pipeline::drops::frame_too_long, frame.size());
        outcome.verdict = replay::FinalVerdict::drop;
        outcome.reason = catalog_.find(pipeline::drops::frame_too_long)->name;
        return outcome;
    }
    worker_.watch = {.packet = packet, .end = std::nullopt};
    burst_.count = 1;
    burst_.packets[0] = packet;
    auto context = this->context();
    StageTimer timer(worker_.stages, false, 0);
    auto& firewall = worker_firewall();
    firewall.forget_judgement();
    run_stages(context, firewall, snapshot_->tables.interfaces[interface].port, burst_, timer);
    run_errands();
    collect(outcome.outputs);
    if (const auto& end = worker_.watch.end) {
        const bool dropped = end->kind() == pipeline::Verdict::Kind::drop;
        outcome.verdict = dropped ? replay::FinalVerdict::drop : replay::FinalVerdict::consumed;
        if (dropped)
            outcome.reason = catalog_.find(end->reason())->name;
    }
    worker_.watch = {};
    tell(firewall.judgement(), outcome);
    return outcome;
}

void ReplayDataplane::tell(const filter::Judgement& judgement, replay::Outcome& outcome) const {
    if (judgement.decided) {
        outcome.hook = filter::to_string(judgement.hook);
        outcome.rule = firewall_.rules().label(judgement.rule);
    }
    if (judgement.tracked)
        outcome.ct_state = conntrack::to_string(judgement.state);
}

replay::PacketTotals ReplayDataplane::totals() const {
    auto sum = worker_.counters.totals();
    sum += control_counters_.totals();
    return {.received = sum.received,
            .originated = sum.originated,
            .sent = sum.sent,
            .dropped = sum.dropped,
            .consumed = sum.consumed,
            .held = sum.held};
}

std::vector<replay::NamedCount> ReplayDataplane::drops() const {
    std::vector<replay::NamedCount> counts;
    for (const auto& info : catalog_.all()) {
        uint64_t packets = 0;
        for (size_t i = 0; i < control_counters_.interfaces(); ++i) {
            const auto id = static_cast<InterfaceId>(i);
            packets += worker_.counters.drops(id, info.reason).packets.read() +
                       control_counters_.drops(id, info.reason).packets.read();
        }
        if (packets != 0)
            counts.push_back({std::string(info.name), packets});
    }
    return counts;
}

std::vector<std::string> ReplayDataplane::flows() {
    std::vector<std::string> result;
    const conntrack::FlowNames names{
        .rule = [this](uint32_t rule) { return std::string(firewall_.rules().label(rule)); },
        .interface =
            [this](InterfaceId id) {
                return id == kNoInterface ? std::string() : snapshot_->tables.interfaces[id].name;
            }};
    conntrack::FlowJob job(conntrack::FlowAction::list, {});
    while (!job.done()) {
        job.send();
        while (!job.run(worker_firewall().tracker(), worker_.now, conntrack::FlowJob::kBatch)) {
        }
        for (const auto& flow : job.records())
            result.push_back(boost::json::serialize(conntrack::flow_json(flow, 0, names)));
        job.records().clear();
    }
    return result;
}

std::vector<std::string> ReplayDataplane::rules() {
    std::vector<std::string> result;
    if (!snapshot_->firewall)
        return result;
    const filter::RulesView view{
        .ruleset = snapshot_->firewall->ruleset.get(),
        .directory = &firewall_.rules(),
        .workers = firewall_.rule_counters(),
        .wall_clock = [](Instant at) { return seconds(at.time_since_epoch()); }};  // of the captures
    for (const auto& chain : filter::rules_json(view))
        result.push_back(boost::json::serialize(chain));
    return result;
}

std::vector<replay::NamedCount> ReplayDataplane::counters() const {
    std::vector<replay::NamedCount> counts;
    const auto catalog = telemetry::protocol_catalog();
    for (size_t i = 0; i < catalog.size(); ++i)
        counts.push_back({std::string(catalog[i].name), worker_.counters.protocol.read(i)});
    return counts;
}

}  // namespace sluice
