// Which of its addresses the box shows in place of those of hosts behind it.
#pragma once

#include "base/address.hh"
#include "base/interface_id.hh"
#include "routing/context.hh"

namespace sluice::filter {

// The one by which it would speak to where a packet goes; unspecified if it has none there.
inline Ip4Address masquerade_ip4(const routing::Context& context, InterfaceId out,
                                 const routing::NextHop& hop, Ip4Address to) {
    const bool has_gateway = hop.kind == routing::NextHopKind::gateway && hop.gateway.is_ip4();
    return context.tables.source_for(out, has_gateway ? hop.gateway.ip4() : to);
}

}  // namespace sluice::filter
