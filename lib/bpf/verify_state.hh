// What is known of a program's registers and stack at one instruction.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <limits>

#include "bpf/instruction.hh"

namespace sluice::bpf {

// One register, or eight aligned bytes of the stack.
class Value {
  public:
    enum class Kind : uint8_t {
        unknown,  // never written, or different things on different ways
        number,
        region,  // an address within the program's argument
        stack,
        handle,
    };

    static constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
    // Addresses further than this from what they point to are not followed.
    static constexpr int64_t kFar = 1 << 20;

    Value() = default;
    static Value number(uint64_t low = 0, uint64_t high = kMax) { return {Kind::number, low, high}; }
    static Value region(int64_t low, int64_t high) {
        return {Kind::region, static_cast<uint64_t>(low), static_cast<uint64_t>(high)};
    }
    static Value stack(int64_t offset) {
        return {Kind::stack, static_cast<uint64_t>(offset), static_cast<uint64_t>(offset)};
    }
    static Value handle(uint32_t kinds) { return {Kind::handle, kinds, kinds}; }

    [[nodiscard]] Kind kind() const { return kind_; }
    [[nodiscard]] bool is_number() const { return kind_ == Kind::number; }
    [[nodiscard]] bool is_address() const { return kind_ == Kind::region || kind_ == Kind::stack; }
    // Of a number.
    [[nodiscard]] uint64_t low() const { return low_; }
    [[nodiscard]] uint64_t high() const { return high_; }
    // Of an address: bytes from the start of the region, or from the end of the stack.
    [[nodiscard]] int64_t first() const { return static_cast<int64_t>(low_); }
    [[nodiscard]] int64_t last() const { return static_cast<int64_t>(high_); }
    [[nodiscard]] uint32_t kinds() const { return static_cast<uint32_t>(low_); }

    // What holds of both.
    [[nodiscard]] Value meet(const Value& other) const;
    bool operator==(const Value&) const = default;

  private:
    constexpr Value(Kind kind, uint64_t low, uint64_t high) : kind_(kind), low_(low), high_(high) {}
    Kind kind_ = Kind::unknown;
    uint64_t low_ = 0;
    uint64_t high_ = 0;
};

// The result of an operation on numbers, with bounds that are never too narrow.
Value calculate(unsigned operation, const Value& left, const Value& right);
// The same, of the low 32 bits.
Value calculate32(unsigned operation, const Value& left, const Value& right);
// What is known of a number after the comparison with a constant held, or did not.
Value narrowed(const Value& value, unsigned comparison, uint64_t constant, bool held);

class State {
  public:
    // As a program begins.
    static State entry();

    [[nodiscard]] const Value& operator[](unsigned reg) const { return registers_[reg]; }
    void set(unsigned reg, const Value& value) { registers_[reg] = value; }

    // Bytes of the stack, `offset` from its end (negative) and within it. Unknown if any was not written, or
    // is part of something that is no number.
    [[nodiscard]] Value load(int64_t offset, unsigned width) const;
    // False for a part of the stack that cannot take this: an address that is not eight aligned bytes.
    [[nodiscard]] bool store(int64_t offset, unsigned width, const Value& value);

    void meet(const State& other);

  private:
    static constexpr size_t kWords = kStackBytes / 8;
    std::array<Value, kRegisters> registers_;
    std::array<Value, kWords> words_;  // where eight bytes were written at once
    std::bitset<kStackBytes> written_;
};

}  // namespace sluice::bpf
