// A packet's source or destination exchanged for another: addresses, ports or ICMP identifiers, and every
// checksum that covers them. What nf_nat_manip_pkt does.
#pragma once

#include "base/address.hh"
#include "nat/endpoint.hh"
#include "nat/manip.hh"
#include "wire/bytes.hh"
#include "wire/ip_packet.hh"
#include "wire/protocol.hh"

namespace sluice::nat {

// Writes `to` over one end of the packet. `bytes` are those of `packet`, which stays valid; the length never
// changes. `to.address` is of the packet's family.
//
// The packet is whole. Checksums are updated (RFC 1624): one that was wrong stays wrong, and UDP's zero stays
// zero (RFC 768). Only SCTP's CRC32c is computed anew, which is the one cost that grows with the length.
// Protocols without ports have their address changed alone; so have PPTP's tunnels, whose call identifiers
// belong to the hosts, and DCCP, whose ports are not tracked but whose checksum covers the address.
//
// False: a transport header too short to be changed, or a version of GRE that does not exist. Nothing was
// written; the packet must be dropped.
[[nodiscard]] bool rewrite(const wire::IpPacket& packet, wire::MutableBytes bytes, Manip manip,
                           const Endpoint& to);

// What rewrite() does to the IP header that begins there, of `to`'s family.
void rewrite_address(uint8_t* header, Manip manip, const IpAddress& to);

// What rewrite() does to the upper layer, also of a packet of which an ICMP error quotes the beginning.
// `upper` begins with the transport header and ends where the bytes do; `from` is the address that `to`
// replaces. Eight bytes suffice: TCP's and SCTP's checksums are left alone where less than the header is
// there. SCTP's is computed over what is there.
[[nodiscard]] bool rewrite_upper(wire::MutableBytes upper, wire::IpProtocol protocol, Manip manip,
                                 const IpAddress& from, const Endpoint& to);

}  // namespace sluice::nat
