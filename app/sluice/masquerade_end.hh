// The flows that end with the address they are masqueraded by. Control thread.
#pragma once

#include "conntrack/flow_job.hh"
#include "pipeline/interfaces.hh"

namespace sluice {

// Which flows end when the interfaces change: those masqueraded by an address that is lost, as
// nf_nat_masquerade's notifiers see to it, and those that came from outside by such mappings. Their next
// packets get another address. Null where no address is lost.
conntrack::FlowCondition ends_with_address(const pipeline::Interfaces& before,
                                           const pipeline::Interfaces& after);

}  // namespace sluice
