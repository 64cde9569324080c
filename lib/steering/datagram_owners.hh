// Whose the fragments of a datagram are. Only the first one tells; those that come before it wait for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/interface_id.hh"
#include "base/time.hh"
#include "conntrack/tuple.hh"
#include "conntrack/tuple_hash.hh"

namespace sluice::steering {

// One worker's. Takes all its memory at once. `Fragment` is what waits: copied, and not looked at.
template <typename Fragment>
class DatagramOwners {
  public:
    static constexpr size_t kDatagrams = 1024;  // known at a time
    static constexpr size_t kWaiting = 4096;    // fragments, of all
    static constexpr size_t kWaitingEach = 64;  // of one datagram
    static constexpr Duration kLifetime = std::chrono::seconds(60);

    explicit DatagramOwners(const conntrack::TupleHash& hash)
        : hash_(hash), datagrams_(kDatagrams), waiting_(kWaiting) {
        for (size_t i = 0; i < kWaiting; ++i)
            waiting_[i].next = static_cast<uint16_t>(i + 1);
    }

    // The first fragment: its owner is that of all. give(Fragment) gets those that have waited, in the order
    // they came. Where there is no room the oldest of some datagrams is forgotten: give_up(Fragment) gets
    // those that wait for its first.
    template <typename Give, typename GiveUp>
    void begins(const conntrack::Tuple& datagram, WorkerId owner, Instant now, Give&& give,
                GiveUp&& give_up) {
        Datagram& known = open(datagram, now, give_up);
        known.owner = owner;
        release(known, give);
    }

    enum class Answer : uint8_t { known, waits, refused };
    struct Found {
        Answer answer;
        WorkerId owner{};
    };
    // Any other. Refused: too many wait.
    template <typename GiveUp>
    [[nodiscard]] Found follows(const conntrack::Tuple& datagram, const Fragment& fragment, Instant now,
                                GiveUp&& give_up) {
        Datagram* const known = &open(datagram, now, give_up);
        if (known->owner)
            return {Answer::known, *known->owner};
        if (known->waiting == kWaitingEach || free_ == kNone)
            return {Answer::refused};
        const uint16_t place = free_;
        free_ = waiting_[place].next;
        waiting_[place] = {fragment, kNone};
        (known->waiting == 0 ? known->first : waiting_[known->last].next) = place;
        known->last = place;
        ++known->waiting;
        return {Answer::waits};
    }

    // Forgets what is too old; give(Fragment) gets those that have waited in vain. Looks at some places only.
    template <typename Give>
    void expire(Instant now, Give&& give) {
        constexpr size_t kAtOnce = 64;
        for (size_t i = 0; i < kAtOnce; ++i) {
            Datagram& one = datagrams_[next_++ % kDatagrams];
            if (one.until <= now)
                release(one, give);
        }
    }

  private:
    static constexpr uint16_t kNone = kWaiting;
    static constexpr size_t kWays = 4;
    struct Datagram {
        conntrack::Tuple tuple;
        Instant until = Instant::min();
        std::optional<WorkerId> owner;
        uint16_t first = kNone;  // of those that wait
        uint16_t last = kNone;
        uint16_t waiting = 0;
    };
    struct Waiting {
        Fragment fragment{};
        uint16_t next = kNone;
    };

    template <typename GiveUp>
    Datagram& open(const conntrack::Tuple& tuple, Instant now, GiveUp&& give_up) {
        const size_t home = hash_(tuple) % (kDatagrams / kWays) * kWays;
        Datagram* oldest = &datagrams_[home];
        for (size_t way = 0; way < kWays; ++way) {
            Datagram& one = datagrams_[home + way];
            if (one.until > now && one.tuple == tuple)
                return one;
            if (one.until < oldest->until)
                oldest = &one;
        }
        release(*oldest, give_up);
        *oldest = {.tuple = tuple, .until = now + kLifetime, .owner = {}};
        return *oldest;
    }
    template <typename Give>
    void release(Datagram& from, Give&& give) {
        while (from.first != kNone) {
            const uint16_t place = from.first;
            from.first = waiting_[place].next;
            waiting_[place].next = free_;
            free_ = place;
            give(waiting_[place].fragment);
        }
        from.waiting = 0;
    }

    conntrack::TupleHash hash_;
    std::vector<Datagram> datagrams_;
    std::vector<Waiting> waiting_;
    uint16_t free_ = 0;
    size_t next_ = 0;
};

}  // namespace sluice::steering
