#include "bpf/program.hh"

#include <rte_bpf.h>
#include <rte_errno.h>
#include <rte_log.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <utility>

#include "bpf/translation.hh"

namespace sluice::bpf {
namespace {

constexpr size_t kStep = 32;  // frames are copied in such pieces
static_assert(kFrameBytes % kStep == 0 && sizeof(Instruction) == sizeof(ebpf_insn));

// Swaps to little end cut a number to its lower bytes. On a little-endian machine DPDK's interpreter leaves
// all of it, so they are put as something that it does.
void replace_cuts(std::vector<Instruction>& instructions) {
    for (Instruction& instruction : instructions) {
        if (instruction.code != (kAlu32 | alu::end) || std::endian::native != std::endian::little)
            continue;
        const bool is_plain = instruction.source() == 0 && instruction.offset == 0;
        const auto reg = static_cast<uint8_t>(instruction.destination());
        if (is_plain && instruction.immediate == 16)
            instruction = {kAlu64 | alu::and_, reg, 0, 0xffff};
        else if (is_plain && instruction.immediate == 32)
            instruction = {kAlu32 | alu::mov | kByRegister, static_cast<uint8_t>(reg | reg << 4), 0, 0};
    }
}

Expected<LinkedCode> link(const Code& code, std::span<const Helper> helpers, const Resolve& resolve) {
    LinkedCode linked{.instructions = code.instructions, .calls = {}, .handles = {}};
    for (const Reference& reference : code.references) {
        auto& instruction = linked.instructions[reference.at];
        if (reference.is_call) {
            const auto helper = std::ranges::find(helpers, reference.symbol, &Helper::name);
            if (helper == helpers.end())
                return fail("there is no function '" + reference.symbol + "'",
                            "expected the functions of sluice_bpf.h");
            instruction.immediate = static_cast<int32_t>(helper - helpers.begin());
            instruction.registers = 0;
            linked.calls.push_back(reference.at);
            continue;
        }
        const auto handle = resolve(reference.symbol);
        if (!handle)
            return std::unexpected(handle.error());
        instruction.immediate = static_cast<int32_t>(handle->number);
        linked.instructions[reference.at + 1].immediate = 0;
        linked.handles.push_back({reference.at, *handle});
    }
    replace_cuts(linked.instructions);
    return linked;
}

std::vector<rte_bpf_xsym> functions_of(std::span<const Helper> helpers) {
    const rte_bpf_arg number{.type = RTE_BPF_ARG_RAW, .size = sizeof(uint64_t), .buf_size = 0};
    const rte_bpf_arg packet{.type = RTE_BPF_ARG_PTR, .size = sizeof(PacketView), .buf_size = 0};
    std::vector<rte_bpf_xsym> symbols;
    for (const Helper& helper : helpers) {
        rte_bpf_xsym symbol{};
        symbol.name = helper.name.data();
        symbol.type = RTE_BPF_XTYPE_FUNC;
        symbol.func.val = helper.function;
        symbol.func.nb_args = static_cast<uint32_t>(helper.parameters.size() + 1);
        symbol.func.args[0] = packet;
        for (size_t i = 1; i <= helper.parameters.size(); ++i)
            symbol.func.args[i] = number;
        symbol.func.ret = number;
        symbols.push_back(symbol);
    }
    return symbols;
}

// Collects what DPDK logs while it lives: the only place where it says why it refuses a program. The stream
// stays for ever, since a thread that logs at this moment may have it in its hand.
class LogCatcher {
  public:
    LogCatcher() : former_(rte_log_get_stream()) {
        if (stream() == nullptr)
            return;
        flockfile(stream());
        heard().clear();
        funlockfile(stream());
        rte_openlog_stream(stream());
    }
    ~LogCatcher() {
        if (stream() != nullptr)
            rte_openlog_stream(former_ == stderr ? nullptr : former_);
    }
    LogCatcher(const LogCatcher&) = delete;
    LogCatcher& operator=(const LogCatcher&) = delete;

    // What was logged, on one line.
    [[nodiscard]] std::string said() const {
        if (stream() == nullptr)
            return {};
        std::fflush(stream());
        flockfile(stream());
        std::string text = heard();
        funlockfile(stream());
        while (!text.empty() && text.back() == '\n')
            text.pop_back();
        std::ranges::replace(text, '\n', ' ');
        return text;
    }

  private:
    static std::string& heard() {
        static std::string text;
        return text;
    }
    static ssize_t hear(void*, const char* bytes, size_t size) {
        constexpr size_t kMost = 4096;
        heard().append(bytes, std::min(size, kMost - std::min(heard().size(), kMost)));
        return static_cast<ssize_t>(size);
    }
    static FILE* stream() {
        static FILE* const opened =
            fopencookie(nullptr, "w", {.read = nullptr, .write = hear, .seek = nullptr, .close = nullptr});
        return opened;
    }

