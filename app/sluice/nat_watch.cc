#include "sluice/nat_watch.hh"

#include "conntrack/flow_filter.hh"

namespace sluice {

void NatWatch::look() {
    if (!walk_) {
        if (!translates_())
            return;
        walk_.emplace(access_);
    }
    if (!walk_->advance())
        return;
    use_ = walk_->use();
    walk_.reset();
    warn();
}

void NatWatch::warn() {
    for (const nat::PortUse& one : use_.ports) {
        Said& said = said_[{one.address, one.protocol}];
        const std::string protocol = conntrack::protocol_name(one.protocol);
        const uint64_t refused = one.refused > said.refused ? one.refused - said.refused : 0;
        said.refused = one.refused;
        if (refused > 0)
            log_.error(telemetry::Cause{"nat_exhausted"}, "{} had no {} port left for {} new flow{}",
                       one.address.to_string(), protocol, refused, refused == 1 ? "" : "s");
        // Ports that are shared run out for one remote only, of which this says nothing.
        const double share = one.overlap ? 0 : one.share();
        if (share < kAmpleAgain)
            said.nearly_all = false;
        if (share < kNearlyAll || said.nearly_all)
            continue;
        said.nearly_all = true;
        log_.warn(telemetry::Cause{"nat_ports"},
                  "{}: {:.0f} % of {} ports are taken, {} in use and {} held down of {}",
                  one.address.to_string(), share * 100, protocol, one.in_use, one.held_down, one.limit);
    }
}

}  // namespace sluice
