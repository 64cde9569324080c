// The functions that programs call (include/sluice_bpf.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "base/time.hh"
#include "bpf/helper.hh"
#include "filter/compiled_rule.hh"
#include "filter/program.hh"
#include "filter/ruleset_state.hh"
#include "wire/ip_packet.hh"

namespace sluice::filter {

// Kinds of things, as bits of bpf::Handle. The numbers of both kinds of sets are places in one list.
inline constexpr uint32_t kAddressSet = 1;
inline constexpr uint32_t kPortSet = 2;
inline constexpr uint32_t kCounter = 4;
inline constexpr uint32_t kLimit = 8;
inline constexpr uint32_t kInterface = 16;

inline constexpr std::string_view kContainsSource = "sluice_set_contains_source";
inline constexpr std::string_view kContainsDestination = "sluice_set_contains_destination";

// What they work on: bpf::Run::host of a run.
struct ProgramHost {
    const CompiledProgram& program;
    uint32_t index;  // of the program in its ruleset
    RulesetState& state;
    Instant now;
    uint32_t window;                // bytes that the program sees and changes in a copy
    const ProgramLookups* lookups;  // null: none
    // Of the packet.
    const wire::IpPacket* ip = nullptr;
    std::span<const uint8_t> frame{};  // as it came
    std::span<uint8_t> changed{};      // the frame, for what is written behind the copy; may be empty
    uint64_t place = 0;                // its bit in the look-ups
    // The addresses it came with, once the program has written into the frame.
    struct Addresses {
        IpAddress source;
        IpAddress destination;
    };
    std::optional<Addresses> came{};
    InterfaceId redirect = kNoInterface;
};

std::span<const bpf::Helper> program_helpers();

}  // namespace sluice::filter
