#include "sets/set.hh"

#include <algorithm>
#include <mutex>
#include <utility>

#include "sets/body.hh"
#include "sets/body_builder.hh"
#include "sets/overlap.hh"
#include "sets/wide.hh"

namespace sluice::sets {

Set::Set(std::string name, const SetOptions& options, uint64_t seed, Retire retire)
    : name_(std::move(name)),
      options_(options),
      seed_(seed),
      retire_(std::move(retire)),
      owned_(std::make_shared<Body>(options, seed, std::array<size_t, 2>{})),
      body_(owned_.get()) {
    changed();
}

Set::~Set() {
    retire_([body = owned_] {});
}

bool Set::contains(const Fields& fields, Instant now) const {
    const Body& body = *body_.load(std::memory_order_acquire);
    return body.part(fields.family()).contains(fields, body.view(now));
}

bool Set::contains(const Fields& fields, Instant now, uint32_t bytes) const {
    Body& body = *body_.load(std::memory_order_acquire);
    Part& part = body.part(fields.family());
    if (!options_.counters)
        return part.contains(fields, body.view(now));
    const uint32_t record = part.find(fields, body.view(now));
    if (record != 0)
        part.records().count(record, bytes);
    return record != 0;
}

namespace {

constexpr uint64_t first_bits(size_t count) {
    return count < kMaxSetBurst ? (uint64_t{1} << count) - 1 : ~uint64_t{0};
}

}  // namespace

uint64_t Set::lookup_burst(std::span<const Ip4Address> addresses, Instant now, uint64_t wanted) const {
    const Body& body = *body_.load(std::memory_order_acquire);
    return body.part(Family::ip4)
        .contains_burst(addresses, wanted & first_bits(addresses.size()), body.view(now));
}

uint64_t Set::lookup_burst(std::span<const Fields> probes, Instant now, uint64_t wanted) const {
    const Body& body = *body_.load(std::memory_order_acquire);
    const View view = body.view(now);
    wanted &= first_bits(probes.size());
    uint64_t ip6 = 0;
    for (size_t i = 0; i < probes.size(); ++i)
        ip6 |= uint64_t{probes[i].family() == Family::ip6} << i;
    uint64_t found = 0;
    if ((wanted & ~ip6) != 0)
        found |= body.part(Family::ip4).contains_burst(probes, wanted & ~ip6, view);
    if ((wanted & ip6) != 0)
        found |= body.part(Family::ip6).contains_burst(probes, wanted & ip6, view);
    return found;
}

bool Set::add(const Fields& fields, Instant now, uint32_t bytes) {
    return add_one(fields, now, bytes, false);
}

bool Set::update(const Fields& fields, Instant now, uint32_t bytes) {
    return add_one(fields, now, bytes, true);
}

bool Set::add_one(const Fields& fields, Instant now, uint32_t bytes, bool refresh) {
    for (;;) {
        Body& body = *body_.load(std::memory_order_acquire);
        const std::scoped_lock held(body.lock());
        if (&body != body_.load(std::memory_order_acquire))
            continue;  // it was replaced while waiting
        Part& part = body.part(fields.family());
        Records& records = part.records();
        const Start start = body.start(std::nullopt, now);
        bool added = false;
        uint32_t record = part.find(fields, body.view(now));
        if (record == 0) {
            record = part.find_exact(fields, body.epoch());
            if (record != 0 && records.same(record, ElementValue::of(fields))) {
                // It has expired but was not swept yet: it begins again.
                records.restart(record, start);
                added = true;
            } else {
                record = 0;
            }
        } else if (refresh && start.expires != 0) {
            if (records.condition(record).expires.load(std::memory_order_relaxed) != 0)
                records.condition(record).expires.store(start.expires, std::memory_order_relaxed);
        }
        if (record == 0) {
            // It may be one of several that the operator is adding: it counts from now on.
            record = part.find_exact(fields, body.epoch() + 1);
            if (record != 0 && records.same(record, ElementValue::of(fields))) {
                if (records.condition(record).expired(now))
                    records.restart(record, start);
                records.condition(record).birth.store(body.epoch(), std::memory_order_relaxed);
                added = true;
            } else {
                record = 0;  // a range that ends with it
            }
        }
        if (record == 0) {
            if (!body.take_place()) {
                counters_.full.fetch_add(1, std::memory_order_relaxed);
                return false;
            }
            record = part.insert_exact(fields, start);
            if (record == 0) {
                body.give_place(1);
                counters_.full.fetch_add(1, std::memory_order_relaxed);
                return false;
            }
            added = true;
        }
        if (options_.counters)
            records.count(record, bytes);
        if (added) {
            counters_.added.fetch_add(1, std::memory_order_relaxed);
            generation_.fetch_add(1, std::memory_order_release);
        }
        return true;
    }
}

void Set::changed() {
    const bool was = repeatable_.load(std::memory_order_relaxed);
    const bool is = !options_.counters && !options_.dynamic && !owned_->has_times();
    repeatable_.store(is, std::memory_order_release);
    generation_.fetch_add(1, std::memory_order_release);
    if ((was || is) && shared_generation_)
        shared_generation_->fetch_add(1, std::memory_order_release);
}

void Set::release_later(std::vector<std::pair<size_t, uint32_t>> records) {
    if (records.empty())
        return;
    retire_([body = owned_, records = std::move(records)] {
        const std::scoped_lock held(body->lock());
        for (const auto& [place, record] : records) {
            body->forget_comment(place, record);
            body->part(place).records().release(record);
        }
    });
}

// A change of several elements, which readers are to see at once: new ones are born and old ones die in the
// next epoch. Without commit() all is as before.
struct Set::Change {
    using Place = std::pair<size_t, uint32_t>;

