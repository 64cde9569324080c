// Randomness is an argument too: a seeded generator is passed to whatever needs chance, so that replay and
// simulation repeat to the byte.
#pragma once

#include <array>
#include <cstdint>

namespace sluice {

// xoshiro256** (Blackman and Vigna), seeded through splitmix64. Not for secrets.
class Random {
  public:
    explicit constexpr Random(uint64_t seed) {
        for (auto& word : state_) {
            seed += 0x9e3779b97f4a7c15U;
            uint64_t mixed = seed;
            mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
            mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
            word = mixed ^ (mixed >> 31);
        }
    }
    constexpr uint64_t next() {
        const uint64_t result = rotate(state_[1] * 5, 7) * 9;
        const uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = rotate(state_[3], 45);
        return result;
    }
    // Uniform in [0, bound); bound must not be 0. Multiplies instead of dividing.
    constexpr uint32_t below(uint32_t bound) { return static_cast<uint32_t>(((next() >> 32) * bound) >> 32); }

  private:
    static constexpr uint64_t rotate(uint64_t value, int by) { return (value << by) | (value >> (64 - by)); }
    std::array<uint64_t, 4> state_{};
};

}  // namespace sluice
