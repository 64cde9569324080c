// What is proved, and what is refused since it cannot be.
#include "bpf/verify.hh"

#include <gtest/gtest.h>

#include "bpf/assembler.hh"
#include "bpf/verify_state.hh"

namespace sluice::bpf {
namespace {

using namespace assembler;

constexpr Region kRegion{.size = 100, .writable_from = 20};

const std::vector<Helper>& helpers() {
    static const std::vector<Helper> all{
        {.name = "number", .function = nullptr, .parameters = {{}}},
        {.name = "thing", .function = nullptr, .parameters = {{1}}},
        {.name = "changes", .function = nullptr, .parameters = {}, .changes_packet = true},
    };
    return all;
}

Expected<Facts> prove(Code code, std::vector<HandleLoad> handles = {}) {
    LinkedCode linked{.instructions = std::move(code), .calls = {}, .handles = std::move(handles)};
    for (uint32_t at = 0; at < linked.instructions.size(); ++at) {
        if (linked.instructions[at].code == (kJump | jump::call) && linked.instructions[at].immediate < 100)
            linked.calls.push_back(at);
    }
    return verify(linked, helpers(), kRegion);
}

// The reason, without the hint.
std::string refusal(Code code, std::vector<HandleLoad> handles = {}) {
    const auto facts = prove(std::move(code), std::move(handles));
    return facts ? "" : facts.error().message;
}

// The code with a return behind it.
Code returning(std::initializer_list<Code> parts) {
    return join({join(parts), {set(0, 2), leave()}});
}

TEST(Verify, AccessWithinTheRegionOnly) {
    for (const unsigned width : {1U, 2U, 4U, 8U}) {
        const int last = 100 - static_cast<int>(width);
        EXPECT_EQ(prove(returning({{load(width, 2, 1, last)}})).value().reach, 100);
        EXPECT_NE(refusal(returning({{load(width, 2, 1, last + 1)}})), "");
        EXPECT_NE(refusal(returning({{load(width, 2, 1, -1)}})), "");
        EXPECT_NE(refusal(returning({{load(width, 2, 1, 32767)}})), "");
        EXPECT_NE(refusal(returning({{load(width, 2, 1, -32768)}})), "");
        EXPECT_TRUE(prove(returning({{set(2, 0), store(width, 1, 20, 2)}})).value().writes);
        EXPECT_EQ(refusal(returning({{set(2, 0), store(width, 1, 19, 2)}})),
                  "instruction 1: writes to what it can only read");
    }
    EXPECT_FALSE(prove(returning({{load(1, 2, 1, 0)}})).value().writes);
    EXPECT_EQ(prove(returning({})).value().reach, 0);
}

TEST(Verify, MovedAddressesStayWithinToo) {
    EXPECT_EQ(refusal(returning({{copy(3, 1), with(alu::add, 3, 50), load(1, 2, 3, 49)}})), "");
    EXPECT_NE(refusal(returning({{copy(3, 1), with(alu::add, 3, 50), load(1, 2, 3, 50)}})), "");
    EXPECT_EQ(
        refusal(returning({{copy(3, 1), with(alu::add, 3, 50), with(alu::sub, 3, 40), load(1, 2, 3, -10)}})),
        "");
    EXPECT_NE(refusal(returning({{copy(3, 1), with(alu::sub, 3, 1), load(1, 2, 3, 0)}})), "");
    EXPECT_NE(refusal(returning({{copy(3, 1), with(alu::add, 3, INT32_MAX)}})), "");
    EXPECT_NE(refusal(returning({{copy(3, 1), with(alu::mul, 3, 1)}})), "");
    EXPECT_NE(refusal(returning({{copy(3, 1), half_with(alu::add, 3, 1), load(1, 2, 3, 0)}})), "");
    EXPECT_NE(refusal(returning({{copy(3, 1), with_register(alu::add, 3, 1)}})), "");
}

TEST(Verify, AnIndexNeedsKnownBounds) {
    const auto indexed = [](Code bounds, int offset) {
        return refusal(returning({{load(1, 2, 1, 0)},
                                  std::move(bounds),
                                  {copy(3, 1), with_register(alu::add, 3, 2), load(1, 4, 3, offset)}}));
    };
    EXPECT_NE(indexed({}, 0), "");  // up to 255
    EXPECT_EQ(indexed({with(alu::and_, 2, 15)}, 84), "");
    EXPECT_NE(indexed({with(alu::and_, 2, 15)}, 85), "");
    EXPECT_EQ(indexed({with(alu::and_, 2, 15), with(alu::lsh, 2, 2)}, 39), "");
    EXPECT_NE(indexed({with(alu::and_, 2, 15), with(alu::lsh, 2, 2)}, 40), "");
    EXPECT_EQ(indexed({with(alu::rsh, 2, 4), with(alu::mul, 2, 4)}, 39), "");
    EXPECT_EQ(indexed({with(alu::mod, 2, 100)}, 0), "");
    EXPECT_NE(indexed({with(alu::mod, 2, 101)}, 0), "");
    EXPECT_EQ(indexed({with(alu::div, 2, 3)}, 14), "");
    EXPECT_NE(indexed({with(alu::div, 2, 3)}, 15), "");
    EXPECT_NE(indexed({with(alu::and_, 2, 15), with(alu::sub, 2, 1)}, 50), "");
    EXPECT_NE(indexed({with(alu::and_, 2, 15), with(alu::or_, 2, 64)}, -27), "");
    EXPECT_EQ(indexed({with(alu::and_, 2, 15), with(alu::or_, 2, 64)}, -28), "");
    EXPECT_NE(indexed({with(alu::arsh, 2, 4)}, 0), "");
    EXPECT_NE(indexed({make(kAlu64 | alu::neg, 2, 0, 0, 0)}, 0), "");
}

TEST(Verify, ComparisonsGiveBounds) {
    // The index is used where the comparison does not jump (`by` leads to the return).
    const auto unless = [](unsigned comparison, int constant, int offset) {
        return refusal(returning({{load(1, 2, 1, 0), copy(3, 1), jump_if(comparison, 2, constant, 2),
                                   with_register(alu::add, 3, 2), load(1, 4, 3, offset)}}));
    };
    EXPECT_EQ(unless(jump::gt, 60, 39), "");
    EXPECT_NE(unless(jump::gt, 60, 40), "");
    EXPECT_EQ(unless(jump::ge, 60, 40), "");
    EXPECT_NE(unless(jump::ge, 60, 41), "");
    EXPECT_EQ(unless(jump::ne, 7, 92), "");
    EXPECT_NE(unless(jump::ne, 7, 93), "");
    EXPECT_NE(unless(jump::lt, 60, 0), "");
    EXPECT_NE(unless(jump::sgt, 60, 0), "");
    EXPECT_NE(unless(jump::eq, 7, 0), "");
    // And where it does.
    EXPECT_EQ(refusal(returning({{load(1, 2, 1, 0), copy(3, 1), jump_if(jump::lt, 2, 60, 1), go(2),
                                  with_register(alu::add, 3, 2), load(1, 4, 3, 40)}})),
              "");
}

TEST(Verify, WhatHoldsOnOneWayOnlyIsNotKnown) {
    // r3 is an address on one way, a number on the other.
    EXPECT_NE(refusal(returning(
                  {{load(1, 2, 1, 0), set(3, 0), jump_if(jump::eq, 2, 0, 1), copy(3, 1), load(1, 4, 3, 0)}})),
              "");
    // On both it is within the region, but not equally far.
    EXPECT_EQ(refusal(returning({{load(1, 2, 1, 0), copy(3, 1), jump_if(jump::eq, 2, 0, 1),
                                  with(alu::add, 3, 90), load(1, 4, 3, 9)}})),
              "");
    EXPECT_NE(refusal(returning({{load(1, 2, 1, 0), copy(3, 1), jump_if(jump::eq, 2, 0, 1),
                                  with(alu::add, 3, 90), load(1, 4, 3, 10)}})),
              "");
    // A register written on one way only.
    EXPECT_EQ(refusal(returning({{load(1, 2, 1, 0), jump_if(jump::eq, 2, 0, 1), set(3, 0), copy(4, 3)}})),
              "instruction 3: reads r3, which has no value here");
}

TEST(Verify, TheStackIsReadWhereItWasWritten) {
    EXPECT_EQ(refusal(returning({{set(2, 1), store(8, 10, -512, 2), load(8, 3, 10, -512)}})), "");
    EXPECT_NE(refusal(returning({{set(2, 1), store(8, 10, -513, 2)}})), "");
    EXPECT_NE(refusal(returning({{set(2, 1), store(8, 10, -7, 2)}})), "");
    EXPECT_NE(refusal(returning({{set(2, 1), store(4, 10, -8, 2), load(8, 3, 10, -8)}})), "");
    EXPECT_EQ(refusal(returning({{set(2, 1), store(4, 10, -8, 2), store(4, 10, -4, 2), load(8, 3, 10, -8)}})),
              "");
    EXPECT_NE(refusal(returning({{load(1, 2, 10, -1)}})), "");
    EXPECT_NE(refusal(returning(
                  {{load(1, 2, 1, 0), jump_if(jump::eq, 2, 0, 1), store(8, 10, -8, 2), load(8, 3, 10, -8)}})),
              "");
    // An address is kept there whole, and no part of it can be read or is left.
    EXPECT_EQ(refusal(returning({{store(8, 10, -8, 1), load(8, 3, 10, -8), load(1, 4, 3, 99)}})), "");
    EXPECT_NE(refusal(returning({{store(8, 10, -8, 1), load(4, 3, 10, -8)}})), "");
    EXPECT_NE(refusal(returning({{store(4, 10, -8, 1)}})), "");
    EXPECT_NE(refusal(returning({{store(8, 10, -12, 1)}})), "");
    EXPECT_NE(refusal(returning({{set(2, 0), store(8, 10, -8, 1), store(1, 10, -8, 2), load(1, 3, 10, -1)}})),
              "");
    EXPECT_NE(refusal(returning({{set(2, 0), store(8, 10, -8, 1), store(1, 10, -8, 2), load(8, 3, 10, -8),
                                  load(1, 4, 3, 0)}})),
              "");
    // Nor where it is there on one way only.
    EXPECT_NE(refusal(returning({{load(1, 2, 1, 0), store(8, 10, -8, 2), jump_if(jump::eq, 2, 0, 1),
                                  store(8, 10, -8, 1), load(8, 3, 10, -8)}})),
              "");
}

TEST(Verify, AddressesStayInside) {
    EXPECT_EQ(refusal(returning({{store(8, 1, 24, 1)}})), "instruction 0: writes an address into the packet");
    EXPECT_EQ(refusal({copy(0, 1), leave()}), "instruction 1: returns no number");
    EXPECT_EQ(refusal({copy(0, 10), leave()}), "instruction 1: returns no number");
    EXPECT_NE(refusal({leave()}), "");
    EXPECT_NE(refusal(returning({{jump_if(jump::gt, 1, 5, 0)}})), "");
    EXPECT_NE(refusal(returning({{copy(2, 1), make(kAlu64 | alu::sub | 8, 2, 10, 0, 0)}})), "");
    EXPECT_NE(refusal(returning({{set(10, 0)}})), "");
}

TEST(Verify, CallsAreGivenWhatTheyTake) {
    EXPECT_EQ(refusal(returning({{set(2, 1), call(0)}})), "");
    EXPECT_EQ(refusal(returning({{call(0)}})), "instruction 0: argument 2 of number is not of its kind");
    EXPECT_EQ(refusal(returning({{set(2, 1), call(1)}})),
              "instruction 1: argument 2 of thing is not of its kind");
    EXPECT_EQ(refusal(returning({{copy(2, 1), call(0)}})),
              "instruction 1: argument 2 of number is not of its kind");
    EXPECT_NE(refusal(returning({{with(alu::add, 1, 8), set(2, 0), call(0)}})), "");
    EXPECT_NE(refusal(returning({{copy(1, 10), set(2, 0), call(0)}})), "");
    // Registers of arguments are gone afterwards, the others are kept.
    EXPECT_NE(refusal(returning({{set(2, 1), call(0), copy(3, 2)}})), "");
    EXPECT_NE(refusal(returning({{set(2, 1), call(0), load(1, 3, 1, 0)}})), "");
    EXPECT_EQ(refusal(returning({{copy(6, 1), set(2, 1), call(0), load(1, 3, 6, 0)}})), "");
    EXPECT_TRUE(prove(returning({{call(2)}})).value().writes);
    EXPECT_EQ(refusal(returning({{call(102)}})),
              "instruction 0: calls a helper of the kernel by its number 102");
}

TEST(Verify, HandlesAreOnlyHandedOver) {
    const auto handle = [](uint32_t at, uint32_t kinds) {
        return HandleLoad{at, {.kinds = kinds, .number = 0}};
    };
    EXPECT_EQ(refusal(returning({wide(2, 0), {call(1)}}), {handle(0, 1)}), "");
    EXPECT_EQ(refusal(returning({wide(2, 0), {call(1)}}), {handle(0, 3)}), "");
    EXPECT_NE(refusal(returning({wide(2, 0), {call(1)}}), {handle(0, 2)}), "");
    EXPECT_NE(refusal(returning({wide(2, 0), {with(alu::add, 2, 1), call(1)}}), {handle(0, 1)}), "");
    EXPECT_NE(refusal(returning({wide(2, 0), {load(1, 3, 2, 0)}}), {handle(0, 1)}), "");
    // One of two: what both are.
    const Code one_of_two = join({{load(1, 3, 1, 0)}, wide(2, 0), {jump_if(jump::eq, 3, 0, 2)}, wide(2, 1)});
    EXPECT_EQ(refusal(returning({one_of_two, {call(1)}}), {handle(1, 1), handle(4, 3)}), "");
    EXPECT_NE(refusal(returning({one_of_two, {call(1)}}), {handle(1, 1), handle(4, 2)}), "");
}

// Branches that rejoin the others at once.
Code branches(size_t count) {
    Code code{set(0, 2)};
    for (size_t i = 0; i < count; ++i) {
        code.push_back(jump_if(jump::eq, 0, static_cast<int32_t>(i), 1));
        code.push_back(set(3, 1));
    }
    code.push_back(leave());
    return code;
}

TEST(Verify, WaysThroughAProgramAreFew) {
    EXPECT_EQ(refusal(branches(16)), "");
    EXPECT_EQ(refusal(branches(40)),
              "there are too many ways through the program: to follow each takes more than 1000000 steps");
    EXPECT_EQ(refusal(branches(2000)),
              "there are too many ways through the program: to follow each takes more than 1000000 steps");
    // Many that end are no trouble.
    Code early{set(0, 2)};
    for (int i = 0; i < 500; ++i)
        early = join({early, {jump_if(jump::eq, 0, i, 1), leave()}});
    EXPECT_EQ(refusal(join({early, {leave()}})), "");
}

TEST(Verify, ProgramsEnd) {
    EXPECT_EQ(refusal({set(0, 2), go(-2)}), "instruction 1: jumps back: the program has a loop");
    EXPECT_EQ(refusal({set(0, 2), jump_if(jump::eq, 0, 2, -2), leave()}),
              "instruction 1: jumps back: the program has a loop");
    EXPECT_EQ(refusal({set(0, 2)}), "instruction 0: the program goes on behind its end");
    EXPECT_EQ(refusal({set(0, 2), go(5), leave()}), "instruction 1: jumps out of the program");
    EXPECT_EQ(refusal({set(0, 2), go(-5), leave()}), "instruction 1: jumps out of the program");
    EXPECT_EQ(refusal({set(0, 2), leave(), leave()}), "instruction 2: is never reached");
    EXPECT_EQ(refusal({}), "the program has no instructions");
    // Backwards, but not in a circle.
    EXPECT_EQ(refusal({go(2), set(0, 2), leave(), set(3, 1), go(-4)}), "");
    EXPECT_EQ(refusal(join({{go(1)}, wide(2, 0), {set(0, 2), leave()}})),
              "instruction 0: jumps into the middle of an instruction");
    EXPECT_EQ(refusal({make(kLoadWide, 2, 0, 0, 0)}),
              "instruction 0: the second half of a wide load is missing");
}

TEST(Verify, DivisorsAreNotZero) {
    EXPECT_EQ(refusal(returning({{load(1, 2, 1, 0), set(3, 9), with_register(alu::div, 3, 2)}})),
              "instruction 2: divides by what may be zero");
    EXPECT_EQ(refusal(returning({{set(3, 9), with(alu::mod, 3, 0)}})),
              "instruction 1: divides by what may be zero");
    EXPECT_EQ(refusal(returning({{load(1, 2, 1, 0), set(3, 9), jump_if(jump::eq, 2, 0, 1),
                                  with_register(alu::div, 3, 2)}})),
              "");
}

// As a translator may take it for something else.
TEST(Verify, WhatNoCompilerWritesIsRefused) {
    EXPECT_EQ(refusal(returning({{set(2, 1), with(alu::lsh, 2, 63)}})), "");
    for (const int far : {64, 128, 0x40000010, -1})
        EXPECT_EQ(refusal(returning({{set(2, 1), with(alu::rsh, 2, far)}})),
                  "instruction 1: shifts by more bits than there are");
    EXPECT_NE(refusal(returning({{set(2, 1), half_with(alu::lsh, 2, 32)}})), "");
    const std::string reason = "instruction 1: has parts that mean nothing";
    for (Instruction odd :
         {make(kAlu64 | alu::add, 2, 3, 0, 1), make(kAlu64 | alu::add | 8, 2, 1, 0, 1),
          make(kAlu64 | alu::neg, 2, 0, 0, 1), make(kJump | jump::eq, 2, 3, 0, 1),
          make(kJump | jump::eq | 8, 2, 1, 0, 1), make(kLoadMemory | kMemory, 2, 1, 0, 1),
          make(kJump | jump::always, 0, 0, 0, 1), make(kJump | jump::always | 8, 0, 0, 0, 0)})
        EXPECT_EQ(refusal(returning({{set(2, 1), odd}})), reason);
    EXPECT_EQ(refusal({set(0, 2), make(kJump | jump::exit | 8, 0, 0, 0, 0)}), reason);
}

TEST(Verify, WhatIsNotUnderstoodIsRefused) {
    Code code = returning({{set(2, 0), set(3, 0), {}, set(4, 0)}});
    // Every opcode with every pair of registers: an answer, whatever it is; a newer machine's are refused.
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
        for (const unsigned registers : {0x32U, 0x12U, 0xa2U, 0x2aU, 0xf2U, 0x2fU}) {
            code[2] = {static_cast<uint8_t>(opcode), static_cast<uint8_t>(registers), 0, 16};
            const bool newer = (opcode & 7) == kJump32 || ((opcode & 7) == kStore && (opcode & 0xe0) == 0xc0);
            EXPECT_TRUE(!newer || !refusal(code).empty()) << opcode;
        }
    }
}

// Against the arithmetic itself: no result outside the bounds.
TEST(Verify, BoundsHold) {
    uint64_t seed = 1;
    const auto random = [&] {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        const unsigned bits = static_cast<unsigned>(seed >> 40) % 65;
        const uint64_t value = seed ^ seed >> 29;
        return bits == 64 ? value : value & ((uint64_t{1} << bits) - 1);
    };
    const auto one_between = [&](uint64_t low, uint64_t high) {
        return high - low == Value::kMax ? random() : low + random() % (high - low + 1);
    };
    const auto compute = [](unsigned operation, uint64_t a, uint64_t b) -> uint64_t {
        switch (operation) {
            case alu::add:
                return a + b;
            case alu::sub:
                return a - b;
            case alu::mul:
                return a * b;
            case alu::div:
                return b == 0 ? 0 : a / b;
            case alu::mod:
                return b == 0 ? 0 : a % b;
            case alu::or_:
                return a | b;
            case alu::and_:
                return a & b;
            case alu::xor_:
                return a ^ b;
            case alu::lsh:
                return a << (b & 63);
            case alu::rsh:
                return a >> (b & 63);
            default:
                return b;
        }
    };
    for (int round = 0; round < 200'000; ++round) {
        const unsigned operation = static_cast<unsigned>(random() % 12) << 4;
        if (operation == alu::neg)
            continue;
        const auto [a_low, a_high] = std::minmax({random(), random()});
        const auto [b_low, b_high] = std::minmax({random(), random()});
        const uint64_t a = one_between(a_low, a_high);
        const uint64_t b = one_between(b_low, b_high);
        const bool divides = operation == alu::div || operation == alu::mod;
        if (divides && b_low == 0)
            continue;
        const Value bounds = calculate(operation, Value::number(a_low, a_high), Value::number(b_low, b_high));
        const uint64_t exact = compute(operation, a, b);
        ASSERT_TRUE(bounds.low() <= exact && exact <= bounds.high())
            << operation << " " << a << " " << b << ": " << exact;
        const Value half = calculate32(operation, Value::number(a_low, a_high), Value::number(b_low, b_high));
        const uint64_t small_b = b & 0xffffffff;
        const bool shifts = operation == alu::lsh || operation == alu::rsh;
        if ((divides && (b_high > 0xffffffff || small_b == 0)) || (shifts && small_b > 31))
            continue;
        const uint64_t exact_half = compute(operation, a & 0xffffffff, small_b) & 0xffffffff;
        ASSERT_TRUE(half.low() <= exact_half && exact_half <= half.high())
            << operation << " " << a << " " << b << ": " << exact_half;
    }
}

}  // namespace
}  // namespace sluice::bpf
