// A hierarchical timer wheel (Varghese and Lauck): four wheels of 256 slots, each 256 times coarser than the
// one before. Adding and removing are O(1); nothing is ever scanned for what is due.
//
// It is lazy: whoever prolongs an entry's deadline need not tell the wheel, which asks for the deadline when
// the slot comes up and files the entry anew. Only a deadline that comes closer must be told.
//
// A slot has several lists, over which entries are spread: of one list, memory brings an entry at a time,
// since each tells where the next one is; lists are walked together.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::table {

// An entry's place in the wheel; a member of the entry.
struct TimerLink {
    static constexpr uint16_t kIdle = 0xffff;
    uint32_t next = 0;
    uint32_t previous = 0;
    uint16_t list = kIdle;
    uint16_t owner = 0;  // fills the padding; the owner's to use
    [[nodiscard]] bool is_idle() const { return list == kIdle; }
};

// Entries are numbers; `Links` is a callable that turns one into its TimerLink&. Time is counted in ticks of
// the owner's choice, modulo 2^32; a deadline lies less than 2^31 ticks ahead. One owner.
class TimerWheel {
  public:
    static constexpr uint32_t kNone = 0xffffffff;

    explicit TimerWheel(uint32_t now) : now_(now) { heads_.fill(kNone); }

    [[nodiscard]] size_t size() const { return size_; }
    // All ticks before this one have been dealt with.
    [[nodiscard]] uint32_t now() const { return now_; }

    // An empty wheel may begin at any time, as far from the last as it likes.
    void restart_if_empty(uint32_t now) {
        if (size_ == 0)
            now_ = now;
    }

    // Files an idle entry. A deadline that has passed is due at the next advance().
    template <typename Links>
    void add(uint32_t entry, uint32_t deadline, Links&& links) {
        const uint16_t slot = slot_of(deadline);
        const auto list = static_cast<uint16_t>(slot * kLists + entry % kLists);
        auto& head = heads_[list];
        auto& link = links(entry);
        link.next = head;
        link.previous = kNone;
        link.list = list;
        if (head != kNone)
            links(head).previous = entry;
        head = entry;
        used_[slot >> 8][(slot & 255) >> 6] |= uint64_t{1} << (slot & 63);
        ++size_;
    }

    template <typename Links>
    void remove(uint32_t entry, Links&& links) {
        auto& link = links(entry);
        if (link.list >= kTaken) {
            link.list = TimerLink::kIdle;
            return;
        }
        if (link.next != kNone)
            links(link.next).previous = link.previous;
        if (link.previous != kNone) {
            links(link.previous).next = link.next;
        } else {
            heads_[link.list] = link.next;
            if (link.next == kNone)
                note_unused(static_cast<uint16_t>(link.list / kLists));
        }
        link.list = TimerLink::kIdle;
        --size_;
    }

    // Tells the wheel of a new deadline. Does nothing if it would look at the entry in time anyhow.
    template <typename Links>
    void update(uint32_t entry, uint32_t deadline, Links&& links) {
        auto& link = links(entry);
        if (link.list >= kTaken ||
            static_cast<int32_t>(deadline - comes_up(static_cast<uint16_t>(link.list / kLists))) >= 0)
            return;
        remove(entry, links);
        add(entry, deadline, links);
    }

    // Deals with all ticks up to and including `now`, looking at `budget` entries at most; false if that was
    // not enough. Every entry whose deadline(entry) has come is removed and given to due(entry), which may
    // add and remove entries. ahead(entry) may ask memory for what deadline() and due() will read.
    template <typename Links, typename Ahead, typename Deadline, typename Due>
    bool advance(uint32_t now, size_t budget, Links&& links, Ahead&& ahead, Deadline&& deadline, Due&& due) {
        while (static_cast<int32_t>(now - now_) >= 0) {
            if (size_ == 0) {
                now_ = now + 1;
                return true;
            }
            for (unsigned level = kLevels; level-- > 0;) {
                if (level > 0 && (now_ & ((1U << (8 * level)) - 1)) != 0)
                    continue;
                const auto slot = static_cast<uint16_t>(level << 8 | ((now_ >> (8 * level)) & 255));
                while (is_used(slot)) {
                    if (budget == 0)
                        return false;
                    Taken taken;
                    take(slot, budget, taken, links, ahead);
                    budget -= taken.count;
                    for (size_t i = 0; i < taken.count; ++i)
                        settle(taken.entries[i], links, deadline, due);
                }
            }
            step(now);
        }
        return true;
    }

