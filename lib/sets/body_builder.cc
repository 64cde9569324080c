#include "sets/body_builder.hh"

#include "sets/body.hh"
#include "sets/overlap.hh"
#include "sets/wide.hh"

namespace sluice::sets {
namespace {

// Nobody reads what is being built.
void at_once(const std::function<void()>& free) {
    free();
}

}  // namespace

BodyBuilder::BodyBuilder(const SetOptions& options, uint64_t seed, const std::array<size_t, 2>& expected)
    : options_(options), body_(std::make_unique<Body>(options, seed, expected)) {}

BodyBuilder::~BodyBuilder() = default;

std::unique_ptr<Body> BodyBuilder::take() {
    return std::move(body_);
}

Expected<void> BodyBuilder::add(const Element& element, uint32_t origin, Instant now) {
    const size_t place = Body::place_of(element.value.family);
    Part& part = body_->part(place);
    if (part.find_same(element.value, [](uint32_t) { return false; }) != 0) {
        ++merged_;
        return {};
    }
    if (!body_->take_place())
        return fail("the set is full", "it was declared for " + std::to_string(options_.size) +
                                           " elements; declare a larger `size`");
    const auto record = part.insert(element.value, body_->start(element.timeout, now), at_once);
    if (!record) {
        body_->give_place(1);
        return std::unexpected(record.error());
    }
    if (!element.comment.empty())
        body_->set_comment(place, *record, element.comment);
    if (options_.type.size() == 1 && options_.type.has_interval()) {
        origins_[place].resize(*record + 1);
        origins_[place][*record] = origin;
    }
    ++added_;
    return {};
}

bool BodyBuilder::copy(const ElementStatus& status, Instant now) {
    const size_t place = Body::place_of(status.value.family);
    if (!body_->take_place())
        return false;
    Start start;
    if (status.expires) {
        body_->note_times();
        start.expires = (now.time_since_epoch() + *status.expires).count();
        start.timeout = status.timeout.value_or(Duration{}).count();
    }
    const auto record = body_->part(place).insert(status.value, start, at_once);
    if (!record) {
        body_->give_place(1);
        return false;
    }
    body_->set_comment(place, *record, std::string(status.comment));
    if (ElementCounters* counters = body_->part(place).records().counters(*record); counters != nullptr) {
        counters->packets.store(status.packets, std::memory_order_relaxed);
        counters->bytes.store(status.bytes, std::memory_order_relaxed);
    }
    ++added_;
    return true;
}

template <typename Number>
void BodyBuilder::resolve(Family family, std::vector<Conflict>& conflicts) {
    const size_t place = Body::place_of(family);
    Part& part = body_->part(place);
    Records& records = part.records();
    const size_t width = options_.type.key_bytes(family);
    std::vector<Interval<Number>> intervals;
    intervals.reserve(records.end());
    for (uint32_t record = 1; record < records.end(); ++record) {
        if (records.state(record) != RecordState::live)
            continue;
        const ElementValue value = records.value(record);
        const Condition* condition = records.condition_if_any(record);
        intervals.push_back(
            {static_cast<Number>(load_wide(value.low.data(), width)),
             static_cast<Number>(load_wide(value.high.data(), width)), record,
             condition != nullptr && condition->expires.load(std::memory_order_relaxed) != 0});
    }
    const auto merge = [&](uint32_t record) {
        part.unlink(record);
        body_->forget_comment(place, record);
        records.release(record);
        body_->give_place(1);
        --added_;
        ++merged_;
    };
    resolve_overlaps(intervals, merge, [&](uint32_t record, uint32_t other) {
        conflicts.push_back(
            {origins_[place][record], origins_[place][other], records.value(record), records.value(other)});
    });
}

std::vector<BodyBuilder::Conflict> BodyBuilder::finish() {
    std::vector<Conflict> conflicts = settle_overlaps();
    if (conflicts.empty() && !options_.dynamic)
        for (size_t place = 0; place < Body::kParts; ++place)
            body_->part(place).settle();
    return conflicts;
}

std::vector<BodyBuilder::Conflict> BodyBuilder::settle_overlaps() {
    std::vector<Conflict> conflicts;
    if (options_.type.size() != 1 || !options_.type.has_interval())
        return conflicts;
    // Elements of one shape, such as addresses only, cannot meet unless they are the same.
    if (body_->part(Family::ip4).shape_count() > 1)
        resolve<uint32_t>(Family::ip4, conflicts);
    if (body_->part(Family::ip6).shape_count() > 1)
        resolve<Wide>(Family::ip6, conflicts);
    for (auto& origins : origins_)
        origins = {};
    return conflicts;
}

}  // namespace sluice::sets
