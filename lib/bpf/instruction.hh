// eBPF instructions as they stand in an object file (RFC 9669), little endian.
#pragma once

#include <cstdint>

namespace sluice::bpf {

inline constexpr uint8_t kByRegister = 8;  // in the code of calculations and jumps

struct Instruction {
    uint8_t code = 0;
    uint8_t registers = 0;  // the destination in the low half, the source in the high one
    int16_t offset = 0;
    int32_t immediate = 0;

    [[nodiscard]] unsigned destination() const { return registers & 15U; }
    [[nodiscard]] unsigned source() const { return registers >> 4; }
    [[nodiscard]] unsigned instruction_class() const { return code & 7U; }
    [[nodiscard]] unsigned operation() const { return code & 0xf0U; }  // of ALU and jump classes
    [[nodiscard]] bool has_register_operand() const { return (code & kByRegister) != 0; }
    [[nodiscard]] unsigned mode() const { return code & 0xe0U; }  // of memory classes
    // Bytes that a memory instruction reads or writes.
    [[nodiscard]] unsigned width() const {
        switch (code & 0x18U) {
            case 0x00:
                return 4;
            case 0x08:
                return 2;
            case 0x10:
                return 1;
            default:
                return 8;
        }
    }
    bool operator==(const Instruction&) const = default;
};
static_assert(sizeof(Instruction) == 8);

inline constexpr unsigned kLoad = 0;  // of a constant of 64 bits, in two places
inline constexpr unsigned kLoadMemory = 1;
inline constexpr unsigned kStoreConstant = 2;
inline constexpr unsigned kStore = 3;
inline constexpr unsigned kAlu32 = 4;
inline constexpr unsigned kJump = 5;
inline constexpr unsigned kJump32 = 6;
inline constexpr unsigned kAlu64 = 7;

inline constexpr uint8_t kLoadWide = 0x18;
inline constexpr unsigned kMemory = 0x60;  // the plain mode

// As the standard calls them. NOLINTBEGIN(readability-identifier-naming)
namespace alu {
inline constexpr unsigned add = 0x00;
inline constexpr unsigned sub = 0x10;
inline constexpr unsigned mul = 0x20;
inline constexpr unsigned div = 0x30;
inline constexpr unsigned or_ = 0x40;
inline constexpr unsigned and_ = 0x50;
inline constexpr unsigned lsh = 0x60;
inline constexpr unsigned rsh = 0x70;
inline constexpr unsigned neg = 0x80;
inline constexpr unsigned mod = 0x90;
inline constexpr unsigned xor_ = 0xa0;
inline constexpr unsigned mov = 0xb0;
inline constexpr unsigned arsh = 0xc0;
inline constexpr unsigned end = 0xd0;
}  // namespace alu

namespace jump {
inline constexpr unsigned always = 0x00;
inline constexpr unsigned eq = 0x10;
inline constexpr unsigned gt = 0x20;
inline constexpr unsigned ge = 0x30;
inline constexpr unsigned set = 0x40;
inline constexpr unsigned ne = 0x50;
inline constexpr unsigned sgt = 0x60;
inline constexpr unsigned sge = 0x70;
inline constexpr unsigned call = 0x80;
inline constexpr unsigned exit = 0x90;
inline constexpr unsigned lt = 0xa0;
inline constexpr unsigned le = 0xb0;
inline constexpr unsigned slt = 0xc0;
inline constexpr unsigned sle = 0xd0;
}  // namespace jump
// NOLINTEND(readability-identifier-naming)

inline constexpr unsigned kRegisters = 11;
inline constexpr unsigned kStackPointer = 10;
inline constexpr int kStackBytes = 512;

}  // namespace sluice::bpf
