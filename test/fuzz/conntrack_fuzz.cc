// Fuzzes connection tracking: arbitrary packets of a few hosts through a tracker with a small table. Needs
// sluice_conntrack, sluice_table, sluice_wire and sluice_base.
//
// The input is a script of packets, each with two bytes before it: what happens to it, and its length. After
// every step counts must agree, every flow must have a timer and be found both ways.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "conntrack/tracker.hh"

namespace {

using namespace sluice;

void require(bool truth) {
    if (!truth) {
        __builtin_trap();
    }
}

conntrack::Limits limits(uint8_t choice) {
    conntrack::Limits result{.max = 16, .reserve = 2, .pressure = (choice & 1) != 0};
    result.when_full = (choice & 2) != 0 ? conntrack::WhenFull::early_drop : conntrack::WhenFull::refuse_new;
    if ((choice & 4) != 0)
        result.per_source[0] = 3;
    return result;
}

conntrack::Settings settings(uint8_t choice) {
    auto result =
        conntrack::Settings::of((choice & 8) != 0 ? conntrack::Profile::linux : conntrack::Profile::rfc);
    result.checksum = (choice & 16) != 0;
    result.helpers = {conntrack::Helper::ftp, conntrack::Helper::tftp};
    return result;
}

class Run {
  public:
    explicit Run(uint8_t choice) : tracker_(limits(choice), settings(choice), random_, counters_) {}

    void step(uint8_t what, wire::Bytes bytes) {
        if ((what & 0xc0) == 0xc0)
            now_ += std::chrono::milliseconds(int64_t{1} << (what & 0x1f));
        if ((what & 0x80) != 0)
            while (!tracker_.expire(now_, 4)) {
            }
        // A header that says what the packet is, so that most packets get as far as a tracker.
        std::vector<uint8_t> packet(bytes.begin(), bytes.end());
        if (packet.size() >= 40 && (what & 1) != 0) {
            packet[0] = 0x60;
            wire::write16(packet.data() + 4, static_cast<uint16_t>(packet.size() - 40));
            follow(wire::IpPacket::of(wire::Ipv6View::unchecked(packet.data())), what);
        } else if (packet.size() >= 20) {
            packet[0] = 0x45;
            wire::write16(packet.data() + 2, static_cast<uint16_t>(packet.size()));
            wire::write16(packet.data() + 6, 0);
            follow(wire::IpPacket::of(wire::Ipv4View::unchecked(packet.data())), what);
        }
        check();
    }

  private:
    void follow(const wire::IpPacket& packet, uint8_t what) {
        const InterfaceId in{static_cast<uint16_t>(what >> 1 & 1)};
        auto tracked = tracker_.track(packet, in, (what & 4) != 0, now_);
        if (tracked.state == conntrack::CtState::established || tracked.state == conntrack::CtState::new_)
            require((tracked.flow != nullptr) == (tracked.refusal == conntrack::Refusal::none));
        if (tracked.state == conntrack::CtState::invalid && tracked.refusal == conntrack::Refusal::none)
            require(tracked.flow == nullptr && tracked.reason != conntrack::InvalidReason::none);
        std::optional<conntrack::Announcement> announcement;
        if ((what & 8) != 0 || tracked.refusal != conntrack::Refusal::none) {
            tracker_.release(tracked);
        } else if (tracker_.help(tracked, packet, now_, announcement) &&
                   tracker_.confirm(tracked, packet, now_)) {
            require(tracked.flow == nullptr || tracked.flow->is_confirmed());
        } else {
            require(tracked.flow == nullptr);
        }
    }

    void check() {
        auto& table = tracker_.table();
        const auto tick = conntrack::ticks_at(now_);
        require(table.size() <= 16);
        require(table.index_entries() == 2 * table.size());
        require(table.timers() == table.size());
        require(tracker_.expectations().size() <= table.size());
        size_t met = 0;
        conntrack::FlowCursor cursor;
        table.visit(cursor, SIZE_MAX, [&](conntrack::Flow& flow) {
            ++met;
            for (const auto direction : {conntrack::Direction::original, conntrack::Direction::reply}) {
                const auto found = table.find(flow.tuple(direction));
                require(found.flow == &flow);
            }
            require(static_cast<int32_t>(flow.deadline() - tick) < conntrack::kMaxTimeout.count() >>
                    conntrack::kTickShift);
        });
        require(met == table.size());
    }

    Random random_{1};
    conntrack::Counters counters_;
    conntrack::Tracker tracker_;
    Instant now_{std::chrono::seconds(1000)};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) {
        return 0;
    }
    Run run(data[0]);
    wire::Bytes rest(data + 1, size - 1);
    while (rest.size() > 2) {
        const uint8_t what = rest[0];
        const size_t length = std::min<size_t>(rest[1], rest.size() - 2);
        run.step(what, rest.subspan(2, length));
        rest = rest.subspan(2 + length);
    }
    return 0;
}
