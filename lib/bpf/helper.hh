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

// The first argument is always the program's own, so that a function finds what it works on.
struct Helper {
    std::string_view name;
    uint64_t (*function)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t) = nullptr;
    std::vector<Parameter> parameters;  // at most four
    bool changes_packet = false;
};

}  // namespace sluice::bpf
