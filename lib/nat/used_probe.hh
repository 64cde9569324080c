// How NAT asks whether a flow could not be told from another.
#pragma once

#include "conntrack/tuple.hh"

namespace sluice::nat {

// Whether answers to a packet that leaves with this tuple would belong to another flow already: the inverted
// tuple is in the flow table. Given by who knows the flows.
struct UsedProbe {
    bool (*used)(const void* context, const conntrack::Tuple& leaving) = nullptr;
    const void* context = nullptr;
    [[nodiscard]] bool operator()(const conntrack::Tuple& leaving) const { return used(context, leaving); }
};

}  // namespace sluice::nat
