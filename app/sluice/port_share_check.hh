// Whether each worker has a port to give out: ports of NAT belong to workers in blocks (nat::PortShare).
#pragma once

#include "config/problem.hh"
#include "dpdk/config.hh"
#include "filter/rule.hh"

namespace sluice {

// Adds rules whose range of ports leaves a worker none: the hosts that are its own would be refused. Where
// the number of workers is known at start only, nothing is found.
void check_port_shares(const filter::Rulebook& book, const dpdk::Workers& workers,
                       config::Problems& problems);

}  // namespace sluice
