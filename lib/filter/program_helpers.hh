// The functions that programs call (include/sluice_bpf.h).
#pragma once

#include <cstdint>
#include <span>

#include "bpf/helper.hh"
#include "filter/compiled_rule.hh"
#include "filter/packet.hh"
#include "filter/program.hh"
#include "filter/ruleset_state.hh"

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
    const RulePacket& packet;
    std::span<const uint8_t> frame;  // as it came; what the program sees and changes is its copy
    uint32_t window;                 // bytes of that copy
    std::span<uint8_t> changed;      // the frame, for what is written behind the copy; may be empty
    const ProgramLookups* lookups;   // null: none
    uint64_t place;                  // the packet's bit in them
    InterfaceId redirect = kNoInterface;
};

std::span<const bpf::Helper> program_helpers();

}  // namespace sluice::filter
