#include "bpf/translation.hh"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <vector>

namespace sluice::bpf {
namespace {

// Registers of the processor, by their numbers in its instructions.
enum class Register : uint8_t {
    rax,
    rcx,
    rdx,
    rbx,
    rsp,
    rbp,
    rsi,
    rdi,
    r8,
    r9,
    r10,
    r11,
    r12,
    r13,
    r14,
    r15
};

// Where the translator keeps the program's registers.
constexpr std::array<Register, kRegisters> kPlaces{Register::rax, Register::rdi, Register::rsi, Register::rdx,
                                                   Register::rcx, Register::r8,  Register::rbx, Register::r13,
                                                   Register::r14, Register::r15, Register::rbp};

constexpr bool is_small(int64_t number) {
    return number == static_cast<int8_t>(number);
}

bool is_division(const Instruction& instruction) {
    return instruction.operation() == alu::div || instruction.operation() == alu::mod;
}

bool is_shift(const Instruction& instruction) {
    return instruction.operation() == alu::lsh || instruction.operation() == alu::rsh ||
           instruction.operation() == alu::arsh;
}

// Lengths of what the translator writes.
class Lengths {
  public:
    // Of a calculation.
    static size_t of_calculation(const Instruction& instruction) {
        const bool is_wide = instruction.instruction_class() == kAlu64;
        const bool by_register = instruction.has_register_operand();
        const Register to = kPlaces[instruction.destination()];
        const Register from = by_register ? kPlaces[instruction.source()] : Register::rax;
        switch (instruction.operation()) {
            case alu::mov:
                if (by_register)
                    return is_wide && to == from ? 0 : prefix(is_wide, to, from) + 2;
                return constant(is_wide, to, instruction.immediate);
            case alu::neg:
                return prefix(is_wide, to) + 2;
            case alu::end:
                return of_swap(to, instruction.immediate, by_register);
            case alu::lsh:
            case alu::rsh:
            case alu::arsh:
                if (!by_register)
                    return prefix(is_wide, to) + 3;
                return prefix(is_wide, to == Register::rcx ? from : to) + 2 +
                       (from == Register::rcx ? 0 : 2 * kMove);
            case alu::mul:
                return 2 * kMove + move(to, Register::rax) +
                       (by_register ? move(from, Register::rdx)
                                    : constant(true, Register::rdx, instruction.immediate)) +
                       prefix(is_wide, Register::rdx) + 2 + move(to, Register::rdx) +
                       2 * move(to, Register::rax);
            default:
                return prefix(is_wide, to, from) + 2 +
                       (by_register                       ? 0
                        : is_small(instruction.immediate) ? 1
                                                          : 4);
        }
    }

    // Of a division, up to the jump that leaves the program if the divisor is zero, and behind it.
    static size_t of_test_for_zero(const Instruction& instruction) {
        const bool is_wide = instruction.instruction_class() == kAlu64;
        const Register from = kPlaces[instruction.source()];
        return prefix(is_wide, from) + 2 + prefix(is_wide, from) + 3;
    }
    static size_t of_division(const Instruction& instruction) {
        const bool is_wide = instruction.instruction_class() == kAlu64;
        const Register to = kPlaces[instruction.destination()];
        Register divisor = Register::r9;
        if (instruction.has_register_operand()) {
            divisor = kPlaces[instruction.source()];
            if (divisor == Register::rax)
                divisor = Register::r11;
            else if (divisor == Register::rdx)
                divisor = Register::r10;
        }
        return 2 * (move(to, Register::rax) + move(to, Register::rdx)) + move(to, Register::rax) + kMove +
               (instruction.has_register_operand() ? 0 : constant(true, divisor, instruction.immediate)) +
               prefix(is_wide, divisor) + 2 +
               move(to, instruction.operation() == alu::div ? Register::rax : Register::rdx);
    }

    static size_t of_load(const Instruction& instruction) {
        const bool is_narrow = instruction.width() < 4;
        return prefix(instruction.width() != 4, kPlaces[instruction.destination()],
                      kPlaces[instruction.source()]) +
               (is_narrow ? 2 : 1) + 1 + displacement(instruction);
    }

    static size_t of_store(const Instruction& instruction) {
        const unsigned width = instruction.width();
        const bool by_register = instruction.instruction_class() == kStore;
        const Register from = by_register ? kPlaces[instruction.source()] : Register::rax;
        const bool names_low_byte = width == 1 && (from == Register::rsi || from == Register::rdi);
        return (width == 2 ? 1 : 0) +
               prefix(width == 8 || names_low_byte, kPlaces[instruction.destination()], from) + 2 +
               displacement(instruction) + (by_register ? 0 : std::min(width, 4U));
    }

