#include "bpf/verify_state.hh"

#include <algorithm>
#include <bit>

namespace sluice::bpf {
namespace {

constexpr uint64_t kMax32 = std::numeric_limits<uint32_t>::max();

// The least number of the form 2^n - 1 that is not below.
constexpr uint64_t all_ones_over(uint64_t value) {
    return value == 0 ? 0 : Value::kMax >> std::countl_zero(value);
}

Value shifted_left(const Value& left, uint64_t by) {
    return left.high() > Value::kMax >> by ? Value::number()
                                           : Value::number(left.low() << by, left.high() << by);
}

Value low_half(const Value& value) {
    return value.high() <= kMax32 ? value : Value::number(0, kMax32);
}

}  // namespace

Value Value::meet(const Value& other) const {
    if (kind_ != other.kind_)
        return {};
    switch (kind_) {
        case Kind::unknown:
            return {};
        case Kind::number:
            return number(std::min(low_, other.low_), std::max(high_, other.high_));
        case Kind::region:
            return region(std::min(first(), other.first()), std::max(last(), other.last()));
        case Kind::stack:
            return low_ == other.low_ ? *this : Value();
        case Kind::handle:
            return (kinds() & other.kinds()) != 0 ? handle(kinds() & other.kinds()) : Value();
    }
    return {};
}

Value calculate(unsigned operation, const Value& left, const Value& right) {
    uint64_t low = 0;
    uint64_t high = 0;
    const bool is_constant = right.low() == right.high();
    switch (operation) {
        case alu::add:
            low = left.low() + right.low();
            return __builtin_add_overflow(left.high(), right.high(), &high) ? Value::number()
                                                                            : Value::number(low, high);
        case alu::sub:
            return left.low() >= right.high()
                       ? Value::number(left.low() - right.high(), left.high() - right.low())
                       : Value::number();
        case alu::mul:
            low = left.low() * right.low();
            return __builtin_mul_overflow(left.high(), right.high(), &high) ? Value::number()
                                                                            : Value::number(low, high);
        case alu::div:
            return is_constant && right.low() != 0
                       ? Value::number(left.low() / right.low(), left.high() / right.low())
                       : Value::number();
        case alu::mod:
            return right.low() != 0 ? Value::number(0, std::min(left.high(), right.high() - 1))
                                    : Value::number();
        case alu::and_:
            return Value::number(0, std::min(left.high(), right.high()));
        case alu::or_:
            return Value::number(std::max(left.low(), right.low()),
                                 all_ones_over(left.high() | right.high()));
        case alu::xor_:
            return Value::number(0, all_ones_over(left.high() | right.high()));
        case alu::lsh:
            return is_constant && right.low() < 64 ? shifted_left(left, right.low()) : Value::number();
        case alu::rsh:
            return is_constant && right.low() < 64
                       ? Value::number(left.low() >> right.low(), left.high() >> right.low())
                       : Value::number();
        case alu::mov:
            return right;
        default:
            return Value::number();
    }
}

Value calculate32(unsigned operation, const Value& left, const Value& right) {
    const Value a = low_half(left);
    const Value b = low_half(right);
    // What is signed or wraps around is not followed in half a register.
    switch (operation) {
        case alu::sub:
            return a.low() >= b.high() ? calculate(operation, a, b) : Value::number(0, kMax32);
        case alu::neg:
        case alu::arsh:
            return Value::number(0, kMax32);
        case alu::lsh:
        case alu::rsh:
            if (b.high() >= 32)
                return Value::number(0, kMax32);
            [[fallthrough]];
        default:
            return low_half(calculate(operation, a, b));
    }
}

Value narrowed(const Value& value, unsigned comparison, uint64_t constant, bool held) {
    uint64_t low = value.low();
    uint64_t high = value.high();
    const auto at_least = [&](uint64_t bound) { low = std::max(low, bound); };
    const auto at_most = [&](uint64_t bound) { high = std::min(high, bound); };
    const bool is_equal = comparison == (held ? jump::eq : jump::ne);
    if (is_equal) {
        at_least(constant);
        at_most(constant);
    } else if (comparison == (held ? jump::ne : jump::eq)) {
        if (low == constant && low != Value::kMax)
            at_least(constant + 1);
        else if (high == constant && high != 0)
            at_most(constant - 1);
    } else if (comparison == (held ? jump::gt : jump::le)) {
        if (constant != Value::kMax)
            at_least(constant + 1);
    } else if (comparison == (held ? jump::ge : jump::lt)) {
        at_least(constant);
    } else if (comparison == (held ? jump::lt : jump::ge)) {
        if (constant != 0)
            at_most(constant - 1);
    } else if (comparison == (held ? jump::le : jump::gt)) {
        at_most(constant);
    }
    // This way is never taken; what is said of it does not matter.
    return low <= high ? Value::number(low, high) : value;
}

State State::entry() {
    State state;
    state.registers_[1] = Value::region(0, 0);
    state.registers_[kStackPointer] = Value::stack(0);
    return state;
}

Value State::load(int64_t offset, unsigned width) const {
    const auto at = static_cast<size_t>(kStackBytes + offset);
    if (at % 8 == 0 && width == 8 && words_[at / 8].kind() != Value::Kind::unknown)
        return words_[at / 8];
    for (size_t i = at; i < at + width; ++i) {
        const Value& word = words_[i / 8];
        if (!written_[i] || (word.kind() != Value::Kind::unknown && !word.is_number()))
            return {};
    }
    return width == 8 ? Value::number() : Value::number(0, (uint64_t{1} << 8 * width) - 1);
}

bool State::store(int64_t offset, unsigned width, const Value& value) {
    const auto at = static_cast<size_t>(kStackBytes + offset);
    const bool is_word = at % 8 == 0 && width == 8;
    if (!is_word && !value.is_number())
        return false;
    for (size_t word = at / 8; word <= (at + width - 1) / 8; ++word) {
        // The rest of an address that was there is no number.
        if (words_[word].kind() != Value::Kind::unknown && !words_[word].is_number()) {
            for (size_t i = 0; i < 8; ++i)
                written_.reset(word * 8 + i);
        }
        words_[word] = {};
    }
    for (size_t i = at; i < at + width; ++i)
        written_.set(i);
    if (is_word)
        words_[at / 8] = value;
    return true;
}

void State::meet(const State& other) {
    for (size_t i = 0; i < kRegisters; ++i)
        registers_[i] = registers_[i].meet(other.registers_[i]);
    const auto is_plain = [](const Value& word) {
        return word.kind() == Value::Kind::unknown || word.is_number();
    };
    written_ &= other.written_;
    for (size_t word = 0; word < kWords; ++word) {
        const Value met = words_[word].meet(other.words_[word]);
        const bool is_lost =
            met.kind() == Value::Kind::unknown && (!is_plain(words_[word]) || !is_plain(other.words_[word]));
        for (size_t i = 0; is_lost && i < 8; ++i)
            written_.reset(word * 8 + i);
        words_[word] = met;
    }
}

}  // namespace sluice::bpf
