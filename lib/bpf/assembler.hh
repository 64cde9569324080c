// Instructions by hand, for tests.
#pragma once

#include <initializer_list>
#include <vector>

#include "bpf/instruction.hh"

namespace sluice::bpf::assembler {

using Code = std::vector<Instruction>;

inline Instruction make(unsigned code, unsigned to, unsigned from, int offset, int constant) {
    return {static_cast<uint8_t>(code), static_cast<uint8_t>(to | from << 4), static_cast<int16_t>(offset),
            constant};
}
inline Instruction set(unsigned to, int constant) {
    return make(kAlu64 | alu::mov, to, 0, 0, constant);
}
inline Instruction copy(unsigned to, unsigned from) {
    return make(kAlu64 | alu::mov | 8, to, from, 0, 0);
}
inline Instruction with(unsigned operation, unsigned to, int constant) {
    return make(kAlu64 | operation, to, 0, 0, constant);
}
inline Instruction with_register(unsigned operation, unsigned to, unsigned from) {
    return make(kAlu64 | operation | 8, to, from, 0, 0);
}
inline Instruction half_with(unsigned operation, unsigned to, int constant) {
    return make(kAlu32 | operation, to, 0, 0, constant);
}
inline unsigned size_code(unsigned width) {
    return width == 1 ? 0x10 : width == 2 ? 0x08 : width == 4 ? 0x00 : 0x18;
}
inline Instruction load(unsigned width, unsigned to, unsigned from, int offset) {
    return make(kLoadMemory | kMemory | size_code(width), to, from, offset, 0);
}
inline Instruction store(unsigned width, unsigned to, int offset, unsigned from) {
    return make(kStore | kMemory | size_code(width), to, from, offset, 0);
}
inline Instruction jump_if(unsigned comparison, unsigned reg, int constant, int by) {
    return make(kJump | comparison, reg, 0, by, constant);
}
inline Instruction go(int by) {
    return make(kJump | jump::always, 0, 0, by, 0);
}
inline Instruction call(int helper) {
    return make(kJump | jump::call, 0, 0, 0, helper);
}
inline Instruction leave() {
    return make(kJump | jump::exit, 0, 0, 0, 0);
}
inline Code wide(unsigned to, int constant) {
    return {make(kLoadWide, to, 0, 0, constant), {}};
}
inline Code join(std::initializer_list<Code> parts) {
    Code all;
    for (const Code& part : parts)
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

}  // namespace sluice::bpf::assembler
