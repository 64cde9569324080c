// Protocol numbers of IPv4's protocol and IPv6's next header fields. Numbers not named here are legal values.
#pragma once

#include <cstdint>

namespace sluice::wire {

enum class IpProtocol : uint8_t {
    hop_by_hop = 0,
    icmp = 1,
    igmp = 2,
    ipip = 4,
    tcp = 6,
    udp = 17,
    ip6_in_ip = 41,
    routing = 43,
    fragment = 44,
    gre = 47,
    esp = 50,
    ah = 51,
    icmpv6 = 58,
    none = 59,
    destination_options = 60,
    ospf = 89,
    pim = 103,
    vrrp = 112,
    sctp = 132,
    udplite = 136,
};

}  // namespace sluice::wire
