// TFTP's first packet (RFC 1350): the transfer goes on from another port of the server.
#pragma once

#include "wire/bytes.hh"

namespace sluice::conntrack {

inline constexpr uint16_t kTftpPort = 69;

// Does the payload of a datagram ask to read or write a file? Then its source expects answers from any port.
inline bool is_tftp_request(wire::Bytes payload) {
    return payload.size() >= 2 && payload[0] == 0 && (payload[1] == 1 || payload[1] == 2);
}

}  // namespace sluice::conntrack
