// The elements of one family in a set, as columns: their values, and only where needed their times and
// counters. A record's number is good until it was freed after a grace period. Fast path reads; one writer at
// a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "base/prefetch.hh"
#include "base/time.hh"
#include "sets/element.hh"
#include "sets/type.hh"
#include "table/zeroed_array.hh"

namespace sluice::sets {

// When a reader looks: the content it sees is that of the epoch.
struct View {
    uint32_t epoch = 0;
    Instant now;
};

// What an element begins with. All zero: it is there at once and for ever.
struct Start {
    uint32_t birth = 0;   // epoch
    int64_t expires = 0;  // nanoseconds of PacketClock
    int64_t timeout = 0;  // nanoseconds
    [[nodiscard]] bool is_conditional() const { return birth != 0 || expires != 0; }
};

// When a record counts. All zero: always.
struct Condition {
    std::atomic<uint32_t> birth;   // first epoch that has it
    std::atomic<uint32_t> death;   // first epoch that has it no more; 0: none
    std::atomic<int64_t> expires;  // nanoseconds of PacketClock; 0: never
    std::atomic<int64_t> timeout;  // nanoseconds it was added with

    [[nodiscard]] bool exists(uint32_t epoch) const {
        const uint32_t end = death.load(std::memory_order_relaxed);
        return birth.load(std::memory_order_relaxed) <= epoch && (end == 0 || epoch < end);
    }
    [[nodiscard]] bool expired(Instant now) const {
        const int64_t end = expires.load(std::memory_order_relaxed);
        return end != 0 && now.time_since_epoch().count() >= end;
    }
    [[nodiscard]] bool holds(const View& view) const { return exists(view.epoch) && !expired(view.now); }
};

struct ElementCounters {
    std::atomic<uint64_t> packets;
    std::atomic<uint64_t> bytes;
};

// free: nobody refers to it. live: in the index. leaving: out of the index, readers may still look at it.
enum class RecordState : uint8_t { free, live, leaving };

class Records {
  public:
    // Record 0 is none: they are numbered from 1 to capacity.
    Records(const SetType& type, Family family, uint32_t capacity, bool counters, bool dense);

    // ── Readers ──
    [[nodiscard]] bool contains(uint32_t record, const Fields& fields) const {
        const uint8_t* low = at(record);
        if (!ranged_)
            return std::memcmp(low, fields.bytes(), key_bytes_) == 0;
        const uint8_t* high = low + key_bytes_;
        const uint8_t* key = fields.bytes();
        for (const uint8_t width : widths_) {
            if (std::memcmp(key, low, width) < 0 || std::memcmp(key, high, width) > 0)
                return false;
            key += width;
            low += width;
            high += width;
        }
        return true;
    }
    [[nodiscard]] bool holds(uint32_t record, const View& view) const {
        const Condition* conditions = conditions_.load(std::memory_order_acquire);
        return conditions == nullptr || conditions[record].holds(view);
    }
    void count(uint32_t record, uint32_t bytes) {
        counters_[record].packets.fetch_add(1, std::memory_order_relaxed);
        counters_[record].bytes.fetch_add(bytes, std::memory_order_relaxed);
    }
    void prefetch(uint32_t record) const { prefetch_line(at(record)); }
    [[nodiscard]] RecordState state(uint32_t record) const {
        return states_[record].load(std::memory_order_acquire);
    }

    // ── The writer ──
    // A record that no reader knows yet; 0 when all are taken.
    uint32_t allocate(const ElementValue& value, const Start& start);
    void set_state(uint32_t record, RecordState state) {
        states_[record].store(state, std::memory_order_release);
    }
    // One that has expired begins again, counting from zero.
    void restart(uint32_t record, const Start& start);
    // After the grace period. Allocates nothing.
    void release(uint32_t record);
    [[nodiscard]] ElementValue value(uint32_t record) const;
    [[nodiscard]] bool same(uint32_t record, const ElementValue& value) const;
    // Its conditions, making room for such if there are none yet; dynamic sets make it beforehand.
    Condition& condition(uint32_t record);
    [[nodiscard]] const Condition* condition_if_any(uint32_t record) const {
        const Condition* conditions = conditions_.load(std::memory_order_acquire);
        return conditions == nullptr ? nullptr : &conditions[record];
    }
    [[nodiscard]] ElementCounters* counters(uint32_t record) {
        return counters_.empty() ? nullptr : &counters_[record];
    }
    [[nodiscard]] const ElementCounters* counters(uint32_t record) const {
        return counters_.empty() ? nullptr : &counters_[record];
    }
    // One more than the highest number ever given out.
    [[nodiscard]] uint32_t end() const { return end_.load(std::memory_order_acquire); }
    [[nodiscard]] size_t memory_bytes() const;

  private:
    [[nodiscard]] const uint8_t* at(uint32_t record) const { return &values_[size_t{record} * stride_]; }
    [[nodiscard]] uint8_t* at(uint32_t record) { return &values_[size_t{record} * stride_]; }

    Family family_;
    std::array<uint8_t, kMaxFields> widths_{};
    uint8_t key_bytes_;
    bool ranged_;
    size_t stride_;
    uint32_t capacity_;
    std::atomic<uint32_t> end_{1};
    uint32_t first_free_ = 0;             // chained through links_
    table::ZeroedArray<uint8_t> values_;  // low, and behind it high if the type has intervals
    table::ZeroedArray<std::atomic<RecordState>> states_;
    table::ZeroedArray<uint32_t> links_;
    table::ZeroedArray<Condition> condition_store_;
    std::atomic<Condition*> conditions_{nullptr};
    table::ZeroedArray<ElementCounters> counters_;
};

}  // namespace sluice::sets
