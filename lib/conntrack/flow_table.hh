// The flows of one worker: memory for all of them, an index that finds either direction with one lookup, and
// the wheel that ends them.
#pragma once

#include <immintrin.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "base/prefetch.hh"
#include "conntrack/flow.hh"
#include "conntrack/tuple.hh"
#include "conntrack/tuple_hash.hh"
#include "table/growing_index.hh"
#include "table/huge_allocator.hh"
#include "table/timer_wheel.hh"

namespace sluice::conntrack {

// Of IPv6: the addresses, which have no room in the halves. By Direction, source before destination.
class Flow6 final : public Flow {
  public:
    // Whether one of its halves is of packets with these 32 bytes of addresses, the source's first, and ports
    // in host order, the source's lowest.
    [[nodiscard]] bool is(const FlowHalf& half, const uint8_t* addresses, uint32_t ports) const {
        const auto& own = addresses_[static_cast<size_t>(direction_of(half))];
        const auto theirs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(addresses));
        const auto ours = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(own.data()));
        const auto differences = _mm256_xor_si256(theirs, ours);
        return std::bit_cast<uint32_t>(half.ports) == ports &&
               _mm256_testz_si256(differences, differences) != 0;
    }
    // 32 bytes of the packets of a direction, the source's first.
    [[nodiscard]] const uint8_t* addresses(Direction direction) const {
        return addresses_[static_cast<size_t>(direction)].front().data();
    }
    // Asks memory for what is() reads of a direction besides its half.
    void prefetch_addresses(Direction direction) const {
        const auto& own = addresses_[static_cast<size_t>(direction)];
        prefetch_line(own.data());
        prefetch_line(&own.back().back());
    }

  private:
    friend class Flow;
    friend class FlowTable;
    std::array<std::array<std::array<uint8_t, 16>, 2>, 2> addresses_{};
};
inline constexpr size_t kBytesPerIp4Flow = sizeof(Flow) + 2 * table::FlowIndex::kBytesPerEntry;
inline constexpr size_t kBytesPerIp6Flow = sizeof(Flow6) + 2 * table::FlowIndex::kBytesPerEntry;
static_assert(kBytesPerIp4Flow <= 192 && kBytesPerIp6Flow <= 256);

// IPv6 tuples with ports of many packets, by place; borrowed.
struct Ip6PortsKeys {
    const uint8_t* const* frames;
    size_t addresses_at;   // in each frame, from the source on
    const uint64_t* rest;  // as Ip4PortsKeys::rest

    [[nodiscard]] const uint8_t* addresses(size_t place) const { return frames[place] + addresses_at; }
    [[nodiscard]] Tuple operator[](size_t place) const {
        constexpr size_t kAddresses = 8;  // where they stand in the header
        return Tuple::of_plain(addresses(place) - kAddresses);
    }
};

// A flow and which of its directions a tuple is.
struct Found {
    Flow* flow = nullptr;
    Direction direction = Direction::original;
    explicit operator bool() const { return flow != nullptr; }
};

// What a packet's flow probably is, and the half of it whose tuple it would have; none: there is none in the
// tuple's first place.
struct Guess {
    Flow* flow = nullptr;
    FlowHalf* half = nullptr;
};

// A flow that was made for a packet, and where the index will have it; whoever changes its reply's tuple
// gives that one's hash.
struct NewFlow {
    Flow* flow = nullptr;
    uint64_t original_hash = 0;
    uint64_t reply_hash = 0;
};

// Tells a flow from all that were in its place before.
enum class FlowHandle : uint64_t {};

// A place in a walk through the table; lives on while flows come and go. Flows that are there all the time
// are met once.
struct FlowCursor {
    uint32_t next = 0;
    bool in_ip6 = false;
    bool done = false;
};

// Bounded and of one owner. The address space for all flows is taken at once; memory of places never used is
// left to the system unless `touch` asks for it.
class FlowTable {
  public:
    FlowTable(size_t capacity, const TupleHash& hash, bool touch = false);

