// Fuzzes programs: the reader of object files, the proof, and what was proved to do no harm. Needs
// sluice_bpf.
//
// An input that begins as an object file is one; any other is instructions, of which calls and wide loads are
// taken as linked. What is accepted runs, with an inaccessible page behind its memory; translated and
// interpreted it does the same.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

#include "bpf/object.hh"
#include "bpf/program.hh"

namespace {

using namespace sluice;

constexpr uint32_t kThing = 1;

void require(bool truth) {
    if (!truth) {
        __builtin_trap();
    }
}

// A run whose packet ends where its memory ends.
bpf::Run& guarded_run() {
    static bpf::Run* const run = [] {
        const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        void* const pages =
            mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        require(pages != MAP_FAILED);
        auto* const end = static_cast<uint8_t*>(pages) + page;
        require(mprotect(end, page, PROT_NONE) == 0);
        static_assert(sizeof(bpf::Run) % alignof(bpf::Run) == 0);
        return new (end - sizeof(bpf::Run)) bpf::Run;
    }();
    return *run;
}

uint64_t helped(uint64_t packet, uint64_t number, uint64_t, uint64_t, uint64_t) {
    require(bpf::Run::of(packet).host == &guarded_run());
    return number;
}

uint64_t handed(uint64_t packet, uint64_t thing, uint64_t, uint64_t, uint64_t) {
    require(bpf::Run::of(packet).host == &guarded_run() && thing == 7);
    return thing;
}

const std::vector<bpf::Helper>& helpers() {
    static const std::vector<bpf::Helper> all{
        {"sluice_load", bpf::entry<helped>, {{}, {}}},
        {"sluice_set_contains_port", bpf::entry<handed>, {{kThing}, {}}},
        {"sluice_set_contains_source", bpf::entry<handed>, {{kThing}}},
        {"sluice_count", bpf::entry<handed>, {{kThing}}, true},
    };
    return all;
}

bpf::Code instructions_of(std::span<const uint8_t> bytes) {
    bpf::Code code;
    code.instructions.resize(std::min(bytes.size() / sizeof(bpf::Instruction), bpf::kMaxInstructions));
    if (!code.instructions.empty())
        std::memcpy(code.instructions.data(), bytes.data(),
                    code.instructions.size() * sizeof(bpf::Instruction));
    for (uint32_t at = 0; at < code.instructions.size(); ++at) {
        const auto& instruction = code.instructions[at];
        if (instruction.code == (bpf::kJump | bpf::jump::call))
            code.references.push_back(
                {at, true, std::string(helpers()[static_cast<size_t>(instruction.immediate) % 4].name)});
        // Odd constants are things.
        if (instruction.code == bpf::kLoadWide && (instruction.immediate & 1) != 0 &&
            at + 1 < code.instructions.size())
            code.references.push_back({at, false, "thing"});
    }
    return code;
}

struct Ended {
    bpf::Verdict verdict{};
    std::vector<uint8_t> frame;
    bool operator==(const Ended&) const = default;
};

Ended ended(const bpf::Program& program, std::span<const uint8_t> frame) {
    auto& run = guarded_run();
    run.packet = {};
    run.host = &run;
    Ended ended{.frame = {frame.begin(), frame.end()}};
    ended.verdict = program(run, ended.frame);
    require(run.host == &run);
    program.write_back(run, ended.frame);
    require(program.changes_packets() ||
            std::equal(frame.begin(), frame.end(), ended.frame.begin(), ended.frame.end()));
    return ended;
}

void run(const bpf::Code& code, std::span<const uint8_t> frame) {
    const auto resolve = [](std::string_view) -> Expected<bpf::Handle> {
        return bpf::Handle{.kinds = kThing, .number = 7};
    };
    const auto program = bpf::Program::load(code, helpers(), resolve);
    if (!program)
        return;
    const Ended translated = ended(**program, frame);
    if (!(*program)->is_machine_code())
        return;
    const auto interpreted = bpf::Program::load(code, helpers(), resolve, bpf::Execution::interpreted);
    require(interpreted && ended(**interpreted, frame) == translated);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span<const uint8_t> input(data, size);
    const auto frame = input.first(std::min<size_t>(size, 300));
    if (size >= 4 && std::memcmp(data,
                                 "\x7f"
                                 "ELF",
                                 4) == 0) {
        if (const auto code = bpf::read_object(input, "xdp"))
            run(*code, frame);
        return 0;
    }
    run(instructions_of(input), frame);
    return 0;
}
