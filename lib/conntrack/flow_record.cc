#include "conntrack/flow_record.hh"

#include <algorithm>

namespace sluice::conntrack {

FlowRecord FlowRecord::of(const Flow& flow, Ticks now) {
    FlowRecord result;
    result.original = flow.tuple(Direction::original);
    result.reply = flow.tuple(Direction::reply);
    for (const auto direction : {Direction::original, Direction::reply}) {
        const auto place = static_cast<size_t>(direction);
        result.packets[place] = flow.counters(direction).packets();
        result.bytes[place] = flow.counters(direction).bytes();
    }
    const auto left = static_cast<int32_t>(flow.deadline() - now);
    result.timeout = Duration(int64_t{std::max(left, 0)} << kTickShift);
    result.status = flow.status;
    result.mark = flow.mark;
    result.id = flow.id();
    result.master = flow.master();
    result.rule = flow.rule;
    result.in = flow.in();
    if (flow.protocol() == wire::IpProtocol::tcp)
        result.tcp = flow.track<TcpTrack>().state;
    else if (flow.protocol() == wire::IpProtocol::sctp)
        result.sctp = flow.track<SctpTrack>().state;
    result.helper = flow.helper();
    return result;
}

}  // namespace sluice::conntrack
