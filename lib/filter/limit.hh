// Rates as nftables' `limit` counts them: tokens are nanoseconds, a packet costs the period divided by the
// rate (rounded down), and `burst` packets' worth can be saved. The numbers of packets that pass are the
// kernel's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/time.hh"
#include "filter/limit_key.hh"
#include "filter/rule.hh"

namespace sluice::filter {

// The largest burst whose tokens can be counted, at a rate of at least one packet a period.
uint64_t largest_burst(uint64_t amount, Duration period);

// What a limit comes to. With several workers each has its own buckets with an equal share of rate and burst
// (at least one packet), so that together they let no more through than the limit says; what one worker does
// not need another cannot use.
struct LimitTerms {
    uint64_t cost = 0;      // of a packet, in ns
    uint64_t capacity = 0;  // tokens a full bucket has
    static LimitTerms of(const Limit& limit, size_t workers);
};

// Starts full. One owner.
class LimitBucket {
  public:
    LimitBucket() = default;
    LimitBucket(const LimitTerms& terms, Instant now) : tokens_(terms.capacity), last_(now) {}

    // Whether the packet is within the rate; if so it has taken its tokens. Time that goes back counts as
    // standing still.
    bool take(const LimitTerms& terms, Instant now) {
        const uint64_t tokens = tokens_at(terms, now);
        last_ = now > last_ ? now : last_;
        const bool within = tokens >= terms.cost;
        tokens_ = within ? tokens - terms.cost : tokens;
        return within;
    }
    // Full again: no longer different from a new one.
    [[nodiscard]] bool is_full(const LimitTerms& terms, Instant now) const {
        return tokens_at(terms, now) == terms.capacity;
    }

  private:
    [[nodiscard]] uint64_t tokens_at(const LimitTerms& terms, Instant now) const {
        const uint64_t gained = now > last_ ? static_cast<uint64_t>((now - last_).count()) : 0;
        return gained >= terms.capacity - tokens_ ? terms.capacity : tokens_ + gained;
    }
    uint64_t tokens_ = 0;
    Instant last_{};
};

enum class LimitAnswer : uint8_t {
    within,
    beyond,
    full,  // no room for another key: as with a full set in nftables the rule does not match
};

// A bucket for each key, in memory taken at once. A new key takes the place of one whose bucket is full
// again, which loses nothing. One owner.
class KeyedLimit {
  public:
    static constexpr size_t kDefaultKeys = 1U << 16;  // as a set of nftables
    static constexpr size_t kWays = 8;                // places a key can be in

    KeyedLimit(const LimitTerms& terms, uint64_t seed, size_t keys = kDefaultKeys);
    LimitAnswer take(const LimitKeyValue& key, Instant now);
    [[nodiscard]] uint64_t full_count() const { return full_; }  // answers `full` so far

  private:
    struct Entry {
        LimitKeyValue key;
        LimitBucket bucket;
    };
    LimitTerms terms_;
    uint64_t seed_;
    size_t mask_;  // of groups of kWays entries
    uint64_t full_ = 0;
    std::unique_ptr<Entry[]> entries_;
};

}  // namespace sluice::filter
