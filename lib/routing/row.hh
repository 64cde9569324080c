// Packets in a row that came alike and go to one next hop: they share an exit, and what is asked of each is
// little.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "pipeline/burst.hh"
#include "pipeline/places.hh"
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
        const size_t end = end_of_row(place, std::min<size_t>(burst_.count, place + exit_.room()));
        return is_ip4 ? send_row<Family::ip4>(place, end) : send_row<Family::ip6>(place, end);
    }

    // How many packets of a family were sent up to now.
    [[nodiscard]] uint64_t sent(Family family) const { return family == Family::ip4 ? sent4_ : sent6_; }

  private:
    // Where those end that came like the one at `place`, go to its next hop and fit. Nearly always all of
    // them do, which is found out without a branch for each.
    [[nodiscard, gnu::noinline]] size_t end_of_row(size_t place, size_t end) const {
        static_assert(offsetof(pipeline::PacketMeta, l3_length) == 4);
        constexpr int kLengthAt = 32;
        constexpr uint64_t kLength = 0xffff;
        const auto* const metas = burst_.meta.data();
        const auto* const next_hops = routes_.data();
        const auto here = std::bit_cast<uint64_t>(metas[place]);
        const NextHopIndex next_hop = exit_.next_hop();
        const uint64_t mtu = exit_.mtu();
        const auto differs = [&](size_t i) {
            uint64_t meta;
            std::memcpy(&meta, metas + i, sizeof meta);
            const uint64_t too_long = (mtu - (meta >> kLengthAt & kLength)) >> 63;
            return ((meta ^ here) & ~(kLength << kLengthAt)) | (next_hops[i] ^ next_hop) | too_long;
        };
        uint64_t differences = 0;
        for (size_t i = place; i < end; ++i)
            differences |= differs(i);
        if (differences == 0) [[likely]]
            return end;
        while (differs(place) == 0)
            ++place;
        return place;
    }

    // A function of its own, whose loop has all registers to itself.
    template <Family family>
    [[gnu::noinline]] size_t send_row(size_t place, size_t end) {
        constexpr size_t kSource = family == Family::ip4 ? 12 : 8;
        const auto& filter = context_.tables.source_filter;
        const size_t first = place;
        const Exit::Row row(exit_);
        for (; place < end; ++place) {
            uint8_t* const frame = dpdk::data(burst_.packets[place]);
            uint8_t* const header = frame + pipeline::kEthernetHeader;
            if (filter.may_have<family>(header + kSource)) [[unlikely]]
                break;
            count_hop(header, family);
            row.address(frame);
        }
        if (place != first) {
            exit_.send(burst_, pipeline::first_places(place) & ~pipeline::first_places(first));
            (family == Family::ip4 ? sent4_ : sent6_) += place - first;
        }
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
