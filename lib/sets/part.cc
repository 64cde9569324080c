#include "sets/part.hh"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/prefetch.hh"
#include "base/random.hh"
#include "sets/set.hh"
#include "sets/wide.hh"

namespace sluice::sets {
namespace {

constexpr size_t kKinds = SlotRef::kKinds;
// Asking one or two shapes is cheaper than asking for hints.
constexpr size_t kShapesWithoutHints = 2;
constexpr unsigned kMinHintBits = 8;
constexpr unsigned kMaxHintBits = 20;
// A prefix stands in at most 2^6 hints.
constexpr unsigned kHintSpread = 6;
constexpr int kMostGrowths = 4;

uint64_t folded(uint64_t a, uint64_t b) {
    const Wide product = Wide{a} * b;
    return static_cast<uint64_t>(product >> 64) ^ static_cast<uint64_t>(product);
}

// About four hints a piece, so that what stands in one is near.
unsigned hint_bits(size_t pieces) {
    return std::clamp(static_cast<unsigned>(std::bit_width(pieces)) + 1, kMinHintBits, kMaxHintBits);
}

}  // namespace

Part::Layout::Layout(size_t pieces, bool hinted, bool dense)
    : index(pieces, dense),
      hints(hinted ? size_t{1} << hint_bits(pieces) : 0, dense),
      hint_shift(32 - hint_bits(pieces)) {}

Part::Part(const Plan& plan)
    : plan_(plan),
      words_((plan.type.key_bytes(plan.family) + 7) / 8),
      exact_tags_(plan.type.size() == 1 && plan.type.key_bytes(plan.family) <= 4),
      hinted_(plan.type[0] == FieldKind::net),
      full_(full_lengths(plan.type, plan.family)),
      multiplier_(Random(plan.seed).next() | 1),
      records_(plan.type, plan.family, plan.capacity, plan.counters, plan.dense),
      layout_store_(std::make_shared<Layout>(plan.pieces, hinted_, plan.dense)),
      layout_(layout_store_.get()),
      shapes_(nullptr) {
    add_shape(full_, [](const std::function<void()>&) {});
    if (plan.conditions)
        records_.condition(0);
}

Part::~Part() = default;

Part::Hashed Part::hash_of(const KeyWords& key, const KeyWords& mask, size_t shape) const {
    uint64_t hash = plan_.seed + shape * 0x9e3779b97f4a7c15U;
    const uint64_t first = key[0] & mask[0];
    hash = folded(hash ^ first, multiplier_);
    for (size_t word = 1; word < words_; ++word)
        hash = folded(hash ^ (key[word] & mask[word]), multiplier_);
    return {hash, static_cast<uint32_t>(exact_tags_ ? first : hash)};
}

inline Part::Hashed Part::hash_of_whole(const KeyWords& key) const {
    uint64_t hash = folded(plan_.seed ^ key[0], multiplier_);
    for (size_t word = 1; word < words_; ++word)
        hash = folded(hash ^ key[word], multiplier_);
    return {hash, static_cast<uint32_t>(exact_tags_ ? key[0] : hash)};
}

// The first bits of an IPv4 address choose directly, those of an IPv6 address, which crowd in few places, by
// a hash of the first 32.
size_t Part::hint_place(const Layout& layout, const KeyWords& key) const {
    const auto first = static_cast<uint32_t>(key[0]);
    if (plan_.family == Family::ip4)
        return __builtin_bswap32(first) >> layout.hint_shift;
    return static_cast<uint32_t>(folded(plan_.seed ^ first, multiplier_) >> 32) >> layout.hint_shift;
}

uint64_t Part::hints_for(const Layout& layout, const Shapes& shapes, const KeyWords& key) const {
    const uint64_t all =
        shapes.list.size() >= kKinds ? ~uint64_t{0} : (uint64_t{1} << shapes.list.size()) - 1;
    if (!hinted_ || shapes.list.size() <= kShapesWithoutHints)
        return all;
    return (layout.hints[hint_place(layout, key)].load(std::memory_order_acquire) |
            layout.always.load(std::memory_order_acquire)) &
           all;
}

void Part::hint(Layout& layout, const Piece& piece, size_t shape) const {
    const uint64_t bit = uint64_t{1} << (shape % kKinds);
    const unsigned chosen_by = plan_.family == Family::ip4 ? 32 - layout.hint_shift : 32;
    const unsigned length = piece.lengths[0];
    // There is one writer: no other bit is lost between load and store.
    const auto mark = [bit](std::atomic<uint64_t>& hints) {
        const uint64_t before = hints.load(std::memory_order_relaxed);
        if ((before & bit) == 0)
            hints.store(before | bit, std::memory_order_release);
    };
    if (length >= chosen_by) {
        mark(layout.hints[hint_place(layout, piece.key)]);
    } else if (plan_.family == Family::ip4 && chosen_by - length <= kHintSpread) {
        const size_t first = hint_place(layout, piece.key);
        for (size_t at = first; at < first + (size_t{1} << (chosen_by - length)); ++at)
            mark(layout.hints[at]);
    } else {
        mark(layout.always);
    }
}

bool Part::accepts(SlotRef ref, size_t shape, const Fields& fields, const View& view) const {
    if (exact_tags_ ? ref.kind != shape : !records_.contains(ref.record, fields))
        return false;
    return !ref.conditional || records_.holds(ref.record, view);
}

uint32_t Part::find(const Fields& fields, const View& view) const {
    const Layout& layout = *layout_.load(std::memory_order_acquire);
    const Shapes& shapes = *shapes_.load(std::memory_order_acquire);
    uint64_t candidates = hints_for(layout, shapes, fields.words());
    for (; candidates != 0; candidates &= candidates - 1) {
        for (auto shape = static_cast<size_t>(std::countr_zero(candidates)); shape < shapes.list.size();
             shape += kKinds) {
            const Hashed hashed = hash_of(fields.words(), shapes.list[shape].mask, shape);
            const uint32_t record = layout.index.search(
                hashed.hash, hashed.tag, [&](SlotRef ref) { return accepts(ref, shape, fields, view); });
            if (record != 0)
                return record;
        }
    }
    return 0;
}

void Part::prefetch_records(const Layout& layout, std::span<const Hashed> hashes, uint64_t wanted) const {
    for (; wanted != 0; wanted &= wanted - 1) {
        const Hashed& hashed = hashes[static_cast<size_t>(std::countr_zero(wanted))];
        layout.index.search(hashed.hash, hashed.tag, [this](SlotRef ref) {
            records_.prefetch(ref.record);
            return true;
        });
    }
}

template <bool exact>
uint64_t Part::ask_one_shape(const Layout& layout, std::span<const Fields> probes, uint64_t wanted,
                             const View& view) const {
    std::array<Hashed, kMaxSetBurst> hashes;
    for (uint64_t left = wanted; left != 0; left &= left - 1) {
        const auto i = static_cast<size_t>(std::countr_zero(left));
        hashes[i] = hash_of_whole(probes[i].words());
        layout.index.prefetch(hashes[i].hash);
    }
    if constexpr (!exact)
        prefetch_records(layout, hashes, wanted);
    uint64_t found = 0;
    for (uint64_t left = wanted; left != 0; left &= left - 1) {
        const auto i = static_cast<size_t>(std::countr_zero(left));
        const uint32_t record = layout.index.search(hashes[i].hash, hashes[i].tag, [&](SlotRef ref) {
            return (exact || records_.contains(ref.record, probes[i])) &&
                   (!ref.conditional || records_.holds(ref.record, view));
        });
        found |= uint64_t{record != 0} << i;
    }
    return found;
}

// ask_one_shape<true>() of nothing but addresses.
uint64_t Part::ask_addresses(const Layout& layout, std::span<const Ip4Address> addresses, uint64_t wanted,
                             const View& view) const {
    std::array<uint64_t, kMaxSetBurst> hashes;
    const auto word = [&](size_t i) { return addresses[i].wire().wire(); };
    for (uint64_t left = wanted; left != 0; left &= left - 1) {
        const auto i = static_cast<size_t>(std::countr_zero(left));
        hashes[i] = folded(plan_.seed ^ word(i), multiplier_);
        layout.index.prefetch(hashes[i]);
    }
    uint64_t found = 0;
    uint64_t more = 0;
    for (uint64_t left = wanted; left != 0; left &= left - 1) {
        const auto i = static_cast<size_t>(std::countr_zero(left));
        const auto seen = layout.index.glance(hashes[i], word(i));
        found |= uint64_t{seen.held} << i;
        more |= uint64_t{seen.more} << i;
    }
    for (uint64_t left = more & ~found; left != 0; left &= left - 1) {
        const auto i = static_cast<size_t>(std::countr_zero(left));
        const uint32_t record = layout.index.search(hashes[i], word(i), [&](SlotRef ref) {
            return !ref.conditional || records_.holds(ref.record, view);
        });
        found |= uint64_t{record != 0} << i;
    }
    return found;
}

uint64_t Part::ask_shapes(const Layout& layout, const Shapes& shapes, std::span<const Fields> probes,
                          uint64_t wanted, const View& view) const {
    struct Pending {
        uint64_t candidates;  // shapes to ask, as bits id % 64
        size_t shape;         // the one being asked
    };
    std::array<Pending, kMaxSetBurst> pending;
    std::array<Hashed, kMaxSetBurst> hashes;
    const bool hinted = hinted_ && shapes.list.size() > kShapesWithoutHints;
    if (hinted)
        for (uint64_t left = wanted; left != 0; left &= left - 1)
            prefetch_line(&layout.hints[hint_place(
                layout, probes[static_cast<size_t>(std::countr_zero(left))].words())]);
    for (uint64_t left = wanted; left != 0; left &= left - 1) {
        const auto i = static_cast<size_t>(std::countr_zero(left));
        pending[i].candidates = hints_for(layout, shapes, probes[i].words());
        pending[i].shape = static_cast<size_t>(std::countr_zero(pending[i].candidates));
        if (pending[i].candidates == 0)
            wanted &= ~(uint64_t{1} << i);
    }
    uint64_t found = 0;
    // Every round asks the next shape of each probe that has not been found yet.
    while (wanted != 0) {
        for (uint64_t left = wanted; left != 0; left &= left - 1) {
            const auto i = static_cast<size_t>(std::countr_zero(left));
            Pending& probe = pending[i];
            hashes[i] = hash_of(probes[i].words(), shapes.list[probe.shape].mask, probe.shape);
            layout.index.prefetch(hashes[i].hash);
        }
        if (!exact_tags_)
            prefetch_records(layout, hashes, wanted);
        for (uint64_t left = wanted; left != 0; left &= left - 1) {
            const auto i = static_cast<size_t>(std::countr_zero(left));
            const uint64_t bit = uint64_t{1} << i;
            Pending& probe = pending[i];
            const bool hit = layout.index.search(hashes[i].hash, hashes[i].tag, [&](SlotRef ref) {
                return accepts(ref, probe.shape, probes[i], view);
            }) != 0;
            if (hit)
                found |= bit;
            probe.shape += kKinds;
            if (probe.shape >= shapes.list.size()) {
                probe.candidates &= probe.candidates - 1;
                probe.shape = static_cast<size_t>(std::countr_zero(probe.candidates));
            }
            if (hit || probe.candidates == 0)
                wanted &= ~bit;
        }
    }
    return found;
}

bool Part::contains(const Fields& fields, const View& view) const {
    if (prefixes_) {
        const bool inside = prefixes_->contains(fields);
        if (!(inside ? any_leaving_ : any_added_).load(std::memory_order_acquire))
            return inside;
    }
    return find(fields, view) != 0;
}

template <typename Probe>
uint64_t Part::ask_prefixes(std::span<const Probe> probes, uint64_t& wanted) const {
    if (!prefixes_)
        return 0;
    uint64_t found = 0;
    const uint64_t inside = prefixes_->contains_burst(probes) & wanted;
    if (!any_leaving_.load(std::memory_order_acquire)) {
        found = inside;
        wanted &= ~inside;
    }
    if (!any_added_.load(std::memory_order_acquire))
        wanted &= inside;
    return found;
}

uint64_t Part::contains_burst(std::span<const Ip4Address> addresses, uint64_t wanted,
                              const View& view) const {
    const uint64_t found = ask_prefixes(addresses, wanted);
    if (wanted == 0)
        return found;
    const Layout& layout = *layout_.load(std::memory_order_acquire);
    const Shapes& shapes = *shapes_.load(std::memory_order_acquire);
    if (shapes.list.size() == 1)
        return found | ask_addresses(layout, addresses, wanted, view);
    std::array<Fields, kMaxSetBurst> probes;
    for (size_t i = 0; i < addresses.size(); ++i)
        probes[i].add(addresses[i]);
    return found | ask_shapes(layout, shapes, std::span(probes).first(addresses.size()), wanted, view);
}

uint64_t Part::contains_burst(std::span<const Fields> probes, uint64_t wanted, const View& view) const {
    const uint64_t found = ask_prefixes(probes, wanted);
    if (wanted == 0)
        return found;
    const Layout& layout = *layout_.load(std::memory_order_acquire);
    const Shapes& shapes = *shapes_.load(std::memory_order_acquire);
    if (shapes.list.size() != 1)
        return found | ask_shapes(layout, shapes, probes, wanted, view);
    return found | (exact_tags_ ? ask_one_shape<true>(layout, probes, wanted, view)
                                : ask_one_shape<false>(layout, probes, wanted, view));
}

uint32_t Part::find_same(const ElementValue& value, const std::function<bool(uint32_t)>& skip) const {
    Piece piece;
    if (is_single(value))
        piece = single_piece(value);
    else if (!is_one_piece(plan_.type, value, piece))
        piece = first_piece(plan_.type, value);
    const auto known = shape_of(piece.lengths);
    if (!known)
        return 0;
    const size_t shape = *known;
    const Hashed hashed = hash_of(piece.key, shapes_store_->list[shape].mask, shape);
    return layout_store_->index.search(hashed.hash, hashed.tag, [&](SlotRef ref) {
        return records_.same(ref.record, value) && !skip(ref.record);
    });
}

uint32_t Part::find_exact(const Fields& fields, uint32_t epoch) const {
    const Hashed hashed = hash_of(fields.words(), shapes_store_->list[0].mask, 0);
    return layout_store_->index.search(hashed.hash, hashed.tag, [&](SlotRef ref) {
        if (exact_tags_ ? ref.kind != 0 : !records_.contains(ref.record, fields))
            return false;
        const Condition* condition = records_.condition_if_any(ref.record);
        return condition == nullptr || condition->exists(epoch);
    });
}

uint32_t Part::find_overlapping(const ElementValue& value, const View& view) const {
    const size_t width = plan_.type.key_bytes(plan_.family);
    const Wide low = load_wide(value.low.data(), width);
    const Wide high = load_wide(value.high.data(), width);
    const Fields first = Fields::of_bytes(plan_.family, value.low.data(), width);
    if (const uint32_t record = find(first, view); record != 0 && !records_.same(record, value))
        return record;
    if (low == high)
        return 0;
    for (uint32_t record = 1; record < records_.end(); ++record) {
        if (records_.state(record) != RecordState::live || !records_.holds(record, view))
            continue;
        const ElementValue other = records_.value(record);
        if (load_wide(other.low.data(), width) <= high && load_wide(other.high.data(), width) >= low &&
            !(other == value))
            return record;
    }
    return 0;
}

Piece Part::single_piece(const ElementValue& value) const {
    Piece piece;
    std::memcpy(piece.key.data(), value.low.data(), sizeof piece.key);
    piece.lengths = full_;
    return piece;
}

std::optional<size_t> Part::shape_of(const PrefixLengths& lengths) const {
    if (lengths == full_)
        return 0;
    const auto known = shape_ids_.find(packed(lengths));
    return known == shape_ids_.end() ? std::nullopt : std::optional(known->second);
}

void Part::add_shape(const PrefixLengths& lengths, const Retire& retire) {
    auto shapes = shapes_store_ ? std::make_shared<Shapes>(*shapes_store_) : std::make_shared<Shapes>();
    const size_t id = shapes->list.size();
    shapes->list.push_back({mask_of(plan_.type, plan_.family, lengths), lengths});
    shape_ids_.emplace(packed(lengths), id);
    const auto old = std::exchange(shapes_store_, std::move(shapes));
    shapes_.store(shapes_store_.get(), std::memory_order_release);
    if (old)
        retire([old] {});
}

Expected<void> Part::need_shapes(const ElementValue& value, const Retire& retire) {
    bool room = true;
    for_each_piece(plan_.type, value, [&](const Piece& piece) {
        if (shape_ids_.contains(packed(piece.lengths)))
            return;
        room = room && shape_ids_.size() < kMaxShapes;
        if (room)
            add_shape(piece.lengths, retire);
    });
    if (!room)
        return fail("the set holds too many combinations of prefix lengths already",
                    "a set may have " + std::to_string(kMaxShapes) + "; use fewer different ones");
    return {};
}

bool Part::insert_piece(Layout& layout, const Piece& piece, uint32_t record, bool conditional) {
    const size_t shape = *shape_of(piece.lengths);
    const Hashed hashed = hash_of(piece.key, shapes_store_->list[shape].mask, shape);
    if (hinted_)
        hint(layout, piece, shape);
    return layout.index.insert(hashed.hash, hashed.tag,
                               {record, conditional, static_cast<uint8_t>(shape % kKinds)});
}

bool Part::insert_pieces(Layout& layout, uint32_t record, const ElementValue& value, bool conditional) {
    if (is_single(value))
        return insert_piece(layout, single_piece(value), record, conditional);
    bool good = true;
    for_each_piece(plan_.type, value, [&](const Piece& piece) {
        good = good && insert_piece(layout, piece, record, conditional);
    });
    return good;
}

bool Part::is_conditional(uint32_t record) const {
    const Condition* condition = records_.condition_if_any(record);
    return condition != nullptr && (condition->birth.load(std::memory_order_relaxed) != 0 ||
                                    condition->death.load(std::memory_order_relaxed) != 0 ||
                                    condition->expires.load(std::memory_order_relaxed) != 0);
}

// Lays everything out anew with more room.
bool Part::grow(const Retire& retire) {
    size_t pieces = layout_store_->index.pieces();
    for (int attempt = 0; attempt < kMostGrowths; ++attempt) {
        pieces = pieces * 2 + 16;
        auto larger = std::make_shared<Layout>(pieces, hinted_, plan_.dense);
        bool good = true;
        for (uint32_t record = 1; good && record < records_.end(); ++record)
            if (records_.state(record) == RecordState::live)
                good = insert_pieces(*larger, record, records_.value(record), is_conditional(record));
        if (!good)
            continue;
        const auto old = std::exchange(layout_store_, std::move(larger));
        layout_.store(layout_store_.get(), std::memory_order_release);
        retire([old] {});
        return true;
    }
    return false;
}

Expected<uint32_t> Part::insert(const ElementValue& value, const Start& start, const Retire& retire) {
    Piece whole;
    const bool known =
        is_single(value) || (is_one_piece(plan_.type, value, whole) && shape_of(whole.lengths).has_value());
    if (!known) {
        const size_t pieces = count_pieces(plan_.type, value);
        if (pieces > kMaxPieces)
            return fail(
                "'" + format(plan_.type, value) + "' would take " + std::to_string(pieces) + " prefixes",
                "expected ranges that make at most " + std::to_string(kMaxPieces) +
                    "; write several smaller elements");
        if (auto good = need_shapes(value, retire); !good)
            return std::unexpected(std::move(good.error()));
    }
    any_added_.store(true, std::memory_order_release);
    const uint32_t record = records_.allocate(value, start);
    if (record == 0)
        return fail("the set is full", "it was declared for " + std::to_string(plan_.capacity) +
                                           " elements; declare a larger `size`");
    bool good = !layout_store_->index.is_crowded() &&
                insert_pieces(*layout_store_, record, value, start.is_conditional());
    for (int attempt = 0; !good && attempt < kMostGrowths; ++attempt)
        good = grow(retire) && insert_pieces(*layout_store_, record, value, start.is_conditional());
    records_.set_state(record, RecordState::live);
    if (!good) {
        unlink(record);
        return fail("the set has no room for '" + format(plan_.type, value) + "'");
    }
    return record;
}

uint32_t Part::insert_exact(const Fields& fields, const Start& start) {
    any_added_.store(true, std::memory_order_release);
    const uint32_t record = records_.allocate(ElementValue::of(fields), start);
    if (record == 0)
        return 0;
    records_.set_state(record, RecordState::live);
    if (insert_piece(*layout_store_, {fields.words(), shapes_store_->list[0].lengths}, record,
                     start.is_conditional()))
        return record;
    records_.release(record);
    return 0;
}

void Part::set_conditional(uint32_t record, bool conditional) {
    if (conditional)
        any_leaving_.store(true, std::memory_order_release);
    for_each_piece(plan_.type, records_.value(record), [&](const Piece& piece) {
        const size_t shape = *shape_of(piece.lengths);
        const Hashed hashed = hash_of(piece.key, shapes_store_->list[shape].mask, shape);
        layout_store_->index.replace(hashed.hash, hashed.tag,
                                     {record, conditional, static_cast<uint8_t>(shape % kKinds)});
    });
}

void Part::unlink(uint32_t record) {
    any_leaving_.store(true, std::memory_order_release);
    for_each_piece(plan_.type, records_.value(record), [&](const Piece& piece) {
        const size_t shape = *shape_of(piece.lengths);
        const Hashed hashed = hash_of(piece.key, shapes_store_->list[shape].mask, shape);
        layout_store_->index.erase(hashed.hash, hashed.tag, record);
    });
    records_.set_state(record, RecordState::leaving);
}

void Part::settle() {
    const bool networks = plan_.type.size() == 1 && plan_.type.has_interval() && hinted_;
    if (!networks || shapes_store_->list.size() == 1)
        return;
    std::vector<Piece> pieces;
    pieces.reserve(layout_store_->index.pieces());
    bool conditional = false;
    for (uint32_t record = 1; record < records_.end(); ++record) {
        if (records_.state(record) != RecordState::live)
            continue;
        conditional = conditional || is_conditional(record);
        for_each_piece(plan_.type, records_.value(record),
                       [&pieces](const Piece& piece) { pieces.push_back(piece); });
    }
    prefixes_.emplace(plan_.family, pieces);
    any_added_.store(false, std::memory_order_relaxed);
    any_leaving_.store(conditional, std::memory_order_relaxed);
}

size_t Part::shape_count() const {
    return shapes_.load(std::memory_order_acquire)->list.size();
}

size_t Part::memory_bytes() const {
    const Layout& layout = *layout_store_;
    return layout.index.memory_bytes() + layout.hints.size() * sizeof(uint64_t) + records_.memory_bytes() +
           (prefixes_ ? prefixes_->memory_bytes() : 0);
}

}  // namespace sluice::sets
