// The elements of one family in a set: records, and how they are found by a packet's key.
//
// Elements are cut into pieces whose fields are prefixes (piece.hh). A piece is hashed with its shape; a
// lookup masks its key for each shape and asks the index. In sets that begin with a network, a small table
// over the first bits of the address tells which shapes are worth asking, since of the many lengths a list of
// networks has, few occur near any one address. Networks that were loaded are in a table of prefixes besides,
// which answers alone unless something has come or gone since.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/error.hh"
#include "sets/index.hh"
#include "sets/piece.hh"
#include "sets/prefix_table.hh"
#include "sets/records.hh"

namespace sluice::sets {

using Retire = std::function<void(std::function<void()>)>;

// Combinations of prefix lengths in one set; each costs lookups time.
inline constexpr size_t kMaxShapes = 4096;

class Part {
  public:
    struct Plan {
        SetType type;
        Family family = Family::ip4;
        uint32_t capacity = 0;  // most elements
        size_t pieces = 0;      // to expect
        bool counters = false;
        bool conditions = false;  // make room for times at once
        bool dense = false;       // filled at once rather than bit by bit
        uint64_t seed = 0;
    };
    explicit Part(const Plan& plan);
    ~Part();
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;

    // ── Readers ──
    // The record of an element the key falls into, or 0.
    [[nodiscard]] uint32_t find(const Fields& fields, const View& view) const;
    // Whether there is one.
    [[nodiscard]] bool contains(const Fields& fields, const View& view) const;
    // The same for those of a burst whose bit is set; gives the bits of those found.
    [[nodiscard]] uint64_t contains_burst(std::span<const Fields> probes, uint64_t wanted,
                                          const View& view) const;
    // Of a part of IPv4 whose keys are an address each.
    [[nodiscard]] uint64_t contains_burst(std::span<const Ip4Address> addresses, uint64_t wanted,
                                          const View& view) const;

    // ── The writer, under the set's lock ──
    // The live record of exactly this value, whatever its conditions, or 0; `skip` leaves some out.
    [[nodiscard]] uint32_t find_same(const ElementValue& value,
                                     const std::function<bool(uint32_t)>& skip) const;
    // The record of a single key that exists in the epoch, expired or not, without anything on the heap.
    [[nodiscard]] uint32_t find_exact(const Fields& fields, uint32_t epoch) const;
    // An element that exists in the view, meets this box and is not the same, or 0. Walks over all unless the
    // box is a single key.
    [[nodiscard]] uint32_t find_overlapping(const ElementValue& value, const View& view) const;
    // Puts an element in; readers may see some of its pieces before others, unless its birth is ahead. An
    // error if there is no room or it has too many pieces.
    Expected<uint32_t> insert(const ElementValue& value, const Start& start, const Retire& retire);
    // The same for one key, with nothing on the heap; 0 if there is no room.
    uint32_t insert_exact(const Fields& fields, const Start& start);
    // Readers ask its condition, or do not any longer.
    void set_conditional(uint32_t record, bool conditional);
    // Takes it out of the index. Release the record after a grace period.
    void unlink(uint32_t record);
    // All that was known beforehand is in. Makes lookups of networks faster; before there are readers.
    void settle();

    [[nodiscard]] Records& records() { return records_; }
    [[nodiscard]] const Records& records() const { return records_; }
    [[nodiscard]] size_t shape_count() const;
    [[nodiscard]] size_t memory_bytes() const;

  private:
    struct Shape {
        KeyWords mask{};
        PrefixLengths lengths{};
    };
    // Which shapes there are; replaced when one is new.
    struct Shapes {
        std::vector<Shape> list;
    };
    // What is replaced when it has become too small.
    struct Layout {
        Layout(size_t pieces, bool hinted, bool dense);
        Index index;
        // By the first bits of a key. Bit id % 64: such shapes may be found here.
        table::ZeroedArray<std::atomic<uint64_t>> hints;
        unsigned hint_shift = 0;          // 32 - bits that choose a hint
        std::atomic<uint64_t> always{0};  // shapes too wide to stand in every hint they would belong to
    };
    struct Hashed {
        uint64_t hash;
        uint32_t tag;
    };

    // Answers from the table of prefixes, if there is one and it knows; `wanted` are left to be asked.
    template <typename Probe>
    [[nodiscard]] uint64_t ask_prefixes(std::span<const Probe> probes, uint64_t& wanted) const;
    // `exact`: see exact_tags_.
    template <bool exact>
    [[nodiscard]] uint64_t ask_one_shape(const Layout& layout, std::span<const Fields> probes,
                                         uint64_t wanted, const View& view) const;
    [[nodiscard]] uint64_t ask_addresses(const Layout& layout, std::span<const Ip4Address> addresses,
                                         uint64_t wanted, const View& view) const;
    [[nodiscard]] uint64_t ask_shapes(const Layout& layout, const Shapes& shapes,
                                      std::span<const Fields> probes, uint64_t wanted,
                                      const View& view) const;
    void prefetch_records(const Layout& layout, std::span<const Hashed> hashes, uint64_t wanted) const;
    [[nodiscard]] Hashed hash_of(const KeyWords& key, const KeyWords& mask, size_t shape) const;
    // The same for the full shape, which is 0.
    [[nodiscard]] Hashed hash_of_whole(const KeyWords& key) const;
    [[nodiscard]] uint64_t hints_for(const Layout& layout, const Shapes& shapes, const KeyWords& key) const;
    [[nodiscard]] size_t hint_place(const Layout& layout, const KeyWords& key) const;
    [[nodiscard]] bool accepts(SlotRef ref, size_t shape, const Fields& fields, const View& view) const;
    // The full shape is 0.
    [[nodiscard]] std::optional<size_t> shape_of(const PrefixLengths& lengths) const;
    [[nodiscard]] Piece single_piece(const ElementValue& value) const;
    static uint32_t packed(const PrefixLengths& lengths) {
        return uint32_t{lengths[0]} << 16 | uint32_t{lengths[1]} << 8 | lengths[2];
    }
    Expected<void> need_shapes(const ElementValue& value, const Retire& retire);
    void add_shape(const PrefixLengths& lengths, const Retire& retire);
    void hint(Layout& layout, const Piece& piece, size_t shape) const;
    bool insert_piece(Layout& layout, const Piece& piece, uint32_t record, bool conditional);
    bool insert_pieces(Layout& layout, uint32_t record, const ElementValue& value, bool conditional);
    bool grow(const Retire& retire);
    [[nodiscard]] bool is_conditional(uint32_t record) const;

    Plan plan_;
    size_t words_;     // of a key
    bool exact_tags_;  // a tag is the masked key itself: records need not be asked
    bool hinted_;
    PrefixLengths full_;
    uint64_t multiplier_;
    Records records_;
    std::unordered_map<uint32_t, size_t> shape_ids_;
    std::optional<PrefixTable> prefixes_;
    std::atomic<bool> any_added_{false};    // since `prefixes_` was built: it may not know what is in
    std::atomic<bool> any_leaving_{false};  // it may not know what is out
    std::shared_ptr<Layout> layout_store_;
    std::shared_ptr<const Shapes> shapes_store_;
    std::atomic<Layout*> layout_;
    std::atomic<const Shapes*> shapes_;
};

}  // namespace sluice::sets
