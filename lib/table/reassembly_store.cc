// The memory of a Reassembler: entries and the chains that find them, blocks of payload.
#include <algorithm>
#include <bit>
#include <cstring>

#include "base/prefix.hh"
#include "table/reassembly.hh"

namespace sluice::table {

namespace {

uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15U;
    hash = (hash ^ hash >> 32) * 0xbf58476d1ce4e5b9U;
    return hash ^ hash >> 29;
}

uint64_t mix(uint64_t hash, const IpAddress& address) {
    if (address.is_ip4()) {
        return mix(hash, address.ip4().host());
    }
    const auto words = std::bit_cast<std::array<uint64_t, 2>>(address.ip6().bytes());
    return mix(mix(hash, words[0]), words[1]);
}

// What the limit per source counts as one source.
IpAddress source_of(const IpAddress& address) {
    return address.is_ip4() ? address : IpPrefix(address, 64).address();
}

}  // namespace

Reassembler::Reassembler(const ReassemblyLimits& limits, uint64_t seed)
    : limits_(limits),
      seed_(seed),
      bucket_mask_(std::bit_ceil(std::max(limits.datagrams, 1U)) * 2 - 1),
      entries_(limits.datagrams),
      by_key_(bucket_mask_ + size_t{1}, kNone),
      by_source_(bucket_mask_ + size_t{1}, kNone),
      blocks_(limits.bytes / kReassemblyBlock * kReassemblyBlock),
      whole_(kMaxReassemblyHeader + kMaxReassembled) {
    free_entries_.reserve(limits.datagrams);
    free_blocks_.reserve(blocks_.size() / kReassemblyBlock);
    for (uint32_t index = limits.datagrams; index > 0; --index) {
        free_entries_.push_back(index - 1);
    }
    for (size_t index = limits.bytes / kReassemblyBlock; index > 0; --index) {
        free_blocks_.push_back(static_cast<uint32_t>(index - 1));
    }
}

uint32_t Reassembler::find(const Key& key) const {
    uint32_t index = by_key_[bucket(key)];
    while (index != kNone && !(entries_[index].key == key)) {
        index = entries_[index].hash_next;
    }
    return index;
}

// Finds the datagram or makes room for it.
FragmentRefusal Reassembler::admit(const Key& key, Instant now, uint32_t& index) {
    index = find(key);
    if (index != kNone) {
        return entries_[index].discarded ? FragmentRefusal::discarded : FragmentRefusal::none;
    }
    const IpAddress source = source_of(key.source);
    uint32_t& source_head = by_source_[source_bucket(source)];
    uint32_t from_source = 0;
    for (uint32_t other = source_head; other != kNone; other = entries_[other].source_next) {
        from_source += source_of(entries_[other].key.source) == source ? 1 : 0;
    }
    if (from_source >= limits_.datagrams_per_source) {
        return FragmentRefusal::too_many_from_source;
    }
    if (free_entries_.empty()) {
        evict(oldest_but(nullptr));
    }
    index = free_entries_.back();
    free_entries_.pop_back();
    Datagram& datagram = entries_[index];
    uint32_t& head = by_key_[bucket(key)];
    Age& age = age_of(key.family);
    datagram.key = key;
    datagram.deadline = now + (key.family == Family::ip4 ? limits_.timeout4 : limits_.timeout6);
    datagram.hash_next = head;
    datagram.source_next = source_head;
    datagram.older = age.newest;
    datagram.newer = kNone;
    datagram.end = kNoEnd;
    datagram.received = 0;
    datagram.header_block = kNone;
    datagram.piece_count = 0;
    datagram.largest = 0;
    datagram.ecn_seen = 0;
    datagram.discarded = false;
    datagram.blocks.fill(kNone);
    (age.newest == kNone ? age.oldest : entries_[age.newest].newer) = index;
    age.newest = index;
    head = index;
    source_head = index;
    return FragmentRefusal::none;
}

// Copies the payload, and a first fragment's header, into blocks.
bool Reassembler::store(Datagram& datagram, const Part& part) {
    const size_t first = part.offset / kReassemblyBlock;
    const size_t last = (part.offset + part.payload.size() - 1) / kReassemblyBlock;
    for (size_t at = first; at <= last; ++at) {
        if (datagram.blocks.at(at) == kNone && !take_block(datagram, datagram.blocks.at(at))) {
            return false;
        }
    }
    size_t offset = part.offset;
    for (wire::Bytes rest = part.payload; !rest.empty();) {
        const size_t inside = offset % kReassemblyBlock;
        const size_t size = std::min(rest.size(), kReassemblyBlock - inside);
        wire::copy_bytes(block(datagram.blocks.at(offset / kReassemblyBlock)) + inside, rest.first(size));
        rest = rest.subspan(size);
        offset += size;
    }
    if (part.offset == 0) {
        if (!take_block(datagram, datagram.header_block)) {
            return false;
        }
        wire::copy_bytes(block(datagram.header_block), part.header);
        datagram.header_length = static_cast<uint16_t>(part.header.size());
        datagram.named_at = part.named_at;
        datagram.next_header = part.next_header;
    }
    return true;
}

