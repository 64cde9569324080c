// Programs as they run: what they see and change, translated and interpreted; the examples of conf/bpf.
#include "bpf/program.hh"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <optional>

#include "bpf/assembler.hh"

namespace sluice::bpf {
namespace {

using namespace assembler;

constexpr uint32_t kThing = 1;
constexpr int kFrame = offsetof(PacketView, frame);

// What helpers were called with.
struct Host {
    std::array<uint64_t, 4> arguments{};
    int calls = 0;
};

uint64_t note(uint64_t packet, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    auto& host = *static_cast<Host*>(Run::of(packet).host);
    host.arguments = {a, b, c, d};
    ++host.calls;
    return a + b;
}

// How far the stack is from where the calling convention has it. The compiler must not know that this does
// not mind.
__attribute__((noipa)) uint64_t misalignment(uint64_t packet, uint64_t, uint64_t, uint64_t, uint64_t) {
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) % 16;
    static_cast<Host*>(Run::of(packet).host)->arguments[0] = frame;
    return 0;
}

const std::vector<Helper>& helpers() {
    static const std::vector<Helper> all{
        {.name = "note", .function = entry<note>, .parameters = {{}, {}, {}, {}}},
        {.name = "note_thing", .function = entry<note>, .parameters = {{kThing}}, .changes_packet = true},
        {.name = "misalignment", .function = entry<misalignment>, .parameters = {}},
    };
    return all;
}

Expected<Handle> no_symbols(std::string_view symbol) {
    return fail("there is no " + std::string(symbol));
}

struct Ended {
    Verdict verdict{};
    std::vector<uint8_t> frame;
    Host host;
};

Ended run(const bpf::Program& program, std::vector<uint8_t> frame) {
    Ended ended;
    Run run;
    run.host = &ended.host;
    run.packet.now = 77;
    run.packet.l3 = 14;
    ended.verdict = program(run, frame);
    program.write_back(run, frame);
    ended.frame = std::move(frame);
    return ended;
}

class Executions : public testing::TestWithParam<Execution> {
  protected:
    static std::shared_ptr<const bpf::Program> load(std::vector<Instruction> instructions,
                                                    std::vector<Reference> references = {},
                                                    const Resolve& resolve = no_symbols) {
        auto program =
            Program::load({std::move(instructions), std::move(references)}, helpers(), resolve, GetParam());
        if (!program)
            throw std::runtime_error(program.error().text());
        EXPECT_EQ((*program)->is_machine_code(), GetParam() == Execution::automatic);
        return *program;
    }
};

std::vector<uint8_t> counting(size_t size) {
    std::vector<uint8_t> frame(size);
    std::iota(frame.begin(), frame.end(), uint8_t{1});
    return frame;
}

TEST_P(Executions, GiveTheVerdict) {
    for (int said = 0; said < 7; ++said) {
        const auto program = load({set(0, said), leave()});
        const auto expected = said < 5 ? static_cast<Verdict>(said) : Verdict::aborted;
        EXPECT_EQ(run(*program, counting(60)).verdict, expected);
    }
    EXPECT_EQ(run(*load({set(0, -1), leave()}), counting(60)).verdict, Verdict::aborted);
}

TEST_P(Executions, SeeTheFrameAndZeroBehindIt) {
    for (const size_t size : {1, 20, 31, 32, 33, 63, 64, 65, 200, 255, 256, 257, 1500}) {
        for (const size_t at : {size_t{0}, size / 2, size - 1, size, size_t{255}}) {
            if (at >= kFrameBytes)
                continue;
            const auto program =
                load({copy(6, 1), assembler::load(1, 3, 1, kFrame + static_cast<int>(at)), copy(1, 6),
                      copy(2, 3), set(3, 0), set(4, 0), set(5, 0), call(-1), set(0, 2), leave()},
                     {{7, true, "note"}});
            const uint64_t expected = at < size ? counting(size)[at] : 0;
            EXPECT_EQ(run(*program, counting(size)).host.arguments[0], expected) << size << " " << at;
        }
    }
}

TEST_P(Executions, SeeNothingOfTheFrameBefore) {
    Host host;
    bpf::Run asked;
    asked.host = &host;
    for (const size_t at : {size_t{20}, size_t{33}, size_t{95}, size_t{255}}) {
        const auto program = load({assembler::load(1, 2, 1, kFrame + static_cast<int>(at)), set(3, 0),
                                   set(4, 0), set(5, 0), call(-1), set(0, 2), leave()},
                                  {{4, true, "note"}});
        for (const size_t size : std::array<size_t, 8>{256, 1, 20, 256, 33, 64, 256, 95}) {
            const auto frame = counting(size);
            ASSERT_EQ((*program)(asked, frame), Verdict::pass);
            EXPECT_EQ(host.arguments[0], at < size ? frame[at] : 0) << size << " " << at;
        }
    }
}

TEST_P(Executions, SeeWhatIsSaidOfThePacket) {
    const auto program =
        load({copy(6, 1), assembler::load(8, 2, 1, offsetof(PacketView, now)),
              assembler::load(4, 3, 1, offsetof(PacketView, length)),
              assembler::load(2, 4, 1, offsetof(PacketView, l3)), set(5, 0), call(-1), set(0, 2), leave()},
             {{5, true, "note"}});
    const auto ended = run(*program, counting(123));
    EXPECT_EQ(ended.host.arguments, (std::array<uint64_t, 4>{77, 123, 14, 0}));
    EXPECT_FALSE(program->changes_packets());
    EXPECT_EQ(program->window(), 0);
}

TEST_P(Executions, ChangeOnlyTheFrame) {
    const auto program = load({set(2, 0x5a), assembler::store(1, 1, kFrame + 3, 2),
                               assembler::store(1, 1, kFrame + 100, 2), set(0, 3), leave()});
    EXPECT_TRUE(program->changes_packets());
    auto expected = counting(60);
    expected[3] = 0x5a;
    EXPECT_EQ(run(*program, counting(60)).frame, expected);  // what is behind the end is lost
    expected = counting(300);
    expected[3] = expected[100] = 0x5a;
    EXPECT_EQ(run(*program, counting(300)).frame, expected);
}

TEST_P(Executions, HandOverHandles) {
    const auto resolve = [](std::string_view symbol) -> Expected<Handle> {
        return Handle{.kinds = kThing, .number = symbol == "first" ? 7U : 9U};
    };
    const auto program = load(join({{assembler::load(1, 3, 1, kFrame)},
                                    wide(2, 0),
                                    {jump_if(jump::eq, 3, 1, 2)},
                                    wide(2, 0),
                                    {call(-1), set(0, 2), leave()}}),
                              {{1, false, "first"}, {4, false, "second"}, {6, true, "note_thing"}}, resolve);
    EXPECT_EQ(run(*program, {1}).host.arguments[0], 7);
    EXPECT_EQ(run(*program, {2}).host.arguments[0], 9);
    EXPECT_TRUE(program->changes_packets());  // the function may
}

// Both the compiled and the interpreted form calculate as the machine does.
TEST_P(Executions, CalculateAlike) {
    const auto result_of = [&](std::vector<Instruction> calculation) {
        std::vector<Instruction> all{copy(6, 1)};
        all.insert(all.end(), calculation.begin(), calculation.end());
        const auto at = static_cast<uint32_t>(all.size()) + 4;
        all.insert(all.end(), {copy(1, 6), set(3, 0), set(4, 0), set(5, 0), call(-1), set(0, 2), leave()});
        return run(*load(all, {{at, true, "note"}}), counting(60)).host.arguments[0];
    };
    EXPECT_EQ(result_of({set(2, -1), with(alu::rsh, 2, 60)}), 15);
    EXPECT_EQ(result_of({set(2, -16), with(alu::arsh, 2, 2)}), static_cast<uint64_t>(-4));
    EXPECT_EQ(result_of({set(2, -1), half_with(alu::add, 2, 2)}), 1);
    EXPECT_EQ(result_of({set(2, 0x1234), make(kAlu32 | alu::end | 8, 2, 0, 0, 16)}), 0x3412);
    EXPECT_EQ(result_of({set(2, 100), set(3, 7), with_register(alu::mod, 2, 3)}), 2);
    EXPECT_EQ(result_of({set(2, 5), assembler::store(8, 10, -8, 2), assembler::load(8, 2, 10, -8)}), 5);
}

// However many registers the program keeps over a call.
TEST_P(Executions, CallWithTheStackAligned) {
    for (unsigned kept = 0; kept <= 4; ++kept) {
        for (const bool has_locals : {false, true}) {
            std::vector<Instruction> all;
            for (unsigned reg = 6; reg < 6 + kept; ++reg)
                all.push_back(set(reg, 1));
            if (has_locals)
                all.insert(all.end(), {set(2, 1), assembler::store(8, 10, -8, 2)});
            all.insert(all.end(), {call(-1), set(0, 2), leave()});
            const auto at = static_cast<uint32_t>(all.size() - 3);
            EXPECT_EQ(run(*load(all, {{at, true, "misalignment"}}), counting(60)).host.arguments[0], 0)
                << kept << has_locals;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Both, Executions, testing::Values(Execution::automatic, Execution::interpreted));

std::string refusal(std::vector<Instruction> instructions, std::vector<Reference> references = {}) {
    const auto program =
        Program::load({std::move(instructions), std::move(references)}, helpers(), no_symbols);
    return program ? "" : program.error().text();
}

TEST(Program, IsRefusedForWhatItNames) {
    EXPECT_EQ(refusal({call(-1), leave()}, {{0, true, "bpf_map_lookup"}}),
              "there is no function 'bpf_map_lookup' (expected the functions of sluice_bpf.h)");
    EXPECT_EQ(refusal(join({wide(2, 0), {set(0, 2), leave()}}), {{0, false, "strange"}}),
              "there is no strange");
}

// DPDK follows fewer programs than the proof does, and says why.
TEST(Program, IsRefusedByDpdkInItsWords) {
    const auto said = refusal({set(2, 1), assembler::store(4, 10, -8, 2), assembler::store(4, 10, -4, 2),
                               assembler::load(8, 3, 10, -8), set(0, 2), leave()});
    EXPECT_TRUE(said.starts_with("DPDK refuses the program: ")) << said;
    EXPECT_NE(said.find("pc:"), std::string::npos) << said;
}

TEST(Program, OfTheGreatestLengthRuns) {
    std::vector<Instruction> all(kMaxInstructions - 1, set(0, 2));
    all.push_back(leave());
    EXPECT_EQ(refusal(all), "");
}

}  // namespace
}  // namespace sluice::bpf
