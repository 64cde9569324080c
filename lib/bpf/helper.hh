// What a program may ask of the one who runs it: functions, and things they are about.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace sluice::bpf {

// What a symbol stands for: a set, a counter... `kinds` are bits of whoever runs the program; a function
// takes a thing with one of the bits that its parameter names.
struct Handle {
    uint32_t kinds = 0;
    uint32_t number = 0;
    bool operator==(const Handle&) const = default;
};

// A parameter behind the first: a number, or a thing of these kinds.
struct Parameter {
    uint32_t kinds = 0;  // 0: any number
};

using HelperFunction = uint64_t (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

// A function as translated programs may call it: the code that DPDK makes for x86 does not keep the stack
// aligned as the calling convention has it.
template <HelperFunction kFunction>
#if defined(__x86_64__)
[[gnu::force_align_arg_pointer]]
#endif
uint64_t entry(uint64_t packet, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    return kFunction(packet, a, b, c, d);
}

// The first argument is always the program's own, so that a function finds what it works on.
struct Helper {
    std::string_view name;
    HelperFunction function = nullptr;  // an entry<>
    std::vector<Parameter> parameters;  // at most four
    bool changes_packet = false;
};

}  // namespace sluice::bpf
