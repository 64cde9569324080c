// What NAT does where a rule leaves it open, and the bounds of one worker's memory for it.
#pragma once

#include <bitset>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/interface_id.hh"
#include "base/time.hh"
#include "conntrack/timeouts.hh"
#include "nat/rule.hh"

namespace sluice::nat {

struct NatSettings {
    // The defaults of a profile. Differences between the profiles are values here, never branches elsewhere.
    static NatSettings of(conntrack::Profile profile) {
        const bool as_linux = profile == conntrack::Profile::linux;
        NatSettings result;
        if (as_linux) {
            result.mapping = Dependence::address_and_port_dependent;
            result.filtering = Dependence::address_and_port_dependent;
            result.port_overlap = true;
            result.hairpin = false;
            result.syn_hold = Duration::zero();
            result.unique_ids = false;
        }
        return result;
    }

    Dependence mapping = Dependence::endpoint_independent;  // R4787-1, R5382-1, R5508-1a
    Dependence filtering = Dependence::address_dependent;   // R4787-8
    Pooling pooling = Pooling::paired;                      // R4787-2, R6888-2
    bool hairpin = true;                                    // R4787-9
    bool parity = false;                                    // even ports stay even (R4787-4, R7857-8)
    bool port_overlap = false;  // several inside hosts share a port towards different remotes (R7857-3);
                                // asks for mapping: address_and_port_dependent
    // Interfaces by which source NAT leads out, as its rules name them: who comes in there is not inside.
    std::bitset<kMaxInterfaces> outside = {};
    uint32_t ports_per_host = 0;  // most mappings of one inside address (R6888-4); 0: any number

    // How long a freed port is not used again (R6888-8), and of which mappings.
    Duration hold_down = std::chrono::seconds(120);
    bool hold_down_tcp = false;       // also those of TCP, whose end is known
    bool hold_down_filtered = false;  // also where filtering depends on the address
    bool hold_down_at_start = false;  // all of them for that long, since others may have had them before

    // How long a SYN that no mapping lets in waits for one from inside, until its sender is told that nobody
    // is there (R5382-4). Zero: it does not wait; the box's own ports answer at once, mappings never.
    Duration syn_hold = std::chrono::seconds(6);

    // Whether packets that may be fragmented get an identification of the box's with their source (R7857-10).
    bool unique_ids = true;

    bool operator==(const NatSettings&) const = default;
};

// Of one worker. What is per box in the configuration has been divided already. Address space is taken at
// once, memory when it is first used, 8 KB a port space.
struct NatLimits {
    size_t mappings = 0;          // flows have at most one each: the flow table's bound is never too small
    size_t port_spaces = 512;     // external addresses times protocols
    size_t hold_down = 1U << 16;  // freed ports that wait; above that the oldest waits no longer
    size_t history = 1U << 16;    // ended mappings that `nat who` knows of
    bool operator==(const NatLimits&) const = default;
};

// Which ports a worker may give out: every port belongs to one worker, in blocks of kPortBlock, so that a
// packet from outside can be brought to the worker that knows its mapping.
inline constexpr unsigned kPortBlock = 64;
struct PortShare {
    uint16_t worker = 0;
    uint16_t workers = 1;  // at least 1
    [[nodiscard]] constexpr bool owns(uint16_t port) const { return owner_of(port, workers) == worker; }
    // Divides; packets in flight are steered by a table made of this.
    static constexpr uint16_t owner_of(uint16_t port, uint16_t workers) {
        return static_cast<uint16_t>(port / kPortBlock % workers);
    }
    bool operator==(const PortShare&) const = default;
};

}  // namespace sluice::nat
