// Programs of early rules: read and bound to what they name when a configuration is checked and compiled,
// asked about packets by the stage.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.hh"
#include "base/interface_id.hh"
#include "bpf/program.hh"
#include "filter/compiled_rule.hh"
#include "filter/packet.hh"
#include "filter/rule.hh"
#include "filter/rule_check.hh"
#include "filter/ruleset_state.hh"

namespace sluice::filter {

// What a program may name, of each kind.
inline constexpr size_t kMaxProgramSymbols = 64;
inline constexpr size_t kMaxProgramLimits = 8;

// A program and what it names, each in the order of its numbers.
struct LoadedProgram {
    std::shared_ptr<const bpf::Program> program;
    std::vector<std::string> sets;
    bool asks_source = false;  // it may look the packet's own addresses up in sets
    bool asks_destination = false;
    std::vector<InterfaceId> interfaces;
    std::vector<std::string> counters;
    std::vector<Limit> limits;
};

// By the rule's name.
using LoadedPrograms = std::map<std::string, LoadedProgram, std::less<>>;

// Reads the program of a rule that has one.
Expected<LoadedProgram> load_program(const Rule& rule, const KnownNames& known);
// Those of all early rules; what is wrong goes to `problems`, at its rule.
LoadedPrograms load_programs(const Rulebook& book, const KnownNames& known, config::Problems& problems);

// Which programs look into which sets, besides set_uses().
void add_set_uses(const LoadedPrograms& programs, std::vector<sets::SetUse>& uses);

// Labels that count a verdict of a rule's program, and what the program itself counts.
std::string verdict_label(std::string_view rule, bpf::Verdict verdict);
std::string program_counter_label(std::string_view rule, std::string_view counter);

struct ProgramAnswer {
    bpf::Verdict verdict = bpf::Verdict::aborted;
    InterfaceId redirect = kNoInterface;  // of redirect; a program that named none has aborted
    bool changed = false;                 // the frame may be another now
};

// What a program said of packets, to be counted together.
struct VerdictTally {
    std::array<uint64_t, bpf::kVerdicts> packets{};
    std::array<uint64_t, bpf::kVerdicts> bytes{};

    void add(bpf::Verdict verdict, uint32_t length) {
        ++packets[static_cast<size_t>(verdict)];
        bytes[static_cast<size_t>(verdict)] += length;
    }
    void count(const CompiledProgram& program, RuleCounters& counters, Instant now) const {
        for (size_t verdict = 0; verdict < bpf::kVerdicts; ++verdict)
            if (packets[verdict] != 0)
                counters.count(program.verdicts[verdict], packets[verdict], bytes[verdict], now);
    }
};

// What sets of a program say of the addresses of a burst, all asked before the program is: by the sets'
// numbers, a bit for each packet.
struct ProgramLookups {
    uint64_t by_source = 0;  // a bit for each set that was asked
    uint64_t by_destination = 0;
    std::array<uint64_t, kMaxProgramSymbols> sources;
    std::array<uint64_t, kMaxProgramSymbols> destinations;
};

}  // namespace sluice::filter