// Each datagram is evicted but once, so that in the long run a fragment costs one eviction at most.
bool Reassembler::take_block(const Datagram& for_whom, uint32_t& index) {
    while (free_blocks_.empty()) {
        const uint32_t victim = oldest_but(&for_whom);
        if (victim == kNone) {
            return false;
        }
        evict(victim);
    }
    index = free_blocks_.back();
    free_blocks_.pop_back();
    return true;
}

bool Reassembler::same_payload(const Datagram& datagram, const Part& part) const {
    size_t offset = part.offset;
    for (wire::Bytes rest = part.payload; !rest.empty();) {
        const size_t inside = offset % kReassemblyBlock;
        const size_t size = std::min(rest.size(), kReassemblyBlock - inside);
        if (std::memcmp(block(datagram.blocks.at(offset / kReassemblyBlock)) + inside, rest.data(), size) !=
            0) {
            return false;
        }
        rest = rest.subspan(size);
        offset += size;
    }
    return true;
}

void Reassembler::copy_payload(const Datagram& datagram, size_t size, uint8_t* to) const {
    for (size_t offset = 0; offset < size; offset += kReassemblyBlock) {
        const size_t length = std::min(size - offset, kReassemblyBlock);
        std::memcpy(to + offset, block(datagram.blocks.at(offset / kReassemblyBlock)), length);
    }
}

std::optional<Instant> Reassembler::next_expiry() const {
    std::optional<Instant> result;
    for (const Age& age : ages_) {
        if (age.oldest != kNone && (!result || entries_[age.oldest].deadline < *result)) {
            result = entries_[age.oldest].deadline;
        }
    }
    return result;
}

// Ends a datagram that must not be reassembled. IPv6 keeps its key, so that fragments yet to come go too
// (R5722).
void Reassembler::throw_away(uint32_t index) {
    if (entries_[index].key.family == Family::ip4) {
        forget(index);
        return;
    }
    release_blocks(entries_[index]);
    entries_[index].discarded = true;
}

Instant Reassembler::began(uint32_t index) const {
    const Datagram& datagram = entries_[index];
    return datagram.deadline - (datagram.key.family == Family::ip4 ? limits_.timeout4 : limits_.timeout6);
}

uint32_t Reassembler::oldest_but(const Datagram* kept) const {
    uint32_t result = kNone;
    for (const Age& age : ages_) {
        uint32_t index = age.oldest;
        if (index != kNone && &entries_[index] == kept) {
            index = entries_[index].newer;
        }
        if (index != kNone && (result == kNone || began(index) < began(result))) {
            result = index;
        }
    }
    return result;
}

void Reassembler::evict(uint32_t index) {
    const Datagram& datagram = entries_[index];
    if (!datagram.discarded) {
        ++(datagram.key.family == Family::ip4 ? evicted_.ip4 : evicted_.ip6);
    }
    forget(index);
}

void Reassembler::forget(uint32_t index) {
    Datagram& datagram = entries_[index];
    release_blocks(datagram);
    const auto unlink = [&](uint32_t* link, uint32_t Datagram::* next) {
        while (*link != index) {
            link = &(entries_[*link].*next);
        }
        *link = datagram.*next;
    };
    unlink(&by_key_[bucket(datagram.key)], &Datagram::hash_next);
    unlink(&by_source_[source_bucket(source_of(datagram.key.source))], &Datagram::source_next);
    Age& age = age_of(datagram.key.family);
    (datagram.older == kNone ? age.oldest : entries_[datagram.older].newer) = datagram.newer;
    (datagram.newer == kNone ? age.newest : entries_[datagram.newer].older) = datagram.older;
    free_entries_.push_back(index);
}

void Reassembler::release_blocks(Datagram& datagram) {
    const auto release = [&](uint32_t& index) {
        if (index != kNone) {
            free_blocks_.push_back(index);
            index = kNone;
        }
    };
    std::ranges::for_each(datagram.blocks, release);
    release(datagram.header_block);
}

uint32_t Reassembler::bucket(const Key& key) const {
    uint64_t hash = mix(seed_, uint64_t{key.id} << 32 | key.scope);
    hash = mix(hash, static_cast<uint64_t>(key.protocol));
    return static_cast<uint32_t>(mix(mix(hash, key.source), key.destination)) & bucket_mask_;
}

uint32_t Reassembler::source_bucket(const IpAddress& source) const {
    return static_cast<uint32_t>(mix(seed_, source)) & bucket_mask_;
}

}  // namespace sluice::table
