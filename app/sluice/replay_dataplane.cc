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
std::vector<OpenedDevice> made_up_devices(size_t count) {
    std::vector<OpenedDevice> devices;
    for (size_t i = 0; i < count; ++i) {
        const MacAddress mac{{0x02, 0x51, 0x1c, 0xe0, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)}};
        devices.push_back({.mac = mac});
    }
    return devices;
}

}  // namespace

Expected<std::unique_ptr<dpdk::Eal>> ReplayDataplane::start_eal() {
    dpdk::EalPlan plan;
    plan.control_cpus = dpdk::allowed_cpus();
    plan.memory_mb = kMemoryMb;
    plan.hugepages = dpdk::Hugepages::off;
    return dpdk::Eal::start(plan);
}

Expected<std::unique_ptr<ReplayDataplane>> ReplayDataplane::create(const GatewayConfig& config, bool strict,
                                                                   size_t workers) {
    auto pool = dpdk::PacketPool::create("packets", kPackets, kLargestFrame);
    if (!pool)
        return std::unexpected(pool.error());
    std::unique_ptr<ReplayDataplane> dataplane(
        new ReplayDataplane(std::move(*pool), config, strict, workers));
    if (auto made = dataplane->make_lanes(workers); !made)
        return std::unexpected(made.error());
    return dataplane;
}

ReplayDataplane::ReplayDataplane(dpdk::PacketPool pool, const GatewayConfig& config, bool strict,
                                 size_t workers)
    : config_(&config),
      pool_(std::move(pool)),
      catalog_(drop_catalog()),
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
          config, workers, {}, kSeed, [](const std::function<void()>& retired) { retired(); },
          [this] { return day_of(now_); }) {}

ReplayDataplane::Lane::Lane(WorkerId id, const GatewayConfig& config, size_t workers,
                            const dpdk::PacketPool& pool, dpdk::PacketRing ring, uint64_t seed)
    : to_control(std::move(ring)),
      worker(id, config.interfaces.size(), device_interfaces(config).size(), pool, to_control, seed),
      state(seed) {
    state.icmp_errors = error_bucket(config.icmp, workers);
}

Expected<void> ReplayDataplane::make_lanes(size_t workers) {
    if (workers > 1) {
        steering_ = std::make_unique<SharedSteering>(workers, conntrack_of(*config_).max, kSeed);
    }
    for (size_t i = 0; i < workers; ++i) {
        auto ring = dpdk::PacketRing::create("to_control_" + std::to_string(i), 1024);
        if (!ring)
            return std::unexpected(ring.error());
        const auto id = static_cast<WorkerId>(i);
        lanes_.push_back(std::make_unique<Lane>(id, *config_, workers, pool_, std::move(*ring), kSeed + i));
        if (steering_)
            lanes_.back()->steering = std::make_unique<WorkerSteering>(id, *steering_);
    }
    neighbours_.set_watch(&lanes_.front()->worker.watch);
    return {};
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
    set_time(first);
    return apply();
}

void ReplayDataplane::set_time(Instant now) {
    now_ = now;
    for (const auto& lane : lanes_)
        lane->worker.now = now;
}

Expected<void> ReplayDataplane::apply() {
    const auto devices = made_up_devices(device_interfaces(*config_).size());
    auto fresh = build_snapshot(*config_, 1, devices, neighbours_, firewall_, now_);
    if (!fresh)
        return std::unexpected(fresh.error());
    for (const auto& lane : lanes_) {
        firewall_of(*lane).adopt((*fresh)->firewall.get());
        if (lane->steering) {
            lane->steering->homes.adopt(*(*fresh)->plan);
            firewall_of(*lane).steer_by(&lane->steering->homes);
        }
    }
    firewall_.adopt();
    const auto former = std::exchange(snapshot_, std::move(*fresh));
    if (former) {
        for (const auto neighbour : former->tables.fib->pinned())
            neighbours_.resolver().unpin(neighbour);
        end_masquerade(*former);
    }
    neighbours_.perform();
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
    for (const auto& lane : lanes_) {
        conntrack::FlowJob job(conntrack::FlowAction::erase, {}, ends);
        job.send();
        while (!job.run(firewall_of(*lane).tracker(), now_, conntrack::FlowJob::kBatch)) {
        }
    }
}

