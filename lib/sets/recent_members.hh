// IPv4 addresses that one worker has found in a set of addresses lately, in a table that stays in the cache
// near its CPU. A flood of some ten thousand sources then costs no access to the set, whose lines lie far
// away; nor do few sources, since eight addresses are compared at once.
//
// Only members are kept, so it pays where most of what is asked about is in the set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/address.hh"
#include "base/time.hh"
#include "sets/set.hh"
#include "table/zeroed_array.hh"

namespace sluice::sets {

// One worker's, for one set.
class RecentMembers {
  public:
    RecentMembers() = default;

    // Sets whose elements are addresses.
    [[nodiscard]] static bool can_follow(const Set& set) { return set.options().type == SetType(); }
    // Between bursts: what is kept from now on, of a set that can be followed and is there until the next
    // call of this; null: nothing. The first time it takes a huge page from the system.
    void follow(const Set* set);

    // The answer of set.lookup_burst(). Of a set that is not followed, or not repeatable, and for a while
    // behind each change, it is asked for; changes may come often, and each makes all that is kept void.
    [[nodiscard]] uint64_t lookup_burst(const Set& set, std::span<const Ip4Address> addresses, Instant now,
                                        uint64_t wanted);

  private:
    using Word = uint32_t;  // an address as it stands in packets

    static constexpr unsigned kPlaceBits = 17;  // half a megabyte; measured with 16 and 18
    static constexpr Word kMultiplier = 0x9e37'79b1;
    static constexpr size_t kHugePage = size_t{2} << 20;
    static constexpr Duration kRest = std::chrono::milliseconds{10};

    static constexpr size_t place_of(Word word) { return word * kMultiplier >> (32 - kPlaceBits); }

    [[nodiscard]] bool may_answer(Instant now);
    void clear();
    [[nodiscard]] uint64_t kept_among(std::span<const Ip4Address> addresses) const;

    const Set* set_ = nullptr;
    uint64_t generation_ = 0;  // of the set, to which the table belongs
    bool is_current_ = false;  // the table says something
    Instant changed_;
    // A word at its place. Only the front of it is used; the rest makes it a huge page.
    table::ZeroedArray<Word> words_;
};

}  // namespace sluice::sets
