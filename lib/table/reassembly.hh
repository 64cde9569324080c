// Reassembly of IPv4 and IPv6 datagrams that the box looks into (RFC 791 3.2, RFC 8200 4.5).
//
// All memory is taken once, at construction: entries, blocks of payload, the buffer a whole datagram is
// handed out in. Nothing a peer sends makes it grow: where there is no room the oldest datagrams make it, so
// that a flood of fragments does not keep others from being put together, whose fragments follow each other
// closely. Overlaps throw a datagram away (R5722); IPv6 remembers that until the timeout, so that fragments
// still under way go too. One owner (a worker), no synchronisation, slow path.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/address.hh"
#include "base/time.hh"
#include "wire/bytes.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"
#include "wire/ipv6_extensions.hh"

namespace sluice::table {

struct ReassemblyLimits {
    uint32_t datagrams = 1024;           // under way at a time, one at least
    uint32_t datagrams_per_source = 64;  // of one IPv4 address or one IPv6 /64
    uint32_t bytes = 4 * 1024 * 1024;    // of headers and payload kept
    Duration timeout4 = std::chrono::seconds(30);
    Duration timeout6 = std::chrono::seconds(60);
};

// Why a fragment was not kept. The fragment is dropped and counted under this name.
enum class FragmentRefusal : uint8_t {
    none,
    duplicate,   // the same bytes were there already
    empty,       // no payload: the datagram is thrown away
    odd_length,  // IPv6: more fragments follow, but not a multiple of 8 bytes: parameter problem 0
    too_long,    // the datagram would exceed 65535 bytes: parameter problem 0 in IPv6
    incomplete_first_fragment,  // IPv6 header chain not whole: parameter problem 3 (R7112)
    header_too_long,            // headers in front of the fragment's data beyond kMaxReassemblyHeader
    overlap,                    // the datagram is thrown away (R5722)
    conflicting_end,            // two ends, or data behind the end: the datagram is thrown away
    mixed_ecn,                  // some fragments ECN-capable, some not (RFC 3168 5.3): thrown away
    discarded,                  // belongs to a datagram thrown away before
    too_many_fragments,         // beyond kMaxFragments: thrown away
    too_many_from_source,
    out_of_memory,  // not even with all others gone: thrown away
};

inline constexpr size_t kMaxFragments = 128;  // of one datagram
inline constexpr size_t kMaxReassembled =
    65535;  // what IPv4's total length and IPv6's payload length can tell
inline constexpr size_t kReassemblyBlock = 1024;
inline constexpr size_t kMaxReassemblyHeader = kReassemblyBlock;

enum class FragmentOutcome : uint8_t {
    stored,    // kept, the datagram is not whole yet
    complete,  // `datagram` is whole
    refused,   // see `refusal`
};

// One fragment of a datagram, by its payload.
struct FragmentSpan {
    uint16_t offset = 0;
    uint16_t length = 0;
    [[nodiscard]] uint32_t end() const { return uint32_t{offset} + length; }
    bool operator==(const FragmentSpan&) const = default;
};

// Datagrams that were let go to make room for a fragment, those thrown away before left out.
struct EvictedDatagrams {
    uint32_t ip4 = 0;
    uint32_t ip6 = 0;
};

struct FragmentResult {
    FragmentOutcome outcome = FragmentOutcome::stored;
    FragmentRefusal refusal = FragmentRefusal::none;
    uint16_t pointer = 0;  // of the parameter problem an IPv6 refusal asks for
    // The whole datagram from its IP header on, without fragment header, checksum right. Valid until the next
    // call.
    wire::MutableBytes datagram = {};
    // How it came, so that it can leave the same way: by offset; and the IP packet of the largest one. Valid
    // until the next call.
    std::span<const FragmentSpan> fragments = {};
    uint16_t largest = 0;
    EvictedDatagrams evicted = {};
};

// A datagram that timed out.
struct ExpiredDatagram {
    Family family = Family::ip4;
    uint32_t scope = 0;
    // Its first fragment as received, for an ICMP time exceeded with code 1; empty if it never came, and then
    // there must be no error (RFC 792, RFC 8200 4.5). Valid during the callback.
    wire::Bytes first_fragment;
};

class Reassembler {
  public:
    // `seed` makes the hash unpredictable to senders. Takes all memory; throws std::bad_alloc.
    Reassembler(const ReassemblyLimits& limits, uint64_t seed);

    // A fragment (view.is_fragment()). `scope` tells apart networks that use the same addresses, usually 0.
    FragmentResult add(wire::Ipv4View fragment, uint32_t scope, Instant now);
    // A packet with a fragment header; `chain` is its walk, whatever is wrong behind the first fragment
    // header. For link-local addresses `scope` should name the interface. Atomic fragments touch no
    // other datagram (R6946).
    FragmentResult add(wire::Ipv6View packet, const wire::Ipv6Chain& chain, uint32_t scope, Instant now);

    // Forgets what has come of the datagram that this fragment belongs to.
    void abandon(wire::Ipv6View packet, const wire::Ipv6Chain& chain, uint32_t scope);

