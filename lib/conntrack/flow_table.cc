#include "conntrack/flow_table.hh"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "base/prefetch.hh"

namespace sluice::conntrack {
namespace {

constexpr size_t place(Direction direction) {
    return static_cast<size_t>(direction);
}

}  // namespace

Tuple Flow::tuple(Direction direction) const {
    const FlowHalf& half = this->half(direction);
    if (family_ == Family::ip4)
        return {Ip4Address::from_wire(Be32::from_wire(half.addresses[0])),
                Ip4Address::from_wire(Be32::from_wire(half.addresses[1])), protocol_, half.ports[0],
                half.ports[1]};
    const auto& addresses = static_cast<const Flow6&>(*this).addresses_[place(direction)];
    return {Ip6Address(addresses[0]), Ip6Address(addresses[1]), protocol_, half.ports[0], half.ports[1]};
}

void Flow::set_tuple(Direction direction, const Tuple& tuple) {
    FlowHalf& half = this->half(direction);
    half.ports = {tuple.sport, tuple.dport};
    if (family_ == Family::ip4) {
        std::memcpy(&half.addresses[0], tuple.source_bytes().data(), 4);
        std::memcpy(&half.addresses[1], tuple.destination_bytes().data(), 4);
    } else {
        static_cast<Flow6&>(*this).addresses_[place(direction)] = {tuple.source_bytes(),
                                                                   tuple.destination_bytes()};
    }
}

bool FlowTable::matches(const Flow& flow, Direction direction, const Tuple& tuple) {
    const FlowHalf& half = flow.half(direction);
    if (half.ports != std::array{tuple.sport, tuple.dport} || flow.protocol_ != tuple.protocol())
        return false;
    if (flow.family_ == Family::ip4) [[likely]]
        return std::memcmp(&half.addresses[0], tuple.source_bytes().data(), 4) == 0 &&
               std::memcmp(&half.addresses[1], tuple.destination_bytes().data(), 4) == 0;
    const auto& addresses = static_cast<const Flow6&>(flow).addresses_[place(direction)];
    return addresses[0] == tuple.source_bytes() && addresses[1] == tuple.destination_bytes();
}

FlowTable::FlowTable(size_t capacity, const TupleHash& hash, bool touch)
    : capacity_(std::clamp(capacity, size_t{1}, size_t{kIp6 / 2})),
      hash_(hash),
      indexes_{table::GrowingIndex(2 * capacity_), table::GrowingIndex(2 * capacity_)} {
    const std::array<size_t, 2> bytes{(capacity_ + kSpare) * sizeof(Flow),
                                      (capacity_ + kSpare) * sizeof(Flow6)};
    for (size_t family = 0; family < pools_.size(); ++family) {
        pools_[family].memory.reset(table::HugeAllocator<std::byte>().allocate(bytes[family]));
        if (touch)
            std::memset(pools_[family].memory.get(), 0, bytes[family]);
    }
}

// Of the place that the next flow gets: all its lines, to be written.
void FlowTable::prefetch_place(Family family) const {
    const bool ip6 = family == Family::ip6;
    const auto& pool = pools_[ip6];
    const size_t size = ip6 ? sizeof(Flow6) : sizeof(Flow);
    const std::byte* const place = pool.memory.get() + size * (pool.free != kNoFlow ? pool.free : pool.used);
    constexpr size_t kLine = 64;
    for (size_t at = 0; at < size; at += kLine)
        prefetch_line_to_write(place + at);
    prefetch_line_to_write(place + size - 1);
}

Flow* FlowTable::take_place(Family family, wire::IpProtocol protocol, InterfaceId in) {
    const bool ip6 = family == Family::ip6;
    auto& pool = pools_[ip6];
    if (size_ >= capacity_)
        return nullptr;
    uint32_t slot = pool.free;
    if (slot != kNoFlow)
        pool.free = at(slot | (ip6 ? kIp6 : 0)).link_.next;
    else if (pool.used < capacity_ + kSpare)
        slot = pool.used++;
    else
        return nullptr;  // places of erased flows that were not reclaimed yet
    Flow* flow = nullptr;
    if (ip6)
        flow = new (reinterpret_cast<Flow6*>(pool.memory.get()) + slot) Flow6;
    else
        flow = new (reinterpret_cast<Flow*>(pool.memory.get()) + slot) Flow;
    flow->family_ = family;
    flow->protocol_ = protocol;
    flow->link_.owner = static_cast<uint16_t>(index(in));
    if (++last_id_ == 0)
        last_id_ = 1;
    flow->id_ = last_id_;
    ++size_;
    return flow;
}

Flow* FlowTable::create(const Tuple& original, const Tuple& reply, InterfaceId in) {
    Flow* const flow = take_place(original.family(), original.protocol(), in);
    if (flow == nullptr)
        return nullptr;
    flow->set_tuple(Direction::original, original);
    flow->set_tuple(Direction::reply, reply);
    return flow;
}

template <Family family>
NewFlow FlowTable::begin_as(const PortsTuple<family>& original, InterfaceId in) {
    const auto reply = original.turned_around();
    const auto& index = indexes_[family == Family::ip6];
    NewFlow result{.original_hash = hash_of(original), .reply_hash = hash_of(reply)};
    if ((index.may_have(result.original_hash) && find(original, result.original_hash)) ||
        (index.may_have(result.reply_hash) && find(reply, result.reply_hash))) [[unlikely]]
        return {};
    if constexpr (family == Family::ip4)
        result.flow = take_place(family, original.protocol, in);
    else
        result.flow = take_place(family, original.protocol(), in);
    if (result.flow == nullptr) [[unlikely]]
        return {};
    if constexpr (family == Family::ip4) {
        result.flow->original_.set(original);
        result.flow->reply_.set(reply);
    } else {
        result.flow->set_tuple(Direction::original, original);
        result.flow->set_tuple(Direction::reply, reply);
    }
    prefetch_place(family);
    return result;
}

NewFlow FlowTable::begin(const Ip4PortsTuple& original, InterfaceId in) {
    return begin_as<Family::ip4>(original, in);
}

NewFlow FlowTable::begin(const Tuple& original, InterfaceId in) {
    return begin_as<Family::ip6>(original, in);
}

void FlowTable::free(FlowRef ref) {
    Flow& flow = at(ref);
    flow.id_ = 0;
    flow.status = Status();
    auto& pool = pools_[(ref & kIp6) != 0];
    flow.link_.next = pool.free;
    pool.free = ref & ~kIp6;
}

void FlowTable::discard(Flow& flow) {
    --size_;
    free(ref(flow));
}

Found FlowTable::find(const Tuple& tuple, uint64_t hash) const {
    const bool ip6 = tuple.family() == Family::ip6;
    const FlowRef family = ip6 ? kIp6 : 0;
    const uint32_t entry = indexes_[ip6].find(hash, [&](uint32_t number) {
        return matches(at(number >> 1 | family), Direction{static_cast<uint8_t>(number & 1)}, tuple);
    });
    if (entry == table::FlowIndex::kNone)
        return {};
    return {&at(entry >> 1 | family), Direction{static_cast<uint8_t>(entry & 1)}};
}

Found FlowTable::find(const Tuple& tuple) const {
    return find(tuple, hash_(tuple));
}

void FlowTable::prefetch_flows(std::span<const Tuple> tuples, std::span<uint64_t> hashes) const {
    for (size_t place = 0; place < tuples.size(); ++place) {
        hashes[place] = hash_(tuples[place]);
        indexes_[tuples[place].family() == Family::ip6].prefetch(hashes[place]);
    }
    for (size_t place = 0; place < tuples.size(); ++place) {
        const bool ip6 = tuples[place].family() == Family::ip6;
        const uint32_t entry = indexes_[ip6].candidate(hashes[place]);
        if (entry == table::FlowIndex::kNone) {
            // It probably begins a flow.
            indexes_[ip6].prefetch(hash_(tuples[place].turned_around()));
            continue;
        }
        const Flow& flow = at(entry >> 1 | (ip6 ? kIp6 : 0));
        flow.prefetch_tracked();
        if (ip6)
            prefetch_line(&static_cast<const Flow6&>(flow).addresses_);
    }
}

void FlowTable::prefetch(std::span<const Tuple> tuples) const {
    std::array<uint64_t, kBurst> hashes;
    for (; tuples.size() > kBurst; tuples = tuples.subspan(kBurst))
        prefetch_flows(tuples.first(kBurst), hashes);
    prefetch_flows(tuples, hashes);
}

void FlowTable::hash_all(const Ip6PortsKeys& keys, uint64_t places, uint64_t* hashes) const {
    for (uint64_t left = places; left != 0; left &= left - 1) {
        const auto place = static_cast<size_t>(std::countr_zero(left));
        hashes[place] = hash_.of_ip6(keys.addresses(place), keys.rest[place]);
    }
}

template <Family family, typename Keys>
[[gnu::always_inline]] inline uint64_t FlowTable::guess_all(Keys keys, uint64_t places, Guess* guesses,
                                                            uint64_t* hashes) const {
    using AFlow = std::conditional_t<family == Family::ip6, Flow6, Flow>;
    const auto& growing = indexes_[family == Family::ip6];
    const auto& index = growing.now();
    auto* const flows = pools_[family == Family::ip6].memory.get();
    hash_all(keys, places, hashes);
    table::FlowIndex::Homes homes;
    static_assert(kBurst <= table::FlowIndex::Homes::kMost);
    index.find_homes(hashes, places, homes);
    std::array<uint64_t, kBurst> answers;  // hashes of what those that begin flows will be answered with
    size_t beginning = 0;
    uint64_t without = 0;
    for (; places != 0; places &= places - 1) {
        const auto place = static_cast<size_t>(std::countr_zero(places));
        uint32_t entry;
        if (!homes.has_candidate(place, entry)) [[unlikely]] {
            entry = growing.is_moving() ? growing.before().candidate(hashes[place]) : table::FlowIndex::kNone;
            if (entry == table::FlowIndex::kNone) {
                guesses[place] = {};
                without |= places & -places;
                // It probably begins a flow.
                index.prefetch_second(hashes[place]);
                const uint64_t answer = hash_of(keys[place].turned_around());
                growing.prefetch(answer);
                answers[beginning++] = answer;
                continue;
            }
        }
        const Direction direction{static_cast<uint8_t>(entry & 1)};
        // &flows[entry >> 1] in fewer instructions.
        auto* const flow = reinterpret_cast<AFlow*>(flows + (entry & ~1U) * (sizeof(AFlow) / 2));
        guesses[place] = {flow, &flow->half(direction)};
        if constexpr (family == Family::ip6)
            flow->prefetch_addresses(direction);
        // A UDP flow's tracker is done with it once it is assured.
        if (keys.rest[place] >> 32 == static_cast<uint64_t>(wire::IpProtocol::udp))
            flow->prefetch(direction);
        else
            flow->prefetch_tracked();
    }
    for (const uint64_t answer : std::span(answers).first(beginning))
        index.prefetch_second(answer);
    return without;
}

uint64_t FlowTable::guess_burst(const Ip4PortsKeys& keys, uint64_t places, Guess* guesses,
                                uint64_t* hashes) const {
    return guess_all<Family::ip4>(keys, places, guesses, hashes);
}

uint64_t FlowTable::guess_burst(const Ip6PortsKeys& keys, uint64_t places, Guess* guesses,
                                uint64_t* hashes) const {
    return guess_all<Family::ip6>(keys, places, guesses, hashes);
}

// As hash_ has it for the tuple, which is not made.
uint64_t FlowTable::hash_of(const Flow& flow, Direction direction) const {
    if (flow.family_ == Family::ip6) [[unlikely]]
        return hash_(flow.tuple(direction));
    return hash_of(flow.half(direction).tuple(flow.protocol_));
}

// Which flow has the tuple that this one has in a direction.
Found FlowTable::find_like(const Flow& flow, Direction direction, uint64_t hash) const {
    if (flow.family_ == Family::ip6) [[unlikely]]
        return find(flow.tuple(direction), hash);
    return find(flow.half(direction).tuple(flow.protocol_), hash);
}

Found FlowTable::find(const Ip4PortsTuple& tuple, uint64_t hash) const {
    auto* const flows = reinterpret_cast<Flow*>(pools_[0].memory.get());
    const uint32_t entry = indexes_[0].find(hash, [&](uint32_t number) {
        const Flow& flow = flows[number >> 1];
        return flow.half(Direction{static_cast<uint8_t>(number & 1)}).is(tuple) &&
               flow.protocol_ == tuple.protocol;
    });
    if (entry == table::FlowIndex::kNone)
        return {};
    return {&flows[entry >> 1], Direction{static_cast<uint8_t>(entry & 1)}};
}

FlowTable::Insert FlowTable::insert(Flow& flow, Ticks now, Found& other) {
    const uint64_t original_hash = hash_of(flow, Direction::original);
    const uint64_t reply_hash = hash_of(flow, Direction::reply);
    other = find_like(flow, Direction::original, original_hash);
    if (!other)
        other = find_like(flow, Direction::reply, reply_hash);
    if (other)
        return Insert::clash;
    return file(flow, now, original_hash, reply_hash) ? Insert::done : Insert::no_room;
}

bool FlowTable::file(Flow& flow, Ticks now, uint64_t original_hash, uint64_t reply_hash) {
    const FlowRef place = ref(flow);
    auto& index = indexes_[flow.family_ == Family::ip6];
    const uint32_t entry = (place & ~kIp6) << 1;
    if (index.is_full()) [[unlikely]]
        index.grow(hash_of_entry(place & kIp6));
    if (!index.insert(original_hash, entry))
        return false;
    if (!index.insert(reply_hash, entry | 1)) {
        index.erase(original_hash, entry);
        return false;
    }
    flow.status.set(kConfirmed);
    flow.deadline_ += now;
    wheel_.restart_if_empty(now);
    wheel_.add(place, flow.deadline_, links());
    return true;
}

void FlowTable::erase(Flow& flow) {
    const FlowRef place = ref(flow);
    auto& index = indexes_[flow.family_ == Family::ip6];
    const uint32_t entry = (place & ~kIp6) << 1;
    index.erase(hash_of(flow, Direction::original), entry);
    index.erase(hash_of(flow, Direction::reply), entry | 1);
    wheel_.remove(place, links());
    flow.status.set(kDying);
    flow.link_.next = erased_;
    erased_ = place;
    --size_;
}

bool FlowTable::move_entries() {
    constexpr size_t kBuckets = 32;  // some ten microseconds' worth
    const bool ip4 = indexes_[0].move(kBuckets, hash_of_entry(0));
    const bool ip6 = indexes_[1].move(kBuckets, hash_of_entry(kIp6));
    return ip4 && ip6;
}

void FlowTable::prefetch_entries(std::span<const FlowRef> flows) const {
    for (const FlowRef place : flows) {
        const Flow& flow = at(place);
        const auto& index = indexes_[flow.family_ == Family::ip6];
        index.prefetch(hash_of(flow, Direction::original));
        index.prefetch(hash_of(flow, Direction::reply));
    }
}

void FlowTable::reclaim() {
    while (erased_ != kNoFlow) {
        const FlowRef place = erased_;
        erased_ = at(place).link_.next;
        free(place);
    }
}

const Flow* FlowTable::find(FlowHandle handle) const {
    const auto number = static_cast<uint64_t>(handle);
    const auto ref = static_cast<FlowRef>(number);
    const auto id = static_cast<uint32_t>(number >> 32);
    if (id == 0 || (ref & ~kIp6) >= pools_[(ref & kIp6) != 0].used)
        return nullptr;
    const Flow& flow = at(ref);
    return flow.id_ == id && !flow.is_dying() ? &flow : nullptr;
}

size_t FlowTable::memory() const {
    return indexes_[0].memory() + indexes_[1].memory() + pools_[0].used * sizeof(Flow) +
           pools_[1].used * sizeof(Flow6);
}

}  // namespace sluice::conntrack
