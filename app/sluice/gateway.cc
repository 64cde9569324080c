#include "sluice/gateway.hh"

#include <algorithm>
#include <array>
#include <random>
#include <thread>

#include "sluice/masquerade_end.hh"

namespace sluice {
namespace {

constexpr uint32_t kRingSize = 4096;
constexpr Duration kLinkPeriod = std::chrono::milliseconds(100);
constexpr Duration kTickPeriod = std::chrono::milliseconds(100);
// Headers of a frame beyond what the MTU counts: Ethernet, two tags.
constexpr uint32_t kLinkOverhead = 22;

uint64_t fresh_seed() {
    std::random_device device;
    return uint64_t{device()} << 32 | device();
}

uint32_t largest_frame(const GatewayConfig& config) {
    uint32_t mtu = pipeline::kDefaultMtu;
    for (const auto& [name, interface, at] : config.interfaces)
        mtu = std::max<uint32_t>(mtu, interface.mtu.value_or(0));
    return mtu + kLinkOverhead;
}

// Buffers, what DPDK keeps about them, queues of devices, rings.
uint32_t memory_needed_mb(const GatewayConfig& config) {
    const uint64_t buffer =
        std::max<uint64_t>(largest_frame(config), 2048) + 128 + 128 + dpdk::kPrivateSize + 64;
    return static_cast<uint32_t>(config.engine.mbufs * buffer >> 20) + 48;
}

}  // namespace

Expected<std::unique_ptr<Gateway>> Gateway::start(const GatewayConfig& config, admin::ControlLoop& loop,
                                                  telemetry::Log& log) {
    auto plan = dpdk::plan_cpus(config.engine);
    if (!plan)
        return std::unexpected(plan.error());
    plan->memory_mb = memory_needed_mb(config);
    for (const auto& [name, interface, at] : config.interfaces) {
        if (const auto address = dpdk::pci_address(interface.device))
            plan->pci_devices.push_back(*address);
    }
    auto eal = dpdk::Eal::start(*plan);
    if (!eal)
        return std::unexpected(eal.error());
    auto pool = dpdk::PacketPool::create("packets", config.engine.mbufs, largest_frame(config));
    if (!pool)
        return std::unexpected(pool.error());
    auto rcu = dpdk::Rcu::create((*eal)->workers());
    if (!rcu)
        return std::unexpected(rcu.error());
    auto bell = dpdk::Bell::create();
    if (!bell)
        return std::unexpected(bell.error());
    std::unique_ptr<Gateway> gateway(
        new Gateway(std::move(*eal), std::move(*pool), std::move(*rcu), std::move(*bell), loop, log));
    for (const auto step : {&Gateway::open_devices, &Gateway::make_lanes, &Gateway::launch}) {
        if (auto done = (gateway.get()->*step)(config); !done)
            return std::unexpected(done.error());
    }
    if (auto done = gateway->schedule(); !done)
        return std::unexpected(done.error());
    return gateway;
}

Gateway::Gateway(std::unique_ptr<dpdk::Eal> eal, dpdk::PacketPool pool, dpdk::Rcu rcu, dpdk::Bell bell,
                 admin::ControlLoop& loop, telemetry::Log& log)
    : eal_(std::move(eal)),
      pool_(std::move(pool)),
      rcu_(std::move(rcu)),
      control_bell_(std::move(bell)),
      loop_(loop),
      log_(log),
      control_counters_(kMaxInterfaces),  // VLANs may be added
      grace_(rcu_) {
    neighbours_ = std::make_unique<routing::NeighbourService>(
        grace_, routing::NeighbourMode::ask, pool_, control_counters_, fresh_seed(),
        [this](dpdk::Packet* packet) { return send_to_worker(packet); },
        [this](const routing::AddressConflict& conflict) {
            log_.warn(telemetry::Cause{"address_conflict"}, "{}: {} is also used by {}",
                      snapshot_ ? snapshot_->tables.interfaces[conflict.in].name : "?",
                      conflict.address.to_string(), conflict.theirs.to_string());
        });
}

Gateway::~Gateway() {
    registrations_.clear();
    stop_.store(true, std::memory_order_relaxed);
    for (const auto& lane : lanes_)
        lane.sleeper.bell().ring();
    dpdk::Eal::wait();
    lanes_.clear();
    snapshot_.reset();
    retired_.clear();
    run_postponed();
    firewall_.reset();  // which has something to postpone, too: its sets
    run_postponed();
    neighbours_.reset();
    devices_.clear();
}

void Gateway::run_postponed() {
    while (!postponed_.empty()) {
        for (const auto& postponed : std::exchange(postponed_, {}))
            postponed.run();
    }
}

Expected<void> Gateway::open_devices(const GatewayConfig& config) {
    for (const auto& name : device_interfaces(config)) {
        const auto& settings = *config.interfaces.find(name);
        auto device = dpdk::Device::open({.name = name,
                                          .device = settings.device,
                                          .profile = settings.profile,
                                          .mac = settings.mac,
                                          .mtu = settings.mtu.value_or(pipeline::kDefaultMtu),
                                          .workers = eal_->workers(),
                                          .steering = config.engine.steering},
                                         pool_);
        if (!device)
            return std::unexpected(device.error());
        for (const auto& offload : device->refused())
            log_.info("{}: {} cannot do {}, which the profile '{}' asks for", name, device->driver(), offload,
                      device->profile_used());
        opened_.push_back({.mac = device->mac(), .large_receive = device->large_receive()});
        devices_.push_back(std::move(*device));
    }
    const Instant deadline = pipeline::read_clock();
    for (const auto& device : devices_) {
        while (!device.link().up && pipeline::read_clock() - deadline < device.profile().link_wait)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        links_.push_back(device.link());
    }
    return {};
}

Expected<void> Gateway::make_lanes(const GatewayConfig& config) {
    for (size_t i = 0; i < eal_->workers(); ++i) {
        auto to_control = dpdk::PacketRing::create("to_control_" + std::to_string(i), kRingSize);
        auto from_control = dpdk::PacketRing::create("from_control_" + std::to_string(i), kRingSize);
        auto sleeper = dpdk::Sleeper::create();
        if (!to_control || !from_control)
            return std::unexpected((to_control ? from_control : to_control).error());
        if (!sleeper)
            return std::unexpected(sleeper.error());
        lanes_.push_back(
            {std::move(*to_control), std::move(*from_control), std::move(*sleeper), {}, {}, {}, {}});
    }
    firewall_ = std::make_unique<FirewallControl>(
        config, lanes_.size(), places(), fresh_seed(),
        [this](std::function<void()> run) { postponed_.push_back({std::move(run), rcu_.begin_grace()}); });
    if (lanes_.size() > 1) {
        steering_ = std::make_unique<SharedSteering>(lanes_.size(), conntrack_of(config).max, fresh_seed());
    }
    // References into the lanes are taken only now that they do not move any more.
    for (size_t i = 0; i < lanes_.size(); ++i) {
        auto& lane = lanes_[i];
        lane.worker = std::make_unique<pipeline::Worker>(
            static_cast<WorkerId>(i), kMaxInterfaces, devices_.size(), pool_, lane.to_control, fresh_seed());
        if (steering_) {
            if (config.engine.poll == dpdk::Poll::adaptive)  // others never sleep
                steering_->rings.set_bell(static_cast<WorkerId>(i), lane.sleeper.bell());
            lane.steering = std::make_unique<WorkerSteering>(static_cast<WorkerId>(i), *steering_);
        }
        lane.path = std::make_unique<WorkerPath>(*lane.worker, lanes_.size(), fresh_seed(),
                                                 firewall_->of(static_cast<WorkerId>(i)), lane.steering.get(),
                                                 published_, std::span<const dpdk::Device>(devices_));
    }
    return {};
}

std::vector<pipeline::PolledQueue> Gateway::queues_of(size_t worker) const {
    std::vector<pipeline::PolledQueue> queues;
    for (size_t port = 0; port < devices_.size(); ++port) {
        // Those of a device with fewer queues than workers begin with another worker for each device.
        const size_t queues_of_port = devices_[port].queues();
        const size_t first = queues_of_port < lanes_.size() ? port % lanes_.size() : 0;
        const size_t queue = (worker + lanes_.size() - first) % lanes_.size();
        if (queue < queues_of_port)
            queues.push_back(
                {static_cast<pipeline::PortId>(port), &devices_[port], static_cast<uint16_t>(queue)});
    }
    return queues;
}

std::vector<uint8_t> Gateway::places() const {
    // Devices that bring flows home by themselves know the even table only.
    if (std::ranges::any_of(devices_, &dpdk::Device::brings_flows_home))
        return {};
    std::vector<size_t> queues;
    for (size_t worker = 0; worker < lanes_.size(); ++worker) {
        // Devices with a queue for each worker are no difference between them.
        const auto own = queues_of(worker);
        queues.push_back(static_cast<size_t>(std::ranges::count_if(
            own, [this](const auto& polled) { return polled.device->queues() < lanes_.size(); })));
    }
    return steering::places_for(queues);
}

Expected<void> Gateway::launch(const GatewayConfig& config) {
    if (auto done = apply(config, 1); !done)
        return done;
    for (size_t i = 0; i < lanes_.size(); ++i) {
        auto& lane = lanes_[i];
        lane.body = [this, &lane, queues = queues_of(i), poll = config.engine.poll,
                     budget = config.engine.budget] {
            pipeline::WorkerRun run{.worker = *lane.worker,
                                    .rcu = rcu_,
                                    .sleeper = lane.sleeper,
                                    .control_bell = control_bell_,
                                    .from_control = lane.from_control,
                                    .hand_over = lane.steering ? &lane.steering->hand_over : nullptr,
                                    .queues = queues,
                                    .poll = poll,
                                    .budget = budget,
                                    .stop = stop_,
                                    .receiving = receiving_};
            pipeline::run_worker(run, *lane.path);
        };
        ++receiving_;
        if (auto done = eal_->launch(static_cast<WorkerId>(i), lane.body); !done) {
            --receiving_;
            return done;
        }
    }
    return {};
}

Expected<void> Gateway::schedule() {
    auto errands = loop_.on_readable(control_bell_.descriptor(), [this] {
        control_bell_.clear();
        take_errands();
    });
    if (!errands)
        return std::unexpected(errands.error());
    registrations_.push_back(std::move(*errands));
    registrations_.push_back(loop_.every(kLinkPeriod, [this] { watch_links(); }));
    registrations_.push_back(loop_.every(kTickPeriod, [this] { tick(); }));
    // Until now nobody knew which links are up.
    for (const auto& interface : snapshot_->tables.interfaces.all()) {
        if (!links_[index(interface.port)].up)
            neighbours_->set_link(interface.id, false, pipeline::read_clock());
    }
    return {};
}

Expected<void> Gateway::apply(const GatewayConfig& config, uint64_t generation, const FirewallFiles* files) {
    auto fresh =
        build_snapshot(config, generation, opened_, *neighbours_, *firewall_, pipeline::read_clock(), files);
    if (!fresh)
        return std::unexpected(fresh.error());
    published_.publish(**fresh);
    firewall_->adopt();
    if (snapshot_)
        end_masquerade(*snapshot_, **fresh);
    if (snapshot_)
        retired_.push_back({std::move(snapshot_), rcu_.begin_grace()});
    snapshot_ = std::move(*fresh);
    neighbours_->perform();
    reclaim();
    return {};
}

void Gateway::reclaim() {
    std::erase_if(retired_, [this](const Retired& retired) {
        if (!rcu_.passed(retired.token))
            return false;
        for (const auto neighbour : retired.snapshot->tables.fib->pinned())
            neighbours_->resolver().unpin(neighbour);
        return true;
    });
    std::erase_if(postponed_, [this](const Postponed& postponed) {
        if (!rcu_.passed(postponed.token))
            return false;
        postponed.run();
        return true;
    });
}

void Gateway::take_errands() {
    std::array<dpdk::Packet*, pipeline::kMaxBurst> packets;
    bool more = true;
    // One batch of each worker in turn, so that none can keep the others waiting.
    while (std::exchange(more, false)) {
        for (const auto& lane : lanes_) {
            const unsigned count = lane.to_control.pop(packets);
            const Instant now = pipeline::read_clock();
            for (unsigned i = 0; i < count; ++i)
                neighbours_->handle(packets[i], now);
            more = more || count == packets.size();
        }
    }
}

bool Gateway::send_to_worker(dpdk::Packet* packet) {
    auto& lane = lanes_[index(dpdk::note(packet).worker)];
    if (!lane.from_control.push(packet))
        return false;
    lane.sleeper.bell().ring();
    return true;
}

void Gateway::watch_links() {
    for (size_t port = 0; port < devices_.size(); ++port) {
        const auto now = devices_[port].link();
        const bool changed = now.up != links_[port].up;
        links_[port] = now;
        if (!changed)
            continue;
        for (const auto& interface : snapshot_->tables.interfaces.all()) {
            if (index(interface.port) != port)
                continue;
            log_.info(telemetry::Cause{"link"}, "{}: link is {}", interface.name, now.up ? "up" : "down");
            neighbours_->set_link(interface.id, now.up, pipeline::read_clock());
        }
    }
}

void Gateway::ask(size_t worker, std::shared_ptr<conntrack::FlowJob> job) {
    ask(Asked{worker, std::move(job)});
}

void Gateway::ask(size_t worker, std::shared_ptr<nat::NatJob> job) {
    ask(Asked{worker, std::move(job)});
}

void Gateway::ask(Asked asked) {
    const auto is_back = [](const Asked& one) {
        return std::visit([](const auto& job) { return job->is_back(); }, one.job);
    };
    std::erase_if(jobs_, is_back);
    auto& lane = lanes_[asked.worker];
    if (!lane.path->ask(std::visit([](const auto& job) -> WorkerJob { return job.get(); }, asked.job))) {
        unasked_.push_back(std::move(asked));
        return;
    }
    jobs_.push_back(std::move(asked));
    lane.sleeper.bell().ring();
}

void Gateway::end_masquerade(const Snapshot& before, const Snapshot& after) {
    const auto ends = ends_with_address(before.tables.interfaces, after.tables.interfaces);
    if (!ends)
        return;
    for (size_t worker = 0; worker < lanes_.size(); ++worker) {
        auto job =
            std::make_shared<conntrack::FlowJob>(conntrack::FlowAction::erase, conntrack::FlowFilter(), ends);
        job->send();
        ask(worker, std::move(job));
    }
}

uint64_t Gateway::flows() const {
    uint64_t flows = 0;
    for (size_t i = 0; i < firewall_->workers(); ++i)
        flows += firewall_->of(static_cast<WorkerId>(i)).conntrack_counters().flows.read();
    return flows;
}

// What `log` statements of the rules have to say.
void Gateway::log_rules() {
    const auto name_of = [this](InterfaceId id) {
        const auto& interfaces = snapshot_->tables.interfaces;
        return interfaces.has(id) ? interfaces[id].name : "?";  // one that is gone by now
    };
    for (size_t i = 0; i < firewall_->workers(); ++i) {
        auto& logs = firewall_->of(static_cast<WorkerId>(i)).logs();
        while (const auto event = logs.pop())
            log_.info(telemetry::Cause{firewall_->rules().label(event->rule)}, "{}",
                      filter::log_text(*event, name_of));
    }
}

void Gateway::tick() {
    log_rules();
    for (auto& asked : std::exchange(unasked_, {}))
        ask(std::move(asked));
    const Instant now = pipeline::read_clock();
    neighbours_->tick(now);
    firewall_->sets().maintain(now);
    reclaim();
    log_.report_suppressed();
}

std::vector<const pipeline::Worker*> Gateway::workers() const {
    std::vector<const pipeline::Worker*> all;
    for (const auto& lane : lanes_)
        all.push_back(lane.worker.get());
    return all;
}

telemetry::PacketTotals Gateway::totals() const {
    auto sum = control_counters_.totals();
    for (const auto& lane : lanes_)
        sum += lane.worker->counters.totals();
    return sum;
}

}  // namespace sluice
