// Asks memory for a line before it is needed. Any address may be given.
//
// A statement that the compiler keeps. Of its own builtin g++ 12 leaves nothing in functions that it does not
// inline early: since they change nothing, it takes calls of them for superfluous.
#pragma once

namespace sluice {

[[gnu::always_inline]] inline void prefetch_line(const void* line) {
#ifdef __x86_64__
    asm volatile("prefetcht0 %0" ::"m"(*static_cast<const char*>(line)));
#else
    __builtin_prefetch(line);
#endif
}

// For who will write it: other CPUs give it up. CPUs that do not know this skip it.
[[gnu::always_inline]] inline void prefetch_line_to_write(const void* line) {
#ifdef __x86_64__
    asm volatile("prefetchw %0" ::"m"(*static_cast<const char*>(line)));
#else
    __builtin_prefetch(line, 1);
#endif
}

}  // namespace sluice
