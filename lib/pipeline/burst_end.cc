#include "pipeline/burst_end.hh"

#include <immintrin.h>

#include <algorithm>

#include "pipeline/parse.hh"
#include "pipeline/places.hh"

namespace sluice::pipeline {

void drop(Worker& worker, Burst& burst, uint64_t places, telemetry::DropReason reason) {
    std::array<dpdk::Packet*, kMaxBurst> gone;
    unsigned count = 0;
    InterfaceId in = kNoInterface;
    uint64_t packets = 0;  // of that interface
    uint64_t bytes = 0;
    const auto count_them = [&] {
        if (packets != 0)
            worker.counters.drop(in, reason, packets, bytes);
        packets = bytes = 0;
    };
    for_each_place(places, [&](size_t place) {
        auto* const packet = burst.packets[place];
        auto& meta = burst.meta[place];
        if (meta.in != in) {
            count_them();
            in = meta.in;
        }
        ++packets;
        bytes += dpdk::total_length(packet);
        worker.watch.tell(packet, Verdict::drop(reason));
        meta.path = Path::done;
        gone[count++] = packet;
    });
    count_them();
    dpdk::free_burst(std::span(gone).first(count));
    burst.keys.keep(~places);
}

void drop_frames(Worker& worker, InterfaceId device, std::span<dpdk::Packet*> frames,
                 telemetry::DropReason reason) {
    uint64_t bytes = 0;
    for (const dpdk::Packet* frame : frames) {
        bytes += dpdk::total_length(frame);
        worker.watch.tell(frame, Verdict::drop(reason));
    }
    count_received(worker, device, frames.size(), bytes);
    worker.counters.drop(device, reason, frames.size(), bytes);
    dpdk::free_burst(frames);
}

void close_gaps(Burst& burst) {
    if (std::ranges::all_of(std::span(burst.meta).first(burst.count),
                            [](const PacketMeta& meta) { return meta.path == Path::done; })) {
        burst.count = 0;
        burst.keys.forget();
        return;
    }
    uint16_t kept = 0;
    uint64_t stay = 0;
    for (uint16_t i = 0; i < burst.count; ++i) {
        const bool stays = burst.meta[i].path != Path::done;
        burst.packets[kept] = burst.packets[i];
        burst.meta[kept] = burst.meta[i];
        burst.keys.addresses[kept] = burst.keys.addresses[i];
        burst.keys.rest[kept] = burst.keys.rest[i];
        burst.keys.frames[kept] = burst.keys.frames[i];
        stay |= uint64_t{stays} << i;
        kept = static_cast<uint16_t>(kept + stays);
    }
    burst.count = kept;
    for (auto* keyed : {&burst.keys.ip4, &burst.keys.ip6})
        for (uint64_t* places : {&keyed->all, &keyed->datagrams, &keyed->acks})
            *places = _pext_u64(*places, stay);
}

}  // namespace sluice::pipeline