    static size_t of_wide_load(const Instruction& first, const Instruction& second) {
        const bool is_wide = second.immediate != 0;
        return prefix(is_wide, kPlaces[first.destination()]) + 1 + (is_wide ? 8 : 4);
    }

    // Of a comparison, up to its jump.
    static size_t of_comparison(const Instruction& instruction) {
        if (instruction.has_register_operand())
            return 3;
        return instruction.operation() != jump::set && is_small(instruction.immediate) ? 4 : 7;
    }

    static constexpr size_t kMove = 3;  // from register to register, all of it

  private:
    static size_t prefix(bool is_wide, Register a, Register b = Register::rax) {
        return is_wide || a >= Register::r8 || b >= Register::r8 ? 1 : 0;
    }
    static size_t move(Register to, Register from) { return to == from ? 0 : kMove; }
    static size_t constant(bool is_wide, Register to, int32_t number) {
        return prefix(is_wide, to) + (number == 0 ? 2 : 6);
    }
    static size_t displacement(const Instruction& instruction) {
        return is_small(instruction.offset) ? 1 : 4;
    }
    static size_t of_swap(Register to, int32_t bits, bool to_big) {
        const size_t short_prefix = prefix(false, to);
        if (bits == 16)
            return (to_big ? 4 + short_prefix : 0) + 3 + short_prefix;
        if (to_big)
            return prefix(bits == 64, to) + 2;
        return bits == 32 ? short_prefix + 2 : 0;
    }
};

// Walks through the machine code beside the instructions.
class Walk {
  public:
    Walk(std::span<const Instruction> instructions, std::span<const uint8_t> code)
        : instructions_(instructions), code_(code), begins_(instructions.size() + 1) {}

    bool is_right() {
        if (!enter())
            return false;
        for (size_t at = 0; at < instructions_.size(); ++at) {
            begins_[at] = at_;
            const auto& instruction = instructions_[at];
            if (!step(at))
                return false;
            if (instruction.code == kLoadWide)
                ++at;
        }
        if (at_ != code_.size())
            return false;
        for (const auto& [to, target] : jumps_)
            if (to != begins_[target])
                return false;
        for (const size_t to : leaves_)
            if (to != exit_)
                return false;
        return true;
    }

  private:
    struct Jump {
        size_t to;  // in the machine code
        size_t target;
    };

    template <size_t kSize>
    bool read(const std::array<uint8_t, kSize>& bytes) {
        if (code_.size() - at_ < kSize || std::memcmp(code_.data() + at_, bytes.data(), kSize) != 0)
            return false;
        at_ += kSize;
        return true;
    }
    bool skip(size_t bytes) {
        if (code_.size() - at_ < bytes)
            return false;
        at_ += bytes;
        return true;
    }

    // What saves registers and makes room for the stack. No instruction of a program names rsp.
    bool enter() {
        if (!read(kLessStack))
            return true;
        if (!skip(1))
            return false;
        saved_ = code_[at_ - 1] / 8U;
        for (size_t i = 0; i < saved_; ++i) {
            has_stack_ = read(kSaveFramePointer) && skip(1);
            if (!has_stack_ && !skip(kSave))
                return false;
        }
        return !has_stack_ ||
               (read(kStackBegins) && (read(kLessStack) ? skip(1) : read(kMuchLessStack) && skip(4)));
    }

    bool step(size_t at) {
        const auto& instruction = instructions_[at];
        switch (instruction.instruction_class()) {
            case kAlu32:
            case kAlu64:
                if (!is_division(instruction))
                    return skip(Lengths::of_calculation(instruction));
                return (!instruction.has_register_operand() ||
                        (skip(Lengths::of_test_for_zero(instruction)) && leave_early())) &&
                       skip(Lengths::of_division(instruction));
            case kLoad:
                return at + 1 < instructions_.size() &&
                       skip(Lengths::of_wide_load(instruction, instructions_[at + 1]));
            case kLoadMemory:
                return skip(Lengths::of_load(instruction));
            case kStoreConstant:
            case kStore:
                return skip(Lengths::of_store(instruction));
            case kJump:
                return jump(at);
            default:
                return false;
        }
    }

    bool jump(size_t at) {
        const auto& instruction = instructions_[at];
        switch (instruction.operation()) {
            case jump::call:
                return (read(kNearFunction) ? skip(4) : read(kFarFunction) && skip(8)) && read(kCall);
            case jump::exit:
                return exit();
            case jump::always:
                break;
            default:
                if (!skip(Lengths::of_comparison(instruction)))
                    return false;
                break;
        }
        const auto to = read_jump(condition_of(instruction.operation()));
        if (!to)
            return false;
        jumps_.push_back({*to, at + 1 + static_cast<size_t>(instruction.offset)});
        return true;
    }

    bool leave_early() {
        const auto to = read_jump(condition_of(jump::eq));
        if (to)
            leaves_.push_back(*to);
        return to.has_value();
    }

