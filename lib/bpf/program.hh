// A program that has been read, linked, proved and translated to machine code.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hh"
#include "bpf/helper.hh"
#include "bpf/object.hh"
#include "bpf/packet.hh"
#include "bpf/verify.hh"

struct rte_bpf;

namespace sluice::bpf {

// What a program says of a packet, as XDP numbers it. Any other number counts as aborted.
enum class Verdict : uint8_t { aborted, drop, pass, tx, redirect };
inline constexpr size_t kVerdicts = 5;
std::string_view to_string(Verdict verdict);

// What a symbol of the program means, or why it means nothing.
using Resolve = std::function<Expected<Handle>(std::string_view symbol)>;

// How programs are executed: machine code where there is a translator for this processor that puts the
// program right.
enum class Execution : uint8_t { automatic, interpreted };

class Program {
  public:
    // Control thread. The helpers' functions are called with the first argument as Run::of() takes it.
    static Expected<std::shared_ptr<const Program>> load(const Code& code, std::span<const Helper> helpers,
                                                         const Resolve& resolve,
                                                         Execution execution = Execution::automatic);
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    // Asks it about a packet: the view's other members are filled, its frame is copied as far as the program
    // looks. Any thread, each with a Run of its own. Costs no more than the program's length.
    [[nodiscard]] Verdict operator()(Run& run, std::span<const uint8_t> frame) const {
        fill(run.packet, frame);
        const uint64_t said = machine_code_ != nullptr ? machine_code_(&run.packet) : interpret(run);
        const uint64_t low = said & 0xffffffff;  // the program returns an int
        return low < kVerdicts ? static_cast<Verdict>(low) : Verdict::aborted;
    }
    // Puts what the program has changed back into the frame it was given.
    void write_back(const Run& run, std::span<uint8_t> frame) const;

    [[nodiscard]] bool changes_packets() const { return facts_.writes; }
    // So many of the first bytes of a frame are copied, at most kFrameBytes.
    [[nodiscard]] uint32_t window() const { return window_; }
    [[nodiscard]] bool is_machine_code() const { return machine_code_ != nullptr; }
    [[nodiscard]] size_t instructions() const { return instructions_; }

  private:
    Program() = default;
    // Takes machine code if it is right.
    void translate(std::vector<Instruction> instructions, std::span<const Helper> helpers);
    void fill(PacketView& view, std::span<const uint8_t> frame) const;
    [[nodiscard]] uint64_t interpret(Run& run) const;

    rte_bpf* loaded_ = nullptr;
    uint64_t (*machine_code_)(void*) = nullptr;
    uint32_t window_ = 0;  // a multiple of kStep
    Facts facts_;
    size_t instructions_ = 0;
};

}  // namespace sluice::bpf
