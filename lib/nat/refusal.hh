// Why NAT has no endpoint for a packet.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::nat {

enum class NatRefusal : uint8_t {
    no_mapping,   // from outside to an endpoint that is nobody's: not for NAT, perhaps for the box itself
    filtered,     // the inside endpoint has not sent to this remote; to be dropped without an answer
    no_address,   // no address of the packet's family to translate to, or none in the other prefix
    exhausted,    // no port left at the external address (R6888-11: nobody's mapping is taken away)
    host_limit,   // the inside host holds as many mappings as it may
    table_full,   // the worker holds as many mappings as it can
    space_limit,  // ports of too many external addresses are in use
    held_down,    // just started: others may still believe that the port is theirs
};

constexpr std::string_view to_string(NatRefusal refusal) {
    constexpr std::array<std::string_view, 8> kNames{"no_mapping", "filtered",   "no_address",  "exhausted",
                                                     "host_limit", "table_full", "space_limit", "held_down"};
    return kNames[static_cast<size_t>(refusal)];
}

}  // namespace sluice::nat