    // Forgets datagrams whose time is up, at most `budget` of them, and calls on_expired(const
    // ExpiredDatagram&) for each that was not thrown away before. Returns how many were forgotten.
    template <typename OnExpired>
    size_t expire(Instant now, OnExpired&& on_expired, size_t budget = 64) {
        size_t count = 0;
        for (Age& age : ages_) {
            while (count < budget && age.oldest != kNone && entries_[age.oldest].deadline <= now) {
                const uint32_t index = age.oldest;
                if (!entries_[index].discarded) {
                    on_expired(ExpiredDatagram{entries_[index].key.family, entries_[index].key.scope,
                                               first_fragment(index)});
                }
                forget(index);
                ++count;
            }
        }
        return count;
    }
    // When expire() has something to do next.
    [[nodiscard]] std::optional<Instant> next_expiry() const;

    [[nodiscard]] size_t datagrams() const { return entries_.size() - free_entries_.size(); }
    [[nodiscard]] size_t bytes() const {
        return (blocks_.size() / kReassemblyBlock - free_blocks_.size()) * kReassemblyBlock;
    }

  private:
    static constexpr uint32_t kNone = UINT32_MAX;
    static constexpr size_t kPayloadBlocks = 64;  // 65536 bytes
    static constexpr uint32_t kNoEnd = UINT32_MAX;

    struct Key {
        Family family = Family::ip4;
        wire::IpProtocol protocol{};  // IPv4 only
        uint32_t scope = 0;
        uint32_t id = 0;
        IpAddress source;
        IpAddress destination;
        bool operator==(const Key&) const = default;
    };
    // One fragment, whatever the family.
    struct Part {
        wire::Bytes header;  // all in front of the payload, an IPv6 fragment header included
        wire::Bytes payload = {};
        uint32_t offset = 0;
        bool more = false;
        uint8_t ecn = 0;
        bool dont_fragment = false;      // IPv4
        wire::IpProtocol next_header{};  // IPv6: what the fragment header names
        uint16_t named_at = 0;           // IPv6: the field that names the fragment header
    };
    struct Datagram {
        Key key;
        Instant deadline;
        uint32_t hash_next = kNone;
        uint32_t source_next = kNone;
        uint32_t older = kNone;
        uint32_t newer = kNone;
        uint32_t end = kNoEnd;  // of the payload, once the last fragment came
        uint32_t received = 0;
        uint32_t header_block = kNone;
        uint16_t header_length = 0;
        uint16_t named_at = 0;
        uint16_t piece_count = 0;
        uint16_t largest = 0;                   // packet among the fragments; 0 before the first
        bool largest_may_not_fragment = false;  // IPv4: it had "don't fragment"
        wire::IpProtocol next_header{};
        uint8_t ecn_seen = 0;  // bit n: a fragment with ECN field n
        bool discarded = false;
        std::array<uint32_t, kPayloadBlocks> blocks{};
        std::array<FragmentSpan, kMaxFragments> pieces{};  // by offset, disjoint
    };
    // Datagrams of one family by age; they all have the same timeout.
    struct Age {
        uint32_t oldest = kNone;
        uint32_t newest = kNone;
    };

    FragmentResult add(const Key& key, const Part& part, Instant now);
    FragmentResult keep(const Key& key, const Part& part, Instant now);
    [[nodiscard]] uint32_t find(const Key& key) const;
    FragmentRefusal admit(const Key& key, Instant now, uint32_t& index);
    FragmentRefusal insert(Datagram& datagram, const Part& part);
    FragmentRefusal place_of(const Datagram& datagram, const Part& part, size_t& place) const;
    [[nodiscard]] bool is_duplicate(const Datagram& datagram, const Part& part, size_t behind) const;
    bool store(Datagram& datagram, const Part& part);
    bool take_block(const Datagram& for_whom, uint32_t& index);
    [[nodiscard]] Instant began(uint32_t index) const;
    [[nodiscard]] uint32_t oldest_but(const Datagram* kept) const;
    void evict(uint32_t index);
    FragmentResult assemble(uint32_t index);
    size_t write_header(Family family, const Part& first, size_t payload_size);
    void throw_away(uint32_t index);
    void forget(uint32_t index);
    void release_blocks(Datagram& datagram);
    wire::Bytes first_fragment(uint32_t index);
    [[nodiscard]] bool same_payload(const Datagram& datagram, const Part& part) const;
    void copy_payload(const Datagram& datagram, size_t size, uint8_t* to) const;
    uint8_t* block(uint32_t index) { return blocks_.data() + size_t{index} * kReassemblyBlock; }
    [[nodiscard]] const uint8_t* block(uint32_t index) const {
        return blocks_.data() + size_t{index} * kReassemblyBlock;
    }
    [[nodiscard]] uint32_t bucket(const Key& key) const;
    [[nodiscard]] uint32_t source_bucket(const IpAddress& source) const;
    Age& age_of(Family family) { return ages_[family == Family::ip4 ? 0 : 1]; }

    ReassemblyLimits limits_;
    uint64_t seed_;
    uint32_t bucket_mask_;
    std::array<Age, 2> ages_{};
    std::vector<Datagram> entries_;
    std::vector<uint32_t> free_entries_;
    std::vector<uint32_t> by_key_;     // heads of chains through hash_next
    std::vector<uint32_t> by_source_;  // heads of chains through source_next
    std::vector<uint8_t> blocks_;
    std::vector<uint32_t> free_blocks_;
    EvictedDatagrams evicted_;    // by the present add()
    std::vector<uint8_t> whole_;  // what add() and expire() hand out
    std::array<FragmentSpan, kMaxFragments> spans_{};
};

}  // namespace sluice::table