void ReplayDataplane::take_over() {
    for (bool more = true; steering_ && more;) {
        more = false;
        for (const auto& lane : lanes_) {
            for (size_t from = 0; from < lanes_.size(); ++from) {
                auto& steering = *lane->steering;
                const auto* watched = lane->worker.watch.packet;
                steering.hand_over.take(lane->worker, from, burst_);
                if (burst_.count == 0)
                    continue;
                for (const auto& other : lanes_)
                    other->worker.watch.pass_on(watched, lane->worker.watch.packet);
                more = true;
                auto context = this->context(*lane);
                StageTimer timer(lane->worker.stages, false, 0);
                steering.steerer.take(lane->worker, *snapshot_->plan, burst_);
                run_own_stages(context, firewall_of(*lane), burst_, timer);
            }
        }
    }
}

void ReplayDataplane::run_errands() {
    std::array<dpdk::Packet*, pipeline::kMaxBurst> packets;
    const auto is_waiting = [](const auto& lane) { return !lane->to_control.empty(); };
    while (std::ranges::any_of(lanes_, is_waiting) || !to_worker_.empty()) {
        for (const auto& lane : lanes_) {
            const unsigned count = lane->to_control.pop(packets);
            for (unsigned i = 0; i < count; ++i)
                neighbours_.handle(packets[i], now_);
        }
        for (auto* packet : std::exchange(to_worker_, {})) {
            auto context = this->context(*lanes_[index(dpdk::note(packet).worker)]);
            routing::handle_errand(context, packet);
        }
    }
}

void ReplayDataplane::collect(std::vector<replay::Output>& outputs) {
    const auto& interfaces = snapshot_->tables.interfaces;
    for (const auto& lane : lanes_) {
        for (size_t port = 0; port < lane->worker.egress.size(); ++port) {
            const auto id = static_cast<pipeline::PortId>(port);
            const auto packets = lane->worker.egress[port].packets();
            for (const auto* packet : packets) {
                const auto bytes = dpdk::bytes(packet);
                outputs.push_back({interfaces.of_port(id), {bytes.begin(), bytes.end()}});
            }
            for (auto* packet : packets)
                rte_pktmbuf_free(packet);
            pipeline::settle(lane->worker, interfaces, id, packets.size());
        }
    }
}

std::optional<Instant> ReplayDataplane::next_timer() const {
    auto first = neighbours_.resolver().next_deadline();
    for (const auto& lane : lanes_) {
        const auto fragments = lane->state.reassembler.next_expiry();
        const auto answers = firewall_.of(lane->worker.id).next_answer();
        for (const auto& due : {fragments, answers}) {
            if (due && (!first || *due < *first))
                first = due;
        }
    }
    return first;
}

size_t ReplayDataplane::datagrams() const {
    size_t datagrams = 0;
    for (const auto& lane : lanes_)
        datagrams += lane->state.reassembler.datagrams();
    return datagrams;
}

Expected<void> ReplayDataplane::tell_time(Instant now) {
    set_time(now);
    if (firewall_.has_expired()) {
        if (auto done = apply(); !done)
            return done;
    }
    for (const auto& lane : lanes_) {
        while (!firewall_of(*lane).expire(now)) {
        }
        if (lane->steering)
            lane->steering->steerer.expire(lane->worker);
    }
    firewall_.sets().maintain(now);
    return {};
}

