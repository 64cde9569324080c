// The whole content of a set: replaced by flush, load and swap, changed in place by all else.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "sets/part.hh"
#include "sets/set.hh"

namespace sluice::sets {

class Body {
  public:
    // `expected`: elements to come soon, by family.
    Body(const SetOptions& options, uint64_t seed, const std::array<size_t, 2>& expected);

    static constexpr size_t kParts = 2;
    static constexpr size_t place_of(Family family) { return family == Family::ip4 ? 0 : 1; }

    [[nodiscard]] Part& part(size_t place) { return *parts_[place]; }
    [[nodiscard]] const Part& part(size_t place) const { return *parts_[place]; }
    [[nodiscard]] Part& part(Family family) { return *parts_[place_of(family)]; }
    [[nodiscard]] const Part& part(Family family) const { return *parts_[place_of(family)]; }
    [[nodiscard]] View view(Instant now) const { return {epoch_.load(std::memory_order_acquire), now}; }

    // ── The writer, under the lock ──
    [[nodiscard]] SpinLock& lock() const { return lock_; }
    [[nodiscard]] uint32_t epoch() const { return epoch_.load(std::memory_order_relaxed); }
    // All that was born or dies in the next epoch takes effect.
    void commit() { epoch_.store(epoch() + 1, std::memory_order_release); }
    // Counts one more; false if `size` are there already.
    bool take_place();
    void give_place(size_t count) {
        count_.fetch_sub(static_cast<uint32_t>(count), std::memory_order_relaxed);
    }
    [[nodiscard]] size_t count() const { return count_.load(std::memory_order_relaxed); }
    // What an element begins with when it is added now.
    [[nodiscard]] Start start(std::optional<Duration> timeout, Instant now);
    [[nodiscard]] bool has_times() const { return has_times_.load(std::memory_order_relaxed); }
    void note_times() {
        if (!has_times())
            has_times_.store(true, std::memory_order_relaxed);
    }

    // Control thread.
    void set_comment(size_t place, uint32_t record, std::string comment);
    void forget_comment(size_t place, uint32_t record) { comments_.erase(key(place, record)); }
    [[nodiscard]] std::string_view comment(size_t place, uint32_t record) const;
    [[nodiscard]] ElementStatus status(size_t place, uint32_t record, Instant now) const;
    [[nodiscard]] const SetOptions& options() const { return options_; }
    [[nodiscard]] size_t memory_bytes() const;

  private:
    static uint64_t key(size_t place, uint32_t record) { return uint64_t{place} << 32 | record; }

    SetOptions options_;
    std::array<std::unique_ptr<Part>, kParts> parts_;
    std::atomic<uint32_t> epoch_{1};
    std::atomic<uint32_t> count_{0};
    std::atomic<bool> has_times_{false};
    mutable SpinLock lock_;
    std::unordered_map<uint64_t, std::string> comments_;
};

}  // namespace sluice::sets