    FILE* former_;
};

Expected<rte_bpf*> load_linked(std::span<const Instruction> instructions, std::span<const Helper> helpers) {
    const auto symbols = functions_of(helpers);
    rte_bpf_prm parameters{};
    parameters.ins = reinterpret_cast<const ebpf_insn*>(instructions.data());
    parameters.nb_ins = static_cast<uint32_t>(instructions.size());
    parameters.xsym = symbols.data();
    parameters.nb_xsym = static_cast<uint32_t>(symbols.size());
    parameters.prog_arg = {.type = RTE_BPF_ARG_PTR, .size = sizeof(PacketView), .buf_size = 0};
    LogCatcher log;
    rte_bpf* const loaded = rte_bpf_load(&parameters);
    const int error = rte_errno;
    const std::string said = log.said();
    if (loaded == nullptr)
        return fail("DPDK refuses the program: " + (said.empty() ? rte_strerror(error) : said),
                    "expected a program compiled with -mcpu=v2");
    return loaded;
}

}  // namespace

std::string_view to_string(Verdict verdict) {
    constexpr std::array<std::string_view, kVerdicts> kNames{"aborted", "drop", "pass", "tx", "redirect"};
    return kNames[static_cast<size_t>(verdict)];
}

Expected<std::shared_ptr<const Program>> Program::load(const Code& code, std::span<const Helper> helpers,
                                                       const Resolve& resolve, Execution execution) {
    const auto linked = link(code, helpers, resolve);
    if (!linked)
        return std::unexpected(linked.error());
    const auto facts =
        verify(*linked, helpers, {.size = sizeof(PacketView), .writable_from = offsetof(PacketView, frame)});
    if (!facts)
        return std::unexpected(facts.error());
    const auto loaded = load_linked(linked->instructions, helpers);
    if (!loaded)
        return std::unexpected(loaded.error());
    std::shared_ptr<Program> program(new Program);
    program->loaded_ = *loaded;
    program->facts_ = *facts;
    program->instructions_ = code.instructions.size();
    constexpr uint32_t kBefore = offsetof(PacketView, frame);
    const uint32_t frame_bytes = facts->reach > kBefore ? facts->reach - kBefore : 0;
    program->window_ = static_cast<uint32_t>((frame_bytes + kStep - 1) / kStep * kStep);
    if (execution == Execution::automatic)
        program->translate(linked->instructions, helpers);
    return program;
}

void Program::translate(std::vector<Instruction> instructions, std::span<const Helper> helpers) {
    if (std::ranges::any_of(instructions, is_mistranslated))
        return;
    // With a jump to what follows in front, lengths that were alike by chance are so no more.
    constexpr Instruction kStepOn{.code = kJump | jump::always};
    constexpr int kAttempts = 4;
    for (int attempt = 1;; ++attempt) {
        rte_bpf_jit translated{};
        if (rte_bpf_get_jit(loaded_, &translated) != 0 || translated.func == nullptr)
            return;
        if (leads_right(instructions, {reinterpret_cast<const uint8_t*>(translated.func), translated.sz})) {
            machine_code_ = translated.func;
            return;
        }
        if (attempt == kAttempts)
            return;
        instructions.insert(instructions.begin(), kStepOn);
        const auto loaded = load_linked(instructions, helpers);
        if (!loaded)
            return;
        rte_bpf_destroy(std::exchange(loaded_, *loaded));
    }
}

Program::~Program() {
    rte_bpf_destroy(loaded_);
}

void Program::fill(PacketView& view, std::span<const uint8_t> frame) const {
    view.length = static_cast<uint32_t>(frame.size());
    size_t at = 0;
    for (; at < window_ && at + kStep <= frame.size(); at += kStep)
        std::memcpy(view.frame + at, frame.data() + at, kStep);
    if (at >= window_)
        return;
    for (size_t behind = at; behind < window_; behind += kStep)
        std::memset(view.frame + behind, 0, kStep);
    // A frame that ends here: its last piece overlaps the one before it.
    if (frame.size() >= kStep)
        std::memcpy(view.frame + frame.size() - kStep, frame.data() + frame.size() - kStep, kStep);
    else
        std::memcpy(view.frame, frame.data(), frame.size());
}

void Program::write_back(const Run& run, std::span<uint8_t> frame) const {
    std::memcpy(frame.data(), run.packet.frame, std::min(frame.size(), size_t{window_}));
}

uint64_t Program::interpret(Run& run) const {
    return rte_bpf_exec(loaded_, &run.packet);
}

}  // namespace sluice::bpf
