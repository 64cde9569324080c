// Machine code beside the interpreter: every calculation with every pair of registers, programs with jumps of
// all distances, and what the translator is known to get wrong.
#include "bpf/translation.hh"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <stdexcept>

#include "bpf/assembler.hh"
#include "bpf/program.hh"

namespace sluice::bpf {
namespace {

using namespace assembler;
using Instructions = assembler::Code;

constexpr int kFrame = offsetof(PacketView, frame);
constexpr unsigned kShown = 10;  // registers that a program may change

std::shared_ptr<const bpf::Program> loaded(const Instructions& instructions, Execution execution) {
    auto program = Program::load(
        {instructions, {}}, {},
        [](std::string_view symbol) -> Expected<Handle> {
            return fail("there is no " + std::string(symbol));
        },
        execution);
    if (!program)
        throw std::runtime_error(program.error().text());
    return *program;
}

struct Ended {
    Verdict verdict{};
    std::vector<uint8_t> frame;
    bool operator==(const Ended&) const = default;
};

void PrintTo(const Ended& ended, std::ostream* out) {
    *out << to_string(ended.verdict);
    for (const unsigned byte : ended.frame)
        *out << (byte < 16 ? " 0" : " ") << std::hex << byte << std::dec;
}

Ended run(const bpf::Program& program, std::vector<uint8_t> frame) {
    Run run;
    const auto verdict = program(run, frame);
    program.write_back(run, frame);
    return {verdict, std::move(frame)};
}

// Whatever way it is executed, a program does the same.
void expect_alike(const Instructions& instructions) {
    const std::vector<uint8_t> frame(kFrameBytes);
    EXPECT_EQ(run(*loaded(instructions, Execution::automatic), frame),
              run(*loaded(instructions, Execution::interpreted), frame));
}

constexpr std::array<int, kShown> kNumbers{-1000003, 5, 33, 77777, 0x7ffffff1, -2, 12, 63, 1, -77};

// A program that gives every register a number of its own, does one thing, and puts all registers into the
// frame. The packet's address waits on the stack.
Instructions around(const Instructions& instructions) {
    Instructions all{store(8, 10, -8, 1)};
    for (unsigned reg = 0; reg < kShown; ++reg)
        all.push_back(set(reg, kNumbers[reg]));
    all.insert(all.end(), instructions.begin(), instructions.end());
    for (unsigned reg = 0; reg < kShown; ++reg)
        all.push_back(store(8, 10, -16 - static_cast<int>(reg) * 8, reg));
    all.push_back(load(8, 1, 10, -8));
    for (unsigned reg = 0; reg < kShown; ++reg) {
        all.push_back(load(8, 2, 10, -16 - static_cast<int>(reg) * 8));
        all.push_back(store(8, 1, kFrame + static_cast<int>(reg) * 8, 2));
    }
    all.insert(all.end(), {set(0, 2), leave()});
    return all;
}

bool is_machine_code(const Instructions& instructions) {
    return loaded(instructions, Execution::automatic)->is_machine_code();
}

constexpr std::array kOperations{alu::add, alu::sub, alu::mul, alu::div,  alu::or_, alu::and_,
                                 alu::lsh, alu::rsh, alu::mod, alu::xor_, alu::mov, alu::arsh};

TEST(Translation, CalculatesAsTheInterpreterDoesWithAnyTwoRegisters) {
    for (const unsigned width : {kAlu32, kAlu64}) {
        for (const unsigned operation : kOperations) {
            if (width == kAlu32 && operation == alu::arsh)
                continue;  // DPDK has none
            for (unsigned to = 0; to < kShown; ++to) {
                for (unsigned from = 0; from < kShown; ++from) {
                    const bool divides = operation == alu::div || operation == alu::mod;
                    if (divides && width == kAlu32 && kNumbers[from] < 0)
                        continue;  // not proved
                    SCOPED_TRACE(testing::Message() << width << " " << operation << " " << to << " " << from);
                    const auto instruction = make(width | operation | 8, to, from, 0, 0);
                    expect_alike(around({instruction}));
                    EXPECT_NE(is_machine_code(around({instruction})), is_mistranslated(instruction));
                }
            }
        }
    }
}

TEST(Translation, CalculatesAsTheInterpreterDoesWithConstants) {
    for (unsigned to = 0; to < kShown; ++to) {
        for (const unsigned width : {kAlu32, kAlu64}) {
            for (const unsigned operation : kOperations) {
                const bool shifts = operation == alu::lsh || operation == alu::rsh || operation == alu::arsh;
                if (width == kAlu32 && operation == alu::arsh)
                    continue;
                for (const int constant : {1, 31, 0, 127, 128, -1, -128, -129, 0x12345678}) {
                    const bool divides = operation == alu::div || operation == alu::mod;
                    if ((shifts && (constant < 0 || constant > 31)) ||
                        (divides && (constant == 0 || (width == kAlu32 && constant < 0))))
                        continue;  // not proved
                    const Instructions program = around({make(width | operation, to, 0, 0, constant)});
                    SCOPED_TRACE(testing::Message()
                                 << width << " " << operation << " " << to << " " << constant);
                    expect_alike(program);
                    EXPECT_TRUE(is_machine_code(program));
                }
            }
            SCOPED_TRACE(testing::Message() << width << " neg " << to);
            expect_alike(around({make(width | alu::neg, to, 0, 0, 0)}));
        }
        for (const int bits : {16, 32, 64})
            for (const unsigned to_big : {0U, 8U}) {
                SCOPED_TRACE(testing::Message() << bits << " " << to_big << " " << to);
                expect_alike(around({make(kAlu32 | alu::end | to_big, to, 0, 0, bits)}));
            }
    }
}

TEST(Translation, LoadsAndStoresAsTheInterpreterDoes) {
    for (const unsigned width : {1U, 2U, 4U, 8U}) {
        for (unsigned reg = 0; reg < kShown; ++reg) {
            for (const int at : {-104, -128, -136, -504}) {
                expect_alike(
                    around({store(8, 10, at & ~7, 0), store(width, 10, at, reg), load(width, reg, 10, at)}));
                expect_alike(around({make(kStoreConstant | kMemory | size_code(width), 10, 0, at, -3),
                                     load(width, reg, 10, at)}));
            }
        }
    }
    for (const int second : {0, 1, -1}) {
        for (unsigned reg = 0; reg < kShown; ++reg) {
            Instructions wide_load = wide(reg, 0x12345678);
            wide_load[1].immediate = second;
            expect_alike(around(wide_load));
        }
    }
}

constexpr std::array kComparisons{jump::eq,  jump::gt, jump::ge, jump::set, jump::ne, jump::sgt,
                                  jump::sge, jump::lt, jump::le, jump::slt, jump::sle};

TEST(Translation, ComparesAsTheInterpreterDoes) {
    for (const unsigned comparison : kComparisons) {
        for (unsigned reg = 0; reg < kShown; ++reg) {
            for (const int constant : {0, 1, 14, 33, 127, 128, -1, -2, -129, 0x7ffffff1})
                expect_alike(around({jump_if(comparison, reg, constant, 1), set(9, 4711)}));
            for (unsigned other = 0; other < kShown; ++other)
                expect_alike(
                    around({make(kJump | comparison | 8, reg, other, 1, 0), set((reg + 1) % kShown, 4711)}));
        }
    }
}

// What DPDK gets wrong runs as it should, interpreted.
TEST(Translation, IsNotUsedWhereItIsWrong) {
    const std::array<Instructions, 6> wrong{{
        around({jump_if(jump::set, 2, 14, 1), set(9, 4711)}),  // test with a constant of one byte
        around({with_register(alu::lsh, 2, 2)}),               // shifts r4
        around({with_register(alu::div, 0, 0)}),               // divides by a temporary register
        around({with_register(alu::mod, 3, 3)}),               //
        around({make(kAlu32 | alu::div | 8, 5, 6, 0, 0)}),     // half of r0 is lost
        around({make(kAlu32 | alu::mod | 8, 2, 2, 0, 0)}),
    }};
    for (size_t i = 0; i < wrong.size(); ++i) {
        SCOPED_TRACE(i);
        EXPECT_FALSE(is_machine_code(wrong[i]));
        expect_alike(wrong[i]);
    }
    EXPECT_TRUE(is_machine_code(around({jump_if(jump::set, 2, 140, 1), set(9, 4711)})));
    EXPECT_TRUE(is_machine_code(around({with_register(alu::lsh, 4, 4)})));
    EXPECT_TRUE(is_machine_code(around({make(kAlu32 | alu::div | 8, 0, 6, 0, 0)})));
}

// Jumps of many distances, kept registers, locals and returns. Now and then the translator stops too early
// and leaves jumps that lead beside their targets.
Instructions with_jumps(uint32_t seed) {
    std::mt19937 random(seed);
    const auto below = [&](uint32_t limit) { return static_cast<int>(random() % limit); };
    Instructions all{load(1, 2, 1, kFrame), set(0, 1)};
    const int kept = below(4);
    for (int i = 0; i < kept; ++i)
        all.push_back(set(6 + static_cast<unsigned>(i), 9));
    if (below(2) != 0)
        all.push_back(store(8, 10, -8, 2));
    const int blocks = 2 + below(12);
    for (int block = 0; block < blocks; ++block) {
        const int fillers = below(40);
        const bool returns = below(4) == 0;
        all.push_back(jump_if(jump::ne, 2, below(256), fillers + (returns ? 2 : 1)));
        for (int i = 0; i < fillers; ++i)
            all.push_back(with(alu::add, 3 - 3, 3));
        all.push_back(with(alu::xor_, 0, 1));
        if (returns)
            all.push_back(leave());
    }
    all.insert(all.end(), {store(8, 1, kFrame + 8, 0), leave()});
    return all;
}

TEST(Translation, JumpsWhereItShould) {
    size_t translated = 0;
    constexpr uint32_t kPrograms = 1000;
    for (uint32_t seed = 0; seed < kPrograms; ++seed) {
        const auto instructions = with_jumps(seed);
        const auto automatic = loaded(instructions, Execution::automatic);
        const auto interpreted = loaded(instructions, Execution::interpreted);
        translated += automatic->is_machine_code() ? 1 : 0;
        for (unsigned first = 0; first < 256; first += 5) {
            std::vector<uint8_t> frame(64);
            frame[0] = static_cast<uint8_t>(first);
            ASSERT_EQ(run(*automatic, frame), run(*interpreted, frame)) << seed << " " << first;
        }
    }
    EXPECT_GT(translated, kPrograms * 99 / 100);  // in the end
}

}  // namespace
}  // namespace sluice::bpf
