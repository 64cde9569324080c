#include "nat/port_search.hh"

namespace sluice::nat {

conntrack::Tuple with_endpoint(const conntrack::Tuple& tuple, Manip manip, const Endpoint& endpoint) {
    conntrack::Tuple result = tuple;
    if (manip == Manip::source) {
        result.set_source(endpoint.address);
        if (has_port(tuple.protocol()))
            result.sport = endpoint.port;
        return result;
    }
    result.set_destination(endpoint.address);
    if (tuple.is_icmp())
        result.sport = endpoint.port;
    else if (has_port(tuple.protocol()))
        result.dport = endpoint.port;
    return result;
}

}  // namespace sluice::nat