    // A flow that is not found before insert(); none if capacity() is reached.
    [[nodiscard]] Flow* create(const Tuple& original, const Tuple& reply, InterfaceId in);
    // The same of TCP or UDP without NAT so far, unless there is a flow that has one of its tuples. The
    // second is of IPv6.
    [[nodiscard]] NewFlow begin(const Ip4PortsTuple& original, InterfaceId in);
    [[nodiscard]] NewFlow begin(const Tuple& original, InterfaceId in);
    // Ends one that was never inserted.
    void discard(Flow& flow);

    // Flows whose time is up are found like others until they are erased.
    [[nodiscard]] Found find(const Tuple& tuple) const;
    [[nodiscard]] Found find(const Ip4PortsTuple& tuple) const { return find(tuple, hash_of(tuple)); }
    // The same in two steps; NewFlow has such hashes. find_rare(): of what is hardly ever there.
    [[nodiscard]] uint64_t hash_of(const Ip4PortsTuple& tuple) const {
        return hash_.of_ip4(tuple.addresses, tuple.rest());
    }
    [[nodiscard]] Found find_rare(const Ip4PortsTuple& tuple, uint64_t hash) const {
        return indexes_[0].may_have(hash) ? find(tuple, hash) : Found{};
    }
    [[nodiscard]] Found find(const Ip4PortsTuple& tuple, uint64_t hash) const;
    static constexpr size_t kBurst = 64;
    // For the keys whose bits are set, at most kBurst: what each probably finds, with all lines of memory
    // that its packet needs on their way. The flow is another or none unless it has the tuple (is(),
    // protocol()); find_guessed() tells, by the hash that is left here. There is room for kBurst hashes; of
    // IPv4 they are written at other places too. Returns the bits of those that probably find none.
    uint64_t guess_burst(const Ip4PortsKeys& keys, uint64_t places, Guess* guesses, uint64_t* hashes) const;
    uint64_t guess_burst(const Ip6PortsKeys& keys, uint64_t places, Guess* guesses, uint64_t* hashes) const;
    [[nodiscard]] Found find_guessed(Guess guess, const Ip4PortsTuple& tuple, uint64_t hash) const {
        if (guess.flow != nullptr && guess.half->is(tuple) && guess.flow->protocol_ == tuple.protocol)
            [[likely]]
            return {guess.flow, guess.flow->direction_of(*guess.half)};
        return find(tuple, hash);
    }
    [[nodiscard]] Found find_guessed(Guess guess, const Ip6PortsKeys& keys, size_t place,
                                     uint64_t hash) const {
        if (guess.flow != nullptr && is(guess, keys, place) &&
            guess.flow->protocol_ == wire::IpProtocol{static_cast<uint8_t>(keys.rest[place] >> 32)})
            [[likely]]
            return {guess.flow, guess.flow->direction_of(*guess.half)};
        return find(keys[place], hash);
    }
    // Whether a guess that was made has the tuple, but for its protocol.
    [[nodiscard]] static bool is(Guess guess, const Ip4PortsKeys& keys, size_t place) {
        return guess.half->is(keys[place]);
    }
    [[nodiscard]] static bool is(Guess guess, const Ip6PortsKeys& keys, size_t place) {
        return static_cast<const Flow6*>(guess.flow)
            ->is(*guess.half, keys.addresses(place), static_cast<uint32_t>(keys.rest[place]));
    }
    // Asks memory for where a lookup of the tuple begins.
    void prefetch_entry(const Ip4PortsTuple& tuple) const {
        indexes_[0].prefetch(hash_.of_ip4(tuple.addresses, tuple.rest()));
    }
    // Asks memory for everything that lookups of the tuples and what follows them read.
    void prefetch(std::span<const Tuple> tuples) const;

    enum class Insert : uint8_t { done, clash, no_room };
    // Puts both directions in the index and the flow into the wheel. Its deadline so far counts from zero. On
    // a clash nothing has changed and `other` is a flow that has one of the tuples.
    [[nodiscard]] Insert insert(Flow& flow, Ticks now, Found& other);

