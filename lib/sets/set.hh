// A named set of addresses, networks, ports ... that rules look packets up in, and add to, while an operator
// changes it.
//
// Threads. Lookups run on any worker at any time without a lock. Changes come from the control thread, and
// from workers through add() and update(); a spin lock orders them, which only writers take. What is taken
// out of readers' sight is freed through Retire, after every worker has been quiescent. Everything an
// operator asks for is atomic: a lookup sees all of a change or nothing of it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hh"
#include "base/time.hh"
#include "sets/element.hh"
#include "sets/fields.hh"
#include "sets/spin_lock.hh"
#include "sets/type.hh"

namespace sluice::sets {

class Body;
class BodyBuilder;

// Runs the function on the control thread when every worker has been quiescent since the call. With no
// workers it may run it at once.
using Retire = std::function<void(std::function<void()>)>;

inline constexpr uint32_t kDefaultSize = 1U << 20;
inline constexpr uint32_t kMaxSize = 1U << 24;
inline constexpr size_t kMaxSetBurst = 64;

struct SetOptions {
    SetType type{};
    uint32_t size = kDefaultSize;  // most elements; 1 to kMaxSize
    Duration timeout{};            // of elements without one of their own; zero: they stay
    bool counters = false;
    // Rules add to it: room for `size` elements is made at once, so that no packet waits for memory.
    bool dynamic = false;
    bool operator==(const SetOptions&) const = default;
};

// An element as GET /v1/sets/{name} shows it.
struct ElementStatus {
    ElementValue value;
    std::optional<Duration> timeout;  // it was added with
    std::optional<Duration> expires;  // from now
    uint64_t packets = 0;
    uint64_t bytes = 0;
    std::string_view comment;  // good until the set changes
};

// Written under the set's lock or by the control thread; read by anybody.
struct SetCounters {
    std::atomic<uint64_t> full{0};     // elements refused since the set held `size` already
    std::atomic<uint64_t> added{0};    // by rules
    std::atomic<uint64_t> expired{0};  // and taken out
};

// How much a bulk change did.
struct Changed {
    size_t added = 0;
    size_t removed = 0;
    size_t unchanged = 0;  // were there already, or covered by another element of the same load
};

// Where a listing stands. It keeps the content it began with, even if that is replaced meanwhile.
struct SetCursor {
    std::shared_ptr<const Body> body;
    size_t part = 0;
    uint32_t record = 1;
};

class Set {
  public:
    // An empty set. The seed makes its hash unpredictable to senders.
    Set(std::string name, const SetOptions& options, uint64_t seed, Retire retire);
    ~Set();
    Set(const Set&) = delete;
    Set& operator=(const Set&) = delete;

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const SetOptions& options() const { return options_; }

    // ── Packet path: any worker, no lock, no allocation ──
    // Whether the element is in the set now. Waits for one line of memory for each combination of prefix
    // lengths the set holds and may hold near this key; use the burst where there is one.
    [[nodiscard]] bool contains(const Fields& fields, Instant now) const;
    // The same, and counts a packet of so many bytes at the element found, as a lookup in nftables does.
    bool contains(const Fields& fields, Instant now, uint32_t bytes) const;
    // Up to kMaxSetBurst at once, waiting for memory together: bit i of the answer is that of probe i.
    // `wanted` leaves out some. Counts nothing.
    [[nodiscard]] uint64_t lookup_burst(std::span<const Fields> probes, Instant now,
                                        uint64_t wanted = ~uint64_t{0}) const;

    // The same for a set whose elements are addresses or networks, asked about IPv4 addresses.
    [[nodiscard]] uint64_t lookup_burst(std::span<const Ip4Address> addresses, Instant now,
                                        uint64_t wanted = ~uint64_t{0}) const;

    // ── Packet path: rules' add_to; takes the lock, allocates nothing. The set must be dynamic ──
    // Adds one key with the set's timeout, unless an element holds it already, and counts the packet. False
    // if the set is full: the rule then matches no further, as nftables' `add @set` has it.
    bool add(const Fields& fields, Instant now, uint32_t bytes);
    // The same, but an element that is there gets its whole timeout anew (nftables' `update @set`).
    bool update(const Fields& fields, Instant now, uint32_t bytes);

    // ── Control thread ──
    // All or nothing. An element that is there already stays as it is. One that overlaps another but is not
    // the same is refused, in sets of one field. `failed`, if given, gets the place of the element that was
    // the reason.
    Expected<Changed> add(std::span<const Element> elements, Instant now, size_t* failed = nullptr);
    // All or nothing: removing what is not there is refused.
    Expected<Changed> remove(std::span<const ElementValue> values, Instant now, size_t* failed = nullptr);
    // An element of exactly this value that is there now.
    [[nodiscard]] std::optional<ElementStatus> find(const ElementValue& value, Instant now) const;
    // The element that a key falls into.
    [[nodiscard]] std::optional<ElementStatus> covering(const Fields& fields, Instant now) const;
    void flush();
    // For a content to load() later. `expected`: how many IPv4 and IPv6 elements will come.
    [[nodiscard]] BodyBuilder builder(const std::array<size_t, 2>& expected) const;
    // Takes the place of the whole content at once.
    void load(BodyBuilder& builder);
    // Exchanges the contents of two sets of equal options.
    Expected<void> swap(Set& other);
    // The elements one after the other, looking at no more than `max` records a call; false when there are no
    // more. Those that have expired are left out.
    bool for_each(SetCursor& cursor, size_t max, Instant now,
                  const std::function<void(const ElementStatus&)>& fn) const;
    // Takes expired elements out, looking at no more than `max` records. Call it often.
    void sweep(Instant now, size_t max);
    // Puts this set's elements into a builder, with what is left of their time and what they counted: when
    // options change. False if there was no room for all.
    bool copy_to(BodyBuilder& builder, Instant now) const;

    [[nodiscard]] size_t element_count() const;  // those expired but not yet swept included
    [[nodiscard]] size_t memory_bytes() const;
    // Changes after every change of the content; expiry is none. Read it before the lookup whose answer is
    // kept.
    [[nodiscard]] uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
    // Whether equal lookups have equal answers and no effects while the generation stays: nothing expires,
    // nothing is counted, no rule adds. May turn false with a change of content, which also changes the
    // generation.
    [[nodiscard]] bool repeatable() const { return repeatable_.load(std::memory_order_acquire); }
    [[nodiscard]] const SetCounters& counters() const { return counters_; }

    // This too is counted up when the content of the set changes while it is repeatable: one number for all
    // sets.
    void count_changes_in(std::shared_ptr<std::atomic<uint64_t>> generation) {
        shared_generation_ = std::move(generation);
    }

  private:
    struct Change;
    bool add_one(const Fields& fields, Instant now, uint32_t bytes, bool refresh);
    void replace(std::shared_ptr<Body> body);
    void changed();
    // Frees records that were taken out of the index, after a grace period.
    void release_later(std::vector<std::pair<size_t, uint32_t>> records);

    std::string name_;
    SetOptions options_;
    uint64_t seed_;
    Retire retire_;
    std::shared_ptr<Body> owned_;  // control thread
    std::atomic<Body*> body_;
    std::atomic<uint64_t> generation_{1};
    std::atomic<bool> repeatable_{true};
    std::shared_ptr<std::atomic<uint64_t>> shared_generation_;
    SetCounters counters_;
    size_t swept_part_ = 0;
    uint32_t swept_record_ = 1;
};

}  // namespace sluice::sets