  private:
    static constexpr unsigned kLevels = 4;
    static constexpr unsigned kLists = 8;  // of a slot
    // In place of a list: the entry is off it, and its deadline is about to be looked at.
    static constexpr uint16_t kTaken = 0xfffe;

    struct Taken {
        std::array<uint32_t, 32> entries;
        size_t count = 0;
    };

    [[nodiscard]] bool is_used(uint16_t slot) const {
        return (used_[slot >> 8][(slot & 255) >> 6] >> (slot & 63) & 1) != 0;
    }
    // One of its lists has become empty.
    void note_unused(uint16_t slot) {
        for (size_t list = slot * kLists; list < size_t{slot + 1U} * kLists; ++list)
            if (heads_[list] != kNone)
                return;
        used_[slot >> 8][(slot & 255) >> 6] &= ~(uint64_t{1} << (slot & 63));
    }

    // The first entries of a slot that is not empty, from each of its lists in turn: a list costs a miss for
    // each entry, and the next one waits for it.
    template <typename Links, typename Ahead>
    void take(uint16_t slot, size_t most, Taken& taken, Links& links, Ahead& ahead) {
        const auto heads = std::span(heads_).subspan(slot * kLists).template first<kLists>();
        const size_t room = std::min(most, taken.entries.size());
        bool any = true;
        while (any && taken.count < room) {
            any = false;
            for (size_t list = 0; list < kLists && taken.count < room; ++list) {
                const uint32_t entry = heads[list];
                if (entry == kNone)
                    continue;
                any = true;
                taken.entries[taken.count++] = entry;
                ahead(entry);
                auto& link = links(entry);
                link.list = kTaken;
                heads[list] = link.next;
            }
        }
        for (const uint32_t head : heads)
            if (head != kNone)
                links(head).previous = kNone;
        note_unused(slot);
        size_ -= taken.count;
    }

    template <typename Links, typename Deadline, typename Due>
    void settle(uint32_t entry, Links& links, Deadline& deadline, Due& due) {
        auto& link = links(entry);
        if (link.list != kTaken)
            return;  // removed meanwhile
        link.list = TimerLink::kIdle;
        const uint32_t at = deadline(entry);
        if (static_cast<int32_t>(at - now_) <= 0)
            due(entry);
        else
            add(entry, at, links);
    }

    [[nodiscard]] uint16_t slot_of(uint32_t deadline) const {
        const auto ahead = static_cast<int32_t>(deadline - now_);
        const uint32_t at = ahead < 0 ? now_ : deadline;
        const uint32_t distance = at - now_;
        const unsigned level = distance == 0 ? 0 : (std::bit_width(distance) - 1U) / 8;
        return static_cast<uint16_t>(level << 8 | ((at >> (8 * level)) & 255));
    }

    // The tick at which a slot is emptied next.
    [[nodiscard]] uint32_t comes_up(uint16_t slot) const {
        const unsigned shift = 8U * (slot >> 8);
        // The slot of the present stretch has been emptied when the stretch began, unless that is now.
        const uint32_t first = (now_ + (1U << shift) - 1) >> shift;
        return (first + ((slot - first) & 255)) << shift;
    }

    // To the next tick with something to do: the next used slot of the finest wheel that is in use, or the
    // end of its round, where slots behind the present one belong.
    void step(uint32_t last) {
        uint32_t next = last + 1;
        for (unsigned level = 0; level < kLevels; ++level) {
            const auto& used = used_[level];
            if ((used[0] | used[1] | used[2] | used[3]) == 0)
                continue;
            const unsigned shift = 8 * level;
            const uint32_t stretch = now_ >> shift;
            next = ((stretch | 255) + 1) << shift;
            for (uint32_t at = (stretch & 255) + 1; at < 256; at = (at | 63) + 1) {
                const uint64_t word = used[at >> 6] >> (at & 63);
                if (word != 0) {
                    next = ((stretch & ~255U) + at + static_cast<uint32_t>(std::countr_zero(word))) << shift;
                    break;
                }
            }
            break;
        }
        now_ = next - now_ > last - now_ ? last + 1 : next;
    }

    uint32_t now_;
    size_t size_ = 0;
    std::array<uint32_t, size_t{kLevels} * 256 * kLists> heads_;  // by slot, its lists side by side
    std::array<std::array<uint64_t, 4>, kLevels> used_{};
};

}  // namespace sluice::table