    explicit Change(Set& changing) : set(changing), body(*changing.owned_) {}
    ~Change() {
        if (!committed)
            undo();
    }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;

    [[nodiscard]] uint32_t next_epoch() const { return body.epoch() + 1; }
    void bury(Place place) {
        const std::scoped_lock held(body.lock());
        Part& part = body.part(place.first);
        part.records().condition(place.second).death.store(next_epoch(), std::memory_order_relaxed);
        part.set_conditional(place.second, true);
        buried.push_back(place);
    }
    // An element that has expired makes room for a new one of the same value.
    void drop_expired(Place place) {
        body.part(place.first).unlink(place.second);
        body.give_place(1);
        expired.push_back(place);
    }
    void commit() {
        committed = true;
        {
            const std::scoped_lock held(body.lock());
            body.commit();
            body.give_place(buried.size());
        }
        set.changed();
        set.retire_([keep = set.owned_, retire = set.retire_, born = std::move(born),
                     buried = std::move(buried)] { settle(keep, retire, born, buried); });
        set.release_later(std::move(expired));
    }

    Set& set;
    Body& body;
    std::vector<Place> born;
    std::vector<Place> buried;
    std::vector<Place> expired;
    bool committed = false;

  private:
    // Nobody looks from an older epoch any more: what was born is there without a condition, what died goes.
    static void settle(const std::shared_ptr<Body>& body, const Retire& retire,
                       const std::vector<Place>& born, const std::vector<Place>& buried) {
        {
            const std::scoped_lock held(body->lock());
            for (const auto& [place, record] : born) {
                Part& part = body->part(place);
                if (part.records().state(record) != RecordState::live)
                    continue;  // expired and swept already
                Condition& condition = part.records().condition(record);
                condition.birth.store(0, std::memory_order_relaxed);
                if (condition.expires.load(std::memory_order_relaxed) == 0 &&
                    condition.death.load(std::memory_order_relaxed) == 0)
                    part.set_conditional(record, false);
            }
            for (const auto& [place, record] : buried)
                body->part(place).unlink(record);
        }
        if (buried.empty())
            return;
        retire([body, buried] {
            const std::scoped_lock held(body->lock());
            for (const auto& [place, record] : buried) {
                body->forget_comment(place, record);
                body->part(place).records().release(record);
            }
        });
    }
    void undo() {
        {
            const std::scoped_lock held(body.lock());
            // What a rule has added meanwhile, too, stays.
            std::erase_if(born, [this](const Place& one) {
                const Condition& condition = body.part(one.first).records().condition(one.second);
                return condition.birth.load(std::memory_order_relaxed) != next_epoch();
            });
            for (const auto& [place, record] : born)
                body.part(place).unlink(record);
            body.give_place(born.size());
            for (const auto& [place, record] : buried) {
                Condition& condition = body.part(place).records().condition(record);
                condition.death.store(0, std::memory_order_relaxed);
                if (condition.expires.load(std::memory_order_relaxed) == 0 &&
                    condition.birth.load(std::memory_order_relaxed) == 0)
                    body.part(place).set_conditional(record, false);
            }
        }
        set.release_later(std::move(born));
        set.release_later(std::move(expired));
    }
};

namespace {

// Of elements that are added together, those that lie inside others, as places; an error if two of them
// overlap.
Expected<std::vector<bool>> covered_among(const SetType& type, std::span<const Element> elements,
                                          size_t* failed) {
    std::vector<bool> covered(elements.size());
    if (type.size() != 1 || !type.has_interval() || elements.size() < 2)
        return covered;
    for (const Family family : {Family::ip4, Family::ip6}) {
        const size_t width = type.key_bytes(family);
        std::vector<Interval<Wide>> intervals;
        for (size_t i = 0; i < elements.size(); ++i) {
            const ElementValue& value = elements[i].value;
            if (value.family == family)
                intervals.push_back({load_wide(value.low.data(), width), load_wide(value.high.data(), width),
                                     static_cast<uint32_t>(i), elements[i].timeout.has_value()});
        }
        std::optional<std::pair<uint32_t, uint32_t>> first;
        resolve_overlaps(
            intervals, [&](uint32_t place) { covered[place] = true; },
            [&](uint32_t place, uint32_t other) {
                if (!first)
                    first = std::minmax(place, other);
            });
        if (first) {
            if (failed != nullptr)
                *failed = first->second;
            return fail("'" + format(type, elements[first->second].value) + "' overlaps '" +
                            format(type, elements[first->first].value) + "' of the same request",
                        "expected elements that do not overlap");
        }
    }
    return covered;
}

// Tells quickly which existing elements a wide one would meet, for requests with many wide elements.
class Existing {
  public:
    Existing(const Body& body, Family family, const View& view) {
        const Records& records = body.part(family).records();
        const size_t width = body.options().type.key_bytes(family);
        for (uint32_t record = 1; record < records.end(); ++record)
            if (records.state(record) == RecordState::live && records.holds(record, view))
                lows_.emplace_back(load_wide(records.value(record).low.data(), width), record);
        std::sort(lows_.begin(), lows_.end());
    }
    // One that begins from low to high.
    [[nodiscard]] uint32_t inside(Wide low, Wide high) const {
        const auto next = std::lower_bound(lows_.begin(), lows_.end(), low,
                                           [](const auto& each, Wide value) { return each.first < value; });
        return next != lows_.end() && next->first <= high ? next->second : 0;
    }