    // The same of a flow that has changed as little as the table since begin(): false if there is no room.
    [[nodiscard]] bool insert_unique(const NewFlow& begun, Ticks now) {
        return file(*begun.flow, now, begun.original_hash, begun.reply_hash);
    }

    // Prolongs or shortens a flow's life.
    void set_deadline(Flow& flow, Ticks deadline) {
        flow.deadline_ = deadline;
        if (flow.is_confirmed())
            wheel_.update(ref(flow), deadline, links());
    }

    // Takes an inserted flow out; nobody finds it any more, its memory is good until reclaim().
    void erase(Flow& flow);
    // Frees what has been erased. Nobody may hold pointers.
    void reclaim();

    // Gives each flow whose deadline has come to due(Flow&), which is to erase it and no other; before that
    // some together, at most kBurst, to ahead(std::span<const Flow* const>), which may ask memory for what
    // their ends need. At most `budget` flows are looked at; false if more wait.
    template <typename Ahead, typename Due>
    bool expire(Ticks now, size_t budget, Ahead&& ahead, Due&& due) {
        // Some together, so that the index's lines are on their way before the first is needed.
        std::array<FlowRef, kBurst> over;
        size_t count = 0;
        const auto end_them = [&] {
            if (count == 0)
                return;
            prefetch_entries(std::span(over).first(count));
            std::array<const Flow*, kBurst> flows;
            for (size_t i = 0; i < count; ++i)
                flows[i] = &at(over[i]);
            ahead(std::span(std::as_const(flows)).first(count));
            for (const FlowRef ref : std::span(over).first(count))
                due(at(ref));
            count = 0;
        };
        const bool all = wheel_.advance(
            now, budget, links(), [this](FlowRef ref) { at(ref).prefetch_halves(); },
            [this](FlowRef ref) { return at(ref).deadline_; },
            [&](FlowRef ref) {
                over[count++] = ref;
                if (count == over.size())
                    end_them();
            });
        end_them();
        return move_entries() && all;
    }

    // Visits inserted flows: looks at `budget` places from the cursor on and moves it. visit may erase.
    template <typename Visit>
    void visit(FlowCursor& cursor, size_t budget, Visit&& visit) {
        while (!cursor.done && budget-- > 0) {
            const Pool& pool = pools_[cursor.in_ip6 ? 1 : 0];
            if (cursor.next < pool.used) {
                Flow& flow = at(cursor.next | (cursor.in_ip6 ? kIp6 : 0));
                ++cursor.next;
                if (flow.id_ != 0 && flow.is_confirmed() && !flow.is_dying())
                    visit(flow);
            } else if (cursor.in_ip6) {
                cursor.done = true;
            } else {
                cursor = {.next = 0, .in_ip6 = true, .done = false};
            }
        }
    }

    // Visits the flows that lie in the `distance`th bucket from where the tuple would.
    template <typename Visit>
    void visit_near(const Tuple& tuple, size_t distance, Visit&& visit) {
        const bool ip6 = tuple.family() == Family::ip6;
        indexes_[ip6].visit_bucket(hash_(tuple), distance,
                                   [&](uint32_t entry) { visit(at(entry >> 1 | (ip6 ? kIp6 : 0))); });
    }

