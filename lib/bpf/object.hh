// The object file a compiler makes of a program (`clang -target bpf`): a relocatable ELF file. Whatever the
// bytes are, reading them gives code or an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hh"
#include "bpf/instruction.hh"

namespace sluice::bpf {

inline constexpr size_t kMaxInstructions = 4096;
inline constexpr size_t kMaxObjectBytes = 1U << 24;

// A symbol that an instruction means and that is not in the object.
struct Reference {
    uint32_t at = 0;  // the instruction: a call, or the first half of a wide load
    bool is_call = false;
    std::string symbol;
    bool operator==(const Reference&) const = default;
};

// The instructions of a section, not yet linked.
struct Code {
    std::vector<Instruction> instructions;
    std::vector<Reference> references;  // by `at`
};

// The code in a section of an object.
Expected<Code> read_object(std::span<const uint8_t> object, std::string_view section);

}  // namespace sluice::bpf
