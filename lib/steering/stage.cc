#include "steering/stage.hh"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "pipeline/burst_end.hh"
#include "pipeline/drops.hh"
#include "pipeline/parse.hh"
#include "pipeline/places.hh"
#include "steering/flow_homes.hh"

namespace sluice::steering {
namespace {

using pipeline::Burst;
using pipeline::PacketMeta;
using pipeline::Path;
using pipeline::Verdict;
using pipeline::Worker;

// Of a large frame only the headers may be read.
wire::IpPacket packet_of(const dpdk::Packet* packet, const PacketMeta& meta) {
    const uint8_t* header = dpdk::data(packet) + meta.l3;
    return header[0] >> 4 == 4 ? wire::IpPacket::of(wire::Ipv4View::unchecked(header))
                               : wire::IpPacket::of(wire::Ipv6View::unchecked(header));
}

bool is_ip(const PacketMeta& meta) {
    return meta.path != Path::neighbour && meta.path != Path::done;
}

bool has_ports(uint8_t protocol) {
    return protocol == uint8_t(wire::IpProtocol::udp) || protocol == uint8_t(wire::IpProtocol::tcp);
}

// The owner of a whole packet of TCP or UDP right behind its header, where the hash decides alone. Nothing:
// another kind of packet.
std::optional<WorkerId> spread(const Plan& plan, const dpdk::Packet* packet, const PacketMeta& meta) {
    const uint8_t* header = dpdk::data(packet) + meta.l3;
    uint32_t ports;
    if (meta.path == Path::ip4_fast) {
        const bool is_fragment = ((header[6] & 0x3f) | header[7]) != 0;
        if (!has_ports(header[9]) || is_fragment || meta.l3_length < 20 + 8)
            return std::nullopt;
        uint64_t addresses;
        std::memcpy(&addresses, header + 12, sizeof addresses);
        std::memcpy(&ports, header + 20, sizeof ports);
        return plan.spread(addresses, ports);
    }
    if (meta.path != Path::ip6_fast || !has_ports(header[6]) || meta.l3_length < 40 + 8)
        return std::nullopt;
    std::array<uint64_t, 4> addresses;
    std::memcpy(addresses.data(), header + 8, sizeof addresses);
    std::memcpy(&ports, header + 40, sizeof ports);
    return plan.spread(addresses[0] ^ addresses[1] ^ addresses[2] ^ addresses[3], ports);
}

using Owners = std::array<WorkerId, pipeline::kMaxBurst>;

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
    hand_over_.give(worker, packet, meta, to);
    meta.path = Path::done;
}

void Steerer::steer(Worker& worker, const Plan& plan, Burst& burst) {
    Owners owners;
    uint64_t others = 0;  // a bit for each whose owner is still to be found
    const uint64_t all = pipeline::first_places(burst.count);
    if (plan.only_spreads() && !directory_.is_used()) {
        plan.spread({.addresses = burst.keys.addresses.data(), .rest = burst.keys.rest.data()}, burst.count,
                    owners);
        others = all & ~burst.keys.ip4.all;
        pipeline::for_each_place(std::exchange(others, 0), [&](size_t i) {
            const auto owner = spread(plan, burst.packets[i], burst.meta[i]);
            owners[i] = owner.value_or(worker.id);
            others |= uint64_t{!owner} << i;
        });
    } else {
        others = all;
    }
    if (others != 0)
        find_owners(worker, plan, burst, others, owners);
    // Without a branch that depends on the owner: nobody could foretell it.
    std::array<uint8_t, pipeline::kMaxBurst> given;
    size_t count = 0;
    for (uint16_t i = 0; i < burst.count; ++i) {
        given[count] = static_cast<uint8_t>(i);
        count += static_cast<size_t>(owners[i] != worker.id);
    }
    if (count == 0 && others == 0)
        return;
    hand_over_.give(worker, burst, std::span(given).first(count), owners);
    hand_over_.flush(worker);
    pipeline::close_gaps(burst);
}

void Steerer::find_owners(Worker& worker, const Plan& plan, Burst& burst, uint64_t which,
                          std::span<WorkerId> owners) {
    Gathered gathered;
    const bool looks_up = directory_.is_used();
    for (; which != 0; which &= which - 1) {
        const auto i = static_cast<size_t>(std::countr_zero(which));
        PacketMeta& meta = burst.meta[i];
        owners[i] = worker.id;
        if (!is_ip(meta))
            continue;
        const auto packet = packet_of(burst.packets[i], meta);
        if (packet.is_fragment()) [[unlikely]] {
            steer_fragment(worker, plan, burst.packets[i], meta, packet);
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
        std::optional<WorkerId> owner;
        if (looks_up)
            owner = find(plan, gathered.tuples[i], gathered.hashes[i]);
        owners[gathered.places[i]] = owner ? *owner : plan.owner_of(gathered.tuples[i]);
    }
}

void Steerer::steer_fragment(Worker& worker, const Plan& plan, dpdk::Packet* packet, PacketMeta& meta,
                             const wire::IpPacket& fragment) {
    const WorkerId collector = plan.collector_of(datagram_of(fragment));
    if (!plan.tracks()) {
        give(worker, packet, meta, collector);
    } else if (collector == worker.id) {
        collect(worker, plan, packet, meta);
    } else {
        hand_over_.give(worker, packet, meta, collector, true);
        meta.path = Path::done;
    }
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
                hand_over_.give(worker, waiting.packet, waiting.meta, owner);
                has_waiting = true;
            },
            give_up);
        if (has_waiting || owner != worker.id) {
            // Behind those, also where they come back to this worker.
            hand_over_.give(worker, packet, meta, owner);
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
    for (uint64_t left = hand_over_.to_be_collected(); left != 0; left &= left - 1) {
        const auto i = static_cast<size_t>(std::countr_zero(left));
        collect(worker, plan, burst.packets[i], burst.meta[i]);
    }
    hand_over_.flush(worker);
    if (hand_over_.to_be_collected() != 0) [[unlikely]]
        pipeline::close_gaps(burst);  // others have those that went on
    pipeline::find_keys(burst);
}

void Steerer::expire(Worker& worker) {
    datagrams_.expire(worker.now, [&worker](const Waiting& waiting) { drop(worker, waiting); });
}

}  // namespace sluice::steering