    // The first restores the registers, others jump there.
    bool exit() {
        if (exit_)
            return read_jump(std::nullopt) == exit_;
        exit_ = at_;
        if (saved_ != 0) {
            if ((has_stack_ && !read(kStackEnds)) || !skip(saved_ * kSave) || !read(kMoreStack) || !skip(1))
                return false;
        }
        return read(kReturn);
    }

    // Where a jump leads. Without a condition it is one that is always taken.
    std::optional<size_t> read_jump(std::optional<uint8_t> condition) {
        const bool is_short = condition
                                  ? read(std::array<uint8_t, 1>{static_cast<uint8_t>(0x70 | *condition)})
                                  : read(std::array<uint8_t, 1>{0xeb});
        if (is_short) {
            if (!skip(1))
                return std::nullopt;
            return at_ + static_cast<size_t>(static_cast<int8_t>(code_[at_ - 1]));
        }
        const bool is_long = condition
                                 ? read(std::array<uint8_t, 2>{0x0f, static_cast<uint8_t>(0x80 | *condition)})
                                 : read(std::array<uint8_t, 1>{0xe9});
        if (!is_long || !skip(4))
            return std::nullopt;
        int32_t by = 0;
        std::memcpy(&by, code_.data() + at_ - 4, sizeof(by));
        return at_ + static_cast<size_t>(by);
    }

    // As the processor numbers conditions; nothing for a jump that is always taken.
    static std::optional<uint8_t> condition_of(unsigned operation) {
        switch (operation) {
            case jump::eq:
                return 0x4;
            case jump::ne:
            case jump::set:
                return 0x5;
            case jump::gt:
                return 0x7;
            case jump::lt:
                return 0x2;
            case jump::ge:
                return 0x3;
            case jump::le:
                return 0x6;
            case jump::sgt:
                return 0xf;
            case jump::slt:
                return 0xc;
            case jump::sge:
                return 0xd;
            case jump::sle:
                return 0xe;
            default:
                return std::nullopt;
        }
    }

    static constexpr size_t kSave = 5;  // a register from or to the stack
    static constexpr std::array<uint8_t, 3> kLessStack{0x48, 0x83, 0xec};
    static constexpr std::array<uint8_t, 3> kMuchLessStack{0x48, 0x81, 0xec};
    static constexpr std::array<uint8_t, 3> kMoreStack{0x48, 0x83, 0xc4};
    static constexpr std::array<uint8_t, 4> kSaveFramePointer{0x48, 0x89, 0x6c, 0x24};
    static constexpr std::array<uint8_t, 3> kStackBegins{0x48, 0x89, 0xe5};
    static constexpr std::array<uint8_t, 3> kStackEnds{0x48, 0x89, 0xec};
    static constexpr std::array<uint8_t, 1> kNearFunction{0xb8};
    static constexpr std::array<uint8_t, 2> kFarFunction{0x48, 0xb8};
    static constexpr std::array<uint8_t, 2> kCall{0xff, 0xd0};
    static constexpr std::array<uint8_t, 1> kReturn{0xc3};

    std::span<const Instruction> instructions_;
    std::span<const uint8_t> code_;
    size_t at_ = 0;
    size_t saved_ = 0;
    bool has_stack_ = false;
    std::vector<size_t> begins_;
    std::vector<Jump> jumps_;
    std::vector<size_t> leaves_;
    std::optional<size_t> exit_;
};

}  // namespace

bool is_mistranslated(const Instruction& instruction) {
    const unsigned to = instruction.destination();
    const bool by_itself = instruction.has_register_operand() && instruction.source() == to;
    const unsigned kind = instruction.instruction_class();
    if (kind == kAlu32 || kind == kAlu64) {
        // The count goes through rcx, where r4 is: instead of the register, r4 is shifted.
        if (is_shift(instruction))
            return by_itself && kPlaces[to] != Register::rcx;
        if (is_division(instruction) && instruction.has_register_operand()) {
            // Divides by what a temporary register happens to hold.
            if (by_itself && (kPlaces[to] == Register::rax || kPlaces[to] == Register::rdx))
                return true;
            // Half of r0 is lost.
            return kind == kAlu32 && kPlaces[to] != Register::rax;
        }
        return false;
    }
    // Of the test's four bytes of a small constant one is written; those behind it are taken for the rest.
    return kind == kJump && instruction.operation() == jump::set && !instruction.has_register_operand() &&
           is_small(instruction.immediate);
}

bool leads_right([[maybe_unused]] std::span<const Instruction> instructions,
                 [[maybe_unused]] std::span<const uint8_t> machine_code) {
#if defined(__x86_64__)
    return Walk(instructions, machine_code).is_right();
#else
    return false;
#endif
}

}  // namespace sluice::bpf
