// Packets in a row that came alike and go to one next hop: they share an exit, and what is asked of each is
// little.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "pipeline/burst.hh"
#include "routing/context.hh"
#include "routing/exit.hh"
#include "routing/send.hh"
#include "routing/stage.hh"

namespace sluice::routing {

// Of one burst of a router without rules that choose tables.
class Rows {
  public:
    Rows(Context& context, const pipeline::Burst& burst, const BurstRoutes& routes)
        : context_(context), burst_(burst), routes_(routes) {}

    // Sends packets from `place` on; the place of the first that has to go the way of others, which may be
    // the same one.
    size_t send(size_t place) {
        const auto& meta = burst_.meta[place];
        const bool is_ip4 = meta.path == pipeline::Path::ip4_fast;
        if (!is_ip4 && meta.path != pipeline::Path::ip6_fast)
            return place;
        const auto next_hop = routes_[place];
        if (next_hop != exit_.next_hop()) [[unlikely]] {
            // Not for a single packet.
            if (place + 1 == burst_.count || routes_[place + 1] != next_hop)
                return place;
            exit_.turn_to(context_, next_hop);
        }
        const bool fits = exit_.is_open() && meta.l3 == pipeline::kEthernetHeader &&
                          context_.tables.interfaces[meta.in].rp_filter == pipeline::RpFilter::off;
        if (!fits)
            return place;
        const size_t end = std::min<size_t>(burst_.count, place + exit_.room());
        return is_ip4 ? send_row<Family::ip4>(place, end) : send_row<Family::ip6>(place, end);
    }

    // How many packets of a family were sent up to now.
    [[nodiscard]] uint64_t sent(Family family) const { return family == Family::ip4 ? sent4_ : sent6_; }

  private:
    // All of a meta but the length.
    static uint64_t way_of(const pipeline::PacketMeta& meta) {
        static_assert(offsetof(pipeline::PacketMeta, l3_length) == 4);
        return std::bit_cast<uint64_t>(meta) & ~(uint64_t{0xffff} << 32);
    }

    // A function of its own, whose loop has all registers to itself.
    template <Family family>
    [[gnu::noinline]] size_t send_row(size_t place, size_t end) {
        constexpr size_t kSource = family == Family::ip4 ? 12 : 8;
        const auto way = way_of(burst_.meta[place]);
        const auto next_hop = exit_.next_hop();
        const auto mtu = exit_.mtu();
        const auto& filter = context_.tables.source_filter;
        const size_t first = place;
        uint64_t bytes = 0;
        const FrameAddresses addresses = exit_.addresses();
        auto tail = exit_.tail();
        for (; place < end; ++place) {
            const auto& meta = burst_.meta[place];
            const uint16_t length = meta.l3_length;
            dpdk::Packet* const packet = burst_.packets[place];
            uint8_t* const frame = dpdk::data(packet);
            uint8_t* const header = frame + pipeline::kEthernetHeader;
            if (way_of(meta) != way || routes_[place] != next_hop || length > mtu ||
                filter.may_have<family>(header + kSource)) [[unlikely]]
                break;
            bytes += length;
            count_hop(header, family);
            addresses.write(frame);
            tail.push(packet, static_cast<uint16_t>(length + pipeline::kEthernetHeader));
        }
        tail.commit(bytes + (place - first) * pipeline::kEthernetHeader);
        (family == Family::ip4 ? sent4_ : sent6_) += place - first;
        return place;
    }

    Context& context_;
    const pipeline::Burst& burst_;
    const BurstRoutes& routes_;
    Exit exit_;
    uint64_t sent4_ = 0;
    uint64_t sent6_ = 0;
};

}  // namespace sluice::routing