  private:
    std::vector<std::pair<Wide, uint32_t>> lows_;
};

}  // namespace

Expected<Changed> Set::add(std::span<const Element> elements, Instant now, size_t* failed) {
    constexpr size_t kFewWide = 4;
    const SetType& type = options_.type;
    const auto covered = covered_among(type, elements, failed);
    if (!covered)
        return std::unexpected(covered.error());
    const bool exclusive = type.size() == 1 && type.has_interval();
    const bool together = elements.size() > 1 || std::ranges::any_of(elements, [&](const Element& element) {
                              return count_pieces(type, element.value) > 1;
                          });
    Change change(*this);
    Body& body = change.body;
    // Elements of this request are there already, and others' answers do not change while it runs.
    const View ahead{change.next_epoch(), now};
    std::array<std::unique_ptr<Existing>, Body::kParts> existing;
    if (exclusive && std::ranges::count_if(elements, [](const Element& e) { return !is_single(e.value); }) >
                         static_cast<ptrdiff_t>(kFewWide))
        for (const Family family : {Family::ip4, Family::ip6})
            existing[Body::place_of(family)] = std::make_unique<Existing>(body, family, ahead);

    Changed result;
    for (size_t i = 0; i < elements.size(); ++i) {
        const Element& element = elements[i];
        const size_t place = Body::place_of(element.value.family);
        Part& part = body.part(place);
        Records& records = part.records();
        if (failed != nullptr)
            *failed = i;
        if ((*covered)[i]) {
            ++result.unchanged;
            continue;
        }
        const std::scoped_lock held(body.lock());
        // One that was removed may still be in the index, beside its successor.
        const auto removed = [&](uint32_t record) {
            const Condition* condition = records.condition_if_any(record);
            return condition != nullptr && !condition->exists(ahead.epoch);
        };
        if (const uint32_t same = part.find_same(element.value, removed); same != 0) {
            if (records.holds(same, ahead)) {
                ++result.unchanged;
                continue;
            }
            change.drop_expired({place, same});
        }
        if (exclusive) {
            const size_t width = type.key_bytes(element.value.family);
            uint32_t other = 0;
            if (existing[place] && !is_single(element.value)) {
                ElementValue begin = element.value;
                begin.high = begin.low;
                other = part.find_overlapping(begin, ahead);
                if (other == 0)
                    other = existing[place]->inside(load_wide(element.value.low.data(), width),
                                                    load_wide(element.value.high.data(), width));
            } else {
                other = part.find_overlapping(element.value, ahead);
            }
            if (other != 0) {
                return fail("'" + format(type, element.value) + "' overlaps '" +
                                format(type, records.value(other)) + "', which is in the set",
                            "remove that first");
            }
        }
        Start start = body.start(element.timeout, now);
        if (together)
            start.birth = ahead.epoch;
        if (!body.take_place()) {
            counters_.full.fetch_add(1, std::memory_order_relaxed);
            return fail("the set is full", "it was declared for " + std::to_string(options_.size) +
                                               " elements; declare a larger `size`");
        }
        const auto record = part.insert(element.value, start, retire_);
        if (!record) {
            body.give_place(1);
            return std::unexpected(record.error());
        }
        body.set_comment(place, *record, element.comment);
        change.born.emplace_back(place, *record);
        ++result.added;
    }
    change.commit();
    return result;
}

Expected<Changed> Set::remove(std::span<const ElementValue> values, Instant now, size_t* failed) {
    Change change(*this);
    const View ahead{change.next_epoch(), now};
    for (size_t i = 0; i < values.size(); ++i) {
        const Part& part = change.body.part(values[i].family);
        const uint32_t record =
            part.find_same(values[i], [&](uint32_t each) { return !part.records().holds(each, ahead); });
        if (record == 0) {
            if (failed != nullptr)
                *failed = i;
            return fail("'" + format(options_.type, values[i]) + "' is not in the set",
                        "nothing was removed; elements are removed as they were added");
        }
        change.bury({Body::place_of(values[i].family), record});
    }
    change.commit();
    return Changed{.removed = values.size()};
}

std::optional<ElementStatus> Set::find(const ElementValue& value, Instant now) const {
    const size_t place = Body::place_of(value.family);
    const Part& part = owned_->part(place);
    const View view = owned_->view(now);
    const uint32_t record =
        part.find_same(value, [&](uint32_t each) { return !part.records().holds(each, view); });
    if (record == 0)
        return std::nullopt;
    return owned_->status(place, record, now);
}

std::optional<ElementStatus> Set::covering(const Fields& fields, Instant now) const {
    const uint32_t record = owned_->part(fields.family()).find(fields, owned_->view(now));
    if (record == 0)
        return std::nullopt;
    return owned_->status(Body::place_of(fields.family()), record, now);
}

void Set::replace(std::shared_ptr<Body> body) {
    const auto old = std::exchange(owned_, std::move(body));
    {
        const std::scoped_lock held(old->lock());
        body_.store(owned_.get(), std::memory_order_release);
    }
    swept_part_ = 0;
    swept_record_ = 1;
    changed();
    retire_([old] {});
}

void Set::flush() {
    replace(std::make_shared<Body>(options_, seed_, std::array<size_t, 2>{}));
}

BodyBuilder Set::builder(const std::array<size_t, 2>& expected) const {
    return {options_, seed_, expected};
}

void Set::load(BodyBuilder& builder) {
    replace(builder.take());
}

Expected<void> Set::swap(Set& other) {
    if (&other == this)
        return {};
    if (!(options_ == other.options_))
        return fail(
            "sets '" + name_ + "' and '" + other.name_ + "' are not alike",
            "sets to swap must agree in type, size, timeout, counters and in whether rules add to them");
    {
        const std::scoped_lock both(owned_->lock(), other.owned_->lock());
        std::swap(owned_, other.owned_);
        body_.store(owned_.get(), std::memory_order_release);
        other.body_.store(other.owned_.get(), std::memory_order_release);
    }
    for (Set* set : {this, &other}) {
        set->swept_part_ = 0;
        set->swept_record_ = 1;
        set->changed();
    }
    return {};
}

bool Set::for_each(SetCursor& cursor, size_t max, Instant now,
                   const std::function<void(const ElementStatus&)>& fn) const {
    if (!cursor.body)
        cursor.body = owned_;
    const Body& body = *cursor.body;
    const View view = body.view(now);
    for (; cursor.part < Body::kParts; ++cursor.part, cursor.record = 1) {
        const Records& records = body.part(cursor.part).records();
        for (; cursor.record < records.end(); ++cursor.record) {
            if (max-- == 0)
                return true;
            if (records.state(cursor.record) == RecordState::live && records.holds(cursor.record, view))
                fn(body.status(cursor.part, cursor.record, now));
        }
    }
    return false;
}

void Set::sweep(Instant now, size_t max) {
    Body& body = *owned_;
    if (!body.has_times())
        return;
    std::vector<std::pair<size_t, uint32_t>> expired;
    for (; max > 0; --max) {
        Part& part = body.part(swept_part_);
        if (swept_record_ >= part.records().end()) {
            swept_record_ = 1;
            swept_part_ = (swept_part_ + 1) % Body::kParts;
            if (swept_part_ == 0)
                break;
            continue;
        }
        const uint32_t record = swept_record_++;
        const Condition* condition = part.records().condition_if_any(record);
        if (part.records().state(record) != RecordState::live || condition == nullptr ||
            !condition->expired(now))
            continue;
        const std::scoped_lock held(body.lock());
        // A rule may have begun it again meanwhile; one that is being removed goes its own way.
        if (!condition->expired(now) || condition->death.load(std::memory_order_relaxed) != 0)
            continue;
        part.unlink(record);
        body.give_place(1);
        expired.emplace_back(swept_part_, record);
    }
    counters_.expired.fetch_add(expired.size(), std::memory_order_relaxed);
    release_later(std::move(expired));
}

bool Set::copy_to(BodyBuilder& builder, Instant now) const {
    bool whole = true;
    SetCursor cursor;
    while (for_each(cursor, 4096, now,
                    [&](const ElementStatus& status) { whole = builder.copy(status, now) && whole; })) {
    }
    return whole;
}

size_t Set::element_count() const {
    return body_.load(std::memory_order_acquire)->count();
}

size_t Set::memory_bytes() const {
    return owned_->memory_bytes();
}

}  // namespace sluice::sets
