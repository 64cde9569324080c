// Early rules about sets alone are asked about frames as they come, before these are parsed, while they drop
// most of what comes: what they drop then costs little more than the look-up, and what goes on costs more.
// Only plain frames are asked about, of IPv4 without tags and options; early.cc asks about all others. What
// is listed and no good is left to the parser, so that each frame ends as it would by way of early.cc.
#include <immintrin.h>

#include <algorithm>
#include <array>

#include "dpdk/packet.hh"
#include "filter/drops.hh"
#include "filter/early_addresses.hh"
#include "filter/stage.hh"
#include "pipeline/burst_end.hh"
#include "pipeline/places.hh"
#include "wire/bytes.hh"
#include "wire/checksum.hh"
#include "wire/ipv4.hh"

namespace sluice::filter {
namespace {

using pipeline::Burst;
using pipeline::for_each_place;

constexpr size_t kFrame = pipeline::kEthernetHeader + wire::kIpv4HeaderSize;  // bytes that are looked at

// The plain frames of a burst that are sound: the parser would take them.
struct Frames {
    uint64_t plain = 0;
    // By place: eight bytes of the IP header from the source on; the packet's length by its header.
    std::array<uint64_t, pipeline::kMaxBurst> addresses;
    std::array<uint16_t, pipeline::kMaxBurst> length;

    Frames(const Burst& burst, MacAddress own) {
        using namespace wire::detail;
        // The box's own address as destination, no group as source, IPv4 without options.
        alignas(16) std::array<uint8_t, 16> expected{};
        own.store(expected.data());
        expected[12] = 0x08;
        expected[14] = 0x45;
        alignas(16) static constexpr std::array<uint8_t, 16> kLooked{
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0};
        alignas(64) static constexpr std::array<uint8_t, kFrame> kNothing{};
        const auto load = [](const uint8_t* from) {
            return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
        };
        for (size_t place = 0; place < burst.count; ++place)
            dpdk::prefetch_data(burst.packets[place]);
        for (size_t place = 0; place < burst.count; ++place) {
            const dpdk::Packet* const packet = burst.packets[place];
            const bool is_readable = dpdk::is_contiguous(packet) && dpdk::length(packet) >= kFrame;
            const uint8_t* const frame = is_readable ? dpdk::data(packet) : kNothing.data();
            const uint8_t* const header = frame + pipeline::kEthernetHeader;
            const auto unlike = _mm_xor_si128(load(frame), load(expected.data()));
            const bool is_from_box = (load_u64(frame) ^ load_u64(frame + 6)) << 16 == 0;
            const size_t most = dpdk::length(packet) - pipeline::kEthernetHeader;
            addresses[place] = load_u64(header + 12);
            length[place] = wire::read16(header + 2);
            // No shorter than its header, and no longer than the frame.
            const bool fits = length[place] - wire::kIpv4HeaderSize <= most - wire::kIpv4HeaderSize;
            const uint64_t sum =
                add_around(add_around(load_u64(header), addresses[place]), load_u32(header + 8));
            const int is_plain = _mm_testz_si128(unlike, load(kLooked.data())) & int{fits} &
                                 int{fold(sum) == 0xffff} & int{!is_from_box};
            plain |= static_cast<uint64_t>(is_plain) << place;
        }
    }
};

}  // namespace

void Firewall::follow_members() {
    const auto can_follow = [](const EarlyStep& step) {
        return sets::RecentMembers::can_follow(*step.lookup->set);
    };
    const auto steps = tables_->ruleset->frame_steps();
    const auto step = std::ranges::find_if(steps, can_follow);
    recent_members_.follow(step == steps.end() ? nullptr : step->lookup->set);
}

uint64_t Firewall::early_frames(routing::Context& context, pipeline::PortId port, Burst& burst) {
    const auto& interfaces = context.tables.interfaces;
    const InterfaceId in = interfaces.of_port(port);
    const auto steps = tables_->ruleset->frame_steps();
    const auto asks = [in](const EarlyStep& step) { return step.in[index(in)]; };
    if (!frames_first_ || interfaces[in].large_receive || std::ranges::none_of(steps, asks))
        return 0;
    const Frames frames(burst, interfaces[in].mac);
    uint64_t open = frames.plain;
    for (const EarlyStep& step : steps) {
        if (!asks(step) || open == 0)
            continue;
        std::array<Ip4Address, pipeline::kMaxBurst> addresses;
        take_addresses(std::span(frames.addresses).first(burst.count), step.lookup->fields[0],
                       addresses.data());
        const uint64_t listed = recent_members_.lookup_burst(
            *step.lookup->set, std::span(addresses).first(burst.count), context.worker.now, open);
        if (listed == 0)
            continue;
        open &= ~listed;
        std::array<dpdk::Packet*, pipeline::kMaxBurst> gone;
        size_t count = 0;
        uint64_t bytes = 0;
        for_each_place(listed, [&](size_t place) {
            gone[count++] = burst.packets[place];
            bytes += frames.length[place];
        });
        state_->counters().count(step.rule->id, count, bytes, context.worker.now);
        judgement_ = {.decided = true, .hook = Hook::prerouting, .rule = step.rule->id};
        pipeline::drop_frames(context.worker, in, std::span(gone).first(count), drops::early_rule);
    }
    const uint64_t dropped = frames.plain & ~open;
    frames_first_ = are_most(dropped, burst.count);
    if (dropped == 0)
        return open;
    const uint64_t stay = pipeline::first_places(burst.count) & ~dropped;
    uint16_t kept = 0;
    for_each_place(stay, [&](size_t place) { burst.packets[kept++] = burst.packets[place]; });
    burst.count = kept;
    return _pext_u64(open, stay);
}

}  // namespace sluice::filter
