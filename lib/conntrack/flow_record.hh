// A flow as it was at one moment: what lists and events carry from the worker to the control thread.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "base/interface_id.hh"
#include "base/time.hh"
#include "conntrack/flow.hh"
#include "conntrack/sctp_tracker.hh"
#include "conntrack/tcp_tracker.hh"

namespace sluice::conntrack {

// Plain bytes.
struct FlowRecord {
    Tuple original;
    Tuple reply;
    std::array<uint64_t, 2> packets{};  // by Direction
    std::array<uint64_t, 2> bytes{};
    Duration timeout{};  // what remains
    Status status;
    uint32_t mark = 0;
    uint32_t id = 0;
    uint32_t master = 0;
    uint32_t rule = 0;
    InterfaceId in = kNoInterface;
    TcpState tcp = TcpState::none;     // of TCP flows
    SctpState sctp = SctpState::none;  // of SCTP flows
    Helper helper = Helper::none;

    static FlowRecord of(const Flow& flow, Ticks now);
};
static_assert(std::is_trivially_copyable_v<FlowRecord>);

}  // namespace sluice::conntrack