    // Inserted and not yet inserted ones; erased ones no longer count.
    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] size_t capacity() const { return capacity_; }
    [[nodiscard]] size_t timers() const { return wheel_.size(); }  // equals the number of inserted flows
    [[nodiscard]] size_t index_entries() const { return indexes_[0].size() + indexes_[1].size(); }
    [[nodiscard]] size_t memory() const;  // bytes in use, places once used included

    [[nodiscard]] FlowRef ref(const Flow& flow) const {
        if (flow.family_ == Family::ip4) [[likely]]
            return static_cast<FlowRef>(&flow - reinterpret_cast<const Flow*>(pools_[0].memory.get()));
        return kIp6 | static_cast<FlowRef>(static_cast<const Flow6*>(&flow) -
                                           reinterpret_cast<const Flow6*>(pools_[1].memory.get()));
    }
    [[nodiscard]] FlowHandle handle(const Flow& flow) const {
        return FlowHandle{uint64_t{flow.id_} << 32 | ref(flow)};
    }
    // None if that flow has ended.
    [[nodiscard]] const Flow* find(FlowHandle handle) const;

  private:
    static constexpr FlowRef kIp6 = 0x80000000;
    // Places beyond the capacity, so that flows erased in a burst make room in the same burst.
    static constexpr size_t kSpare = 4096;

    struct Free {
        void operator()(std::byte* memory) const { table::HugeAllocator<std::byte>().deallocate(memory, 0); }
    };
    struct Pool {
        std::unique_ptr<std::byte, Free> memory;
        uint32_t used = 0;  // places that ever held a flow
        FlowRef free = kNoFlow;
    };

    [[nodiscard]] Flow& at(FlowRef ref) const {
        if ((ref & kIp6) == 0) [[likely]]
            return reinterpret_cast<Flow*>(pools_[0].memory.get())[ref];
        return reinterpret_cast<Flow6*>(pools_[1].memory.get())[ref & ~kIp6];
    }
    struct Links {
        FlowTable* table;
        table::TimerLink& operator()(FlowRef ref) const { return table->at(ref).link_; }
    };
    [[nodiscard]] Links links() { return {this}; }
    [[nodiscard]] Found find(const Tuple& tuple, uint64_t hash) const;
    [[nodiscard]] uint64_t hash_of(const Tuple& tuple) const { return hash_(tuple); }
    [[nodiscard]] Found find_like(const Flow& flow, Direction direction, uint64_t hash) const;
    [[nodiscard]] uint64_t hash_of(const Flow& flow, Direction direction) const;
    [[nodiscard]] bool file(Flow& flow, Ticks now, uint64_t original_hash, uint64_t reply_hash);
    void prefetch_entries(std::span<const FlowRef> flows) const;
    // The hash of an entry of an index.
    [[nodiscard]] auto hash_of_entry(FlowRef family) const {
        return [this, family](uint32_t entry) {
            return hash_of(at(entry >> 1 | family), Direction{static_cast<uint8_t>(entry & 1)});
        };
    }
    // A slice of what an index that has grown has still to move; false if more waits.
    [[nodiscard]] bool move_entries();
    [[nodiscard]] static bool matches(const Flow& flow, Direction direction, const Tuple& tuple);
    void prefetch_flows(std::span<const Tuple> tuples, std::span<uint64_t> hashes) const;
    template <Family family, typename Keys>
    uint64_t guess_all(Keys keys, uint64_t places, Guess* guesses, uint64_t* hashes) const;
    void hash_all(const Ip4PortsKeys& keys, uint64_t places, uint64_t* hashes) const {
        hash_tuples_(hash_, keys.addresses, keys.rest, static_cast<size_t>(std::bit_width(places)), hashes);
    }
    void hash_all(const Ip6PortsKeys& keys, uint64_t places, uint64_t* hashes) const;
    template <Family family>
    [[nodiscard]] NewFlow begin_as(const PortsTuple<family>& original, InterfaceId in);
    void prefetch_place(Family family) const;
    [[nodiscard]] Flow* take_place(Family family, wire::IpProtocol protocol, InterfaceId in);
    void free(FlowRef ref);

    size_t capacity_;
    size_t size_ = 0;
    uint32_t last_id_ = 0;
    FlowRef erased_ = kNoFlow;
    TupleHash hash_;
    HashIp4Tuples hash_tuples_ = choose_hash();
    std::array<table::GrowingIndex, 2>
        indexes_;  // IPv4, IPv6; entries are places and, in bit 0, the direction
    std::array<Pool, 2> pools_;
    table::TimerWheel wheel_{0};
};

}  // namespace sluice::conntrack
