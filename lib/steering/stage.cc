#include "steering/stage.hh"

#include <array>
#include <cstring>

#include "pipeline/drops.hh"
#include "steering/flow_homes.hh"

namespace sluice::steering {
namespace {

using pipeline::Burst;
using pipeline::PacketMeta;
using pipeline::Path;
using pipeline::Verdict;
using pipeline::Worker;

wire::IpPacket packet_of(const dpdk::Packet* packet, const PacketMeta& meta) {
    const uint8_t* header = dpdk::data(packet) + meta.l3;
    return meta.path == Path::ip4_fast || meta.path == Path::ip4_slow
               ? wire::IpPacket::of(wire::Ipv4View::unchecked(header))
               : wire::IpPacket::of(wire::Ipv6View::unchecked(header));
}

bool is_ip(const PacketMeta& meta) {
    return meta.path != Path::neighbour && meta.path != Path::done;
}

bool is_plain(const uint8_t* header, const PacketMeta& meta) {
    constexpr uint16_t kWithPorts = 28;
    const auto protocol = wire::IpProtocol{header[9]};
    const bool is_fragment = ((header[6] & 0x3f) | header[7]) != 0;
    return meta.path == Path::ip4_fast && meta.l3_length >= kWithPorts && !is_fragment &&
           (protocol == wire::IpProtocol::udp || protocol == wire::IpProtocol::tcp);
}

// Of a plain packet, whose header has no options.
WorkerId spread(const Plan& plan, const uint8_t* header) {
    uint64_t addresses;
    uint32_t ports;
    std::memcpy(&addresses, header + 12, sizeof addresses);
    std::memcpy(&ports, header + 20, sizeof ports);
    return plan.spread(addresses, ports);
}

// The packets of a burst that are steered by their tuples.
struct Gathered {
    size_t count = 0;
    std::array<uint8_t, pipeline::kMaxBurst> places;
    std::array<conntrack::Tuple, pipeline::kMaxBurst> tuples;
    std::array<FlowDirectory::Hash, pipeline::kMaxBurst> hashes;
};

}  // namespace

Steerer::Steerer(pipeline::HandOver& hand_over, const FlowDirectory& directory, Random& random)
    : hand_over_(hand_over),
      directory_(directory),
      datagrams_(conntrack::TupleHash{{random.next(), random.next(), random.next(), random.next()}}) {}

std::optional<WorkerId> Steerer::find(const Plan& plan, const conntrack::Tuple& tuple,
                                      FlowDirectory::Hash hash) const {
    const auto exact = directory_.find(hash);
    if (exact || !plan.options().by_addresses)
        return exact;
    return directory_.find(directory_.hash(from_anywhere(tuple)));
}

WorkerId Steerer::owner_of(const Plan& plan, const wire::IpPacket& packet) const {
    const auto tuple = plan.tuple_of(packet);
    if (!tuple)
        return plan.owner_of(packet);
    if (directory_.is_used()) {
        if (const auto published = find(plan, *tuple, directory_.hash(*tuple)))
            return *published;
    }
    return plan.owner_of(*tuple);
}

void Steerer::give(Worker& worker, dpdk::Packet* packet, PacketMeta& meta, WorkerId to) {
    if (to == worker.id)
        return;
    hand_over_.give(worker, packet, {.meta = meta}, to);
    meta.path = Path::done;
}

void Steerer::steer(Worker& worker, const Plan& plan, Burst& burst) {
    Gathered gathered;
    // In the order they came; kept ones stay as they are.
    std::array<WorkerId, pipeline::kMaxBurst> owners;
    owners.fill(worker.id);
    const bool looks_up = directory_.is_used();
    const bool only_spreads = !looks_up && plan.only_spreads();
    for (uint16_t i = 0; i < burst.count; ++i) {
        PacketMeta& meta = burst.meta[i];
        const uint8_t* header = dpdk::data(burst.packets[i]) + meta.l3;
        if (only_spreads && is_plain(header, meta)) [[likely]] {
            owners[i] = spread(plan, header);
            continue;
        }
        if (!is_ip(meta))
            continue;
        const auto packet = packet_of(burst.packets[i], meta);
        if (packet.is_fragment()) [[unlikely]] {
            const WorkerId collector = plan.collector_of(datagram_of(packet));
            if (!plan.tracks()) {
                give(worker, burst.packets[i], meta, collector);
            } else if (collector == worker.id) {
                collect(worker, plan, burst.packets[i], meta);
            } else {
                hand_over_.give(worker, burst.packets[i], {.meta = meta, .is_to_be_collected = true},
                                collector);
                meta.path = Path::done;
            }
            continue;
        }
        if (!plan.tracks())
            continue;
        const auto tuple = plan.tuple_of(packet);
        if (!tuple) [[unlikely]] {
            owners[i] = plan.owner_of(packet);
            continue;
        }
        gathered.tuples[gathered.count] = *tuple;
        gathered.places[gathered.count] = static_cast<uint8_t>(i);
        if (looks_up) {
            gathered.hashes[gathered.count] = directory_.hash(*tuple);
            directory_.prefetch(gathered.hashes[gathered.count]);
        }
        ++gathered.count;
    }
    for (size_t i = 0; i < gathered.count; ++i) {
        const size_t place = gathered.places[i];
        std::optional<WorkerId> owner;
        if (looks_up)
            owner = find(plan, gathered.tuples[i], gathered.hashes[i]);
        owners[place] = owner ? *owner : plan.owner_of(gathered.tuples[i]);
    }
    for (uint16_t i = 0; i < burst.count; ++i)
        give(worker, burst.packets[i], burst.meta[i], owners[i]);
    hand_over_.flush(worker);
}

void Steerer::drop(Worker& worker, const Waiting& waiting) {
    worker.counters.held_out.add(1);
    finish(worker, waiting.packet, waiting.meta.in, Verdict::drop(pipeline::drops::steer_fragments));
}

void Steerer::collect(Worker& worker, const Plan& plan, dpdk::Packet* packet, PacketMeta& meta) {
    const auto fragment = packet_of(packet, meta);
    const auto datagram = datagram_of(fragment);
    const auto give_up = [&worker](const Waiting& waiting) { drop(worker, waiting); };
    if (!fragment.is_later_fragment()) {
        const WorkerId owner = owner_of(plan, fragment);
        bool has_waiting = false;
        datagrams_.begins(
            datagram, owner, worker.now,
            [&](const Waiting& waiting) {
                worker.counters.held_out.add(1);
                hand_over_.give(worker, waiting.packet, {.meta = waiting.meta}, owner);
                has_waiting = true;
            },
            give_up);
        if (has_waiting || owner != worker.id) {
            // Behind those, also where they come back to this worker.
            hand_over_.give(worker, packet, {.meta = meta}, owner);
            meta.path = Path::done;
        }
        return;
    }
    using Owners = DatagramOwners<Waiting>;
    const auto found = datagrams_.follows(datagram, {packet, meta}, worker.now, give_up);
    switch (found.answer) {
        case Owners::Answer::known:
            give(worker, packet, meta, found.owner);
            return;
        case Owners::Answer::waits:
            worker.counters.held_in.add(1);
            worker.watch.tell(packet, Verdict::consumed());
            meta.path = Path::done;
            return;
        case Owners::Answer::refused:
            finish(worker, packet, meta.in, Verdict::drop(pipeline::drops::steer_fragments));
            meta.path = Path::done;
            return;
    }
}

void Steerer::take(Worker& worker, const Plan& plan, Burst& burst) {
    for (uint16_t i = 0; i < burst.count; ++i)
        dpdk::prefetch_data(burst.packets[i]);
    for (uint16_t i = 0; i < burst.count; ++i) {
        const auto& carried = pipeline::carried(burst.packets[i]);
        burst.meta[i] = carried.meta;
        if (carried.is_to_be_collected) [[unlikely]]
            collect(worker, plan, burst.packets[i], burst.meta[i]);
    }
    hand_over_.flush(worker);
}

void Steerer::expire(Worker& worker) {
    datagrams_.expire(worker.now, [&worker](const Waiting& waiting) { drop(worker, waiting); });
}

}  // namespace sluice::steering
