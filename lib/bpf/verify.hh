// Proves, before a program runs, that it ends and touches nothing but what it was given: its argument, its
// stack, the functions it may call. What cannot be proved is refused, with the instruction and the reason.
//
// All ways through the program are followed at once in topological order; where they meet, what is known is
// what holds on all of them. Registers and places on the stack are numbers with bounds, addresses within the
// argument with bounds, addresses on the stack, or handles. There are no loops, so that the longest run is
// the program's length.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.hh"
#include "bpf/helper.hh"
#include "bpf/instruction.hh"

namespace sluice::bpf {

// A wide load of a handle.
struct HandleLoad {
    uint32_t at = 0;
    Handle handle;
};

// Instructions whose references have been replaced: calls by the number of the helper, wide loads by the
// handle's number.
struct LinkedCode {
    std::vector<Instruction> instructions;
    std::vector<uint32_t> calls;      // places of the calls that were linked, sorted
    std::vector<HandleLoad> handles;  // by place
};

// The memory the program's argument points to.
struct Region {
    uint32_t size = 0;
    uint32_t writable_from = 0;  // what is before can only be read
};

// What was learned on the way.
struct Facts {
    uint32_t reach = 0;   // the program touches only the first so many bytes of its region
    bool writes = false;  // it may change the region, or calls a helper that does
};

// Instructions on all ways through a program, counted on each: so that whoever follows them one by one comes
// to an end soon.
inline constexpr uint64_t kMaxSteps = 1'000'000;

Expected<Facts> verify(const LinkedCode& code, std::span<const Helper> helpers, const Region& region);

}  // namespace sluice::bpf
