// How NAT asks behind which interface a host is.
#pragma once

#include "base/address.hh"
#include "base/interface_id.hh"

namespace sluice::nat {

// Whether packets to the host from who asks leave by the interface. Given by who knows the routes; without
// one none does.
struct WayProbe {
    bool (*is_behind)(const void* context, const IpAddress& host, InterfaceId interface) = nullptr;
    const void* context = nullptr;
    [[nodiscard]] bool operator()(const IpAddress& host, InterfaceId interface) const {
        return is_behind != nullptr && is_behind(context, host, interface);
    }
};

}  // namespace sluice::nat