Expected<void> ReplayDataplane::run_timers(Instant at) {
    if (auto done = tell_time(at); !done)
        return done;
    for (const auto& lane : lanes_) {
        auto context = this->context(*lane);
        routing::expire_fragments(context);
        if (snapshot_->firewall)
            firewall_of(*lane).answer_held_syns(context);
    }
    neighbours_.tick(at);
    run_errands();
    return {};
}

Expected<void> ReplayDataplane::advance(Instant now, std::vector<replay::TimerOutcome>& caused) {
    while (const auto due = next_timer()) {
        if (*due > now)
            break;
        const size_t fragmented = datagrams();
        if (auto done = run_timers(*due); !done)
            return done;
        replay::TimerOutcome outcome{.time = *due, .verdict = std::nullopt, .outcome = {}};
        collect(outcome.outcome.outputs);
        if (!outcome.outcome.outputs.empty())
            caused.push_back(std::move(outcome));
        if (next_timer() == due && datagrams() == fragmented)
            break;  // it could not be dealt with now; do not stay here for ever
    }
    return tell_time(now);
}

replay::Outcome ReplayDataplane::inject(InterfaceId interface, std::span<const uint8_t> frame, Instant now) {
    set_time(now);
    replay::Outcome outcome;
    Lane& receiver = *lanes_[injected_++ % lanes_.size()];
    dpdk::Packet* packet = pool_.copy_of(frame);
    if (packet == nullptr) {
        auto& counters = receiver.worker.counters;
        counters.received.add(1);
        counters.interface(interface).rx_packets.add(1);
        counters.interface(interface).rx_bytes.add(frame.size());
        counters.drop(interface, pipeline::drops::frame_too_long, frame.size());
        outcome.verdict = replay::FinalVerdict::drop;
        outcome.reason = catalog_.find(pipeline::drops::frame_too_long)->name;
        return outcome;
    }
    for (const auto& lane : lanes_) {
        lane->worker.watch = {.packet = packet, .end = std::nullopt};
        firewall_of(*lane).forget_judgement();
    }
    burst_.count = 1;
    burst_.packets[0] = packet;
    auto context = this->context(receiver);
    StageTimer timer(receiver.worker.stages, false, 0);
    run_stages(context, firewall_of(receiver), receiver.steering.get(), snapshot_->plan.get(),
               snapshot_->tables.interfaces[interface].port, burst_, timer);
    take_over();
    run_errands();
    collect(outcome.outputs);
    for (const auto& lane : lanes_) {
        if (const auto& end = lane->worker.watch.end) {
            const bool dropped = end->kind() == pipeline::Verdict::Kind::drop;
            outcome.verdict = dropped ? replay::FinalVerdict::drop : replay::FinalVerdict::consumed;
            if (dropped)
                outcome.reason = catalog_.find(end->reason())->name;
        }
        lane->worker.watch = {};
        tell(firewall_of(*lane).judgement(), outcome);
    }
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
    auto sum = control_counters_.totals();
    for (const auto& lane : lanes_)
        sum += lane->worker.counters.totals();
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
            packets += control_counters_.drops(id, info.reason).packets.read();
            for (const auto& lane : lanes_)
                packets += lane->worker.counters.drops(id, info.reason).packets.read();
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
    for (const auto& lane : lanes_) {
        conntrack::FlowJob job(conntrack::FlowAction::list, {});
        while (!job.done()) {
            job.send();
            while (!job.run(firewall_of(*lane).tracker(), now_, conntrack::FlowJob::kBatch)) {
            }
            for (const auto& flow : job.records())
                result.push_back(
                    boost::json::serialize(conntrack::flow_json(flow, index(lane->worker.id), names)));
            job.records().clear();
        }
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
    const auto sum_of = [this](size_t counter) {
        uint64_t sum = 0;
        for (const auto& lane : lanes_)
            sum += lane->worker.counters.protocol.read(counter);
        return sum;
    };
    for (size_t i = 0; i < catalog.size(); ++i)
        counts.push_back({std::string(catalog[i].name), sum_of(i)});
    return counts;
}

}  // namespace sluice
