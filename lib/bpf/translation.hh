// Whether DPDK 22.11's translator for x86-64 has put a program right.
//
// It gets a few instructions wrong, and now and then the distances of jumps: it works them out by translating
// again and again until the length stays the same, and the length may do so by chance while the places still
// move. Nothing of that is reported, and what was proved of the instructions does not hold of such machine
// code.
#pragma once

#include <cstdint>
#include <span>

#include "bpf/instruction.hh"

namespace sluice::bpf {

// Whether the machine code of an instruction, which has passed the proof, does something else than it says.
[[nodiscard]] bool is_mistranslated(const Instruction& instruction);

// Whether in the machine code of these instructions, none of them mistranslated, each takes the bytes it
// should and every jump leads where its target begins. False on other processors, whose code is not looked
// at. Control thread.
[[nodiscard]] bool leads_right(std::span<const Instruction> instructions,
                               std::span<const uint8_t> machine_code);

}  // namespace sluice::bpf
