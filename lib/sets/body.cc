#include "sets/body.hh"

#include <algorithm>

namespace sluice::sets {
namespace {

// From here on a content is worth huge pages.
constexpr size_t kDense = 32768;

}  // namespace

Body::Body(const SetOptions& options, uint64_t seed, const std::array<size_t, 2>& expected)
    : options_(options) {
    for (size_t place = 0; place < kParts; ++place) {
        const size_t pieces =
            options.dynamic ? options.size : std::min<size_t>(expected[place], options.size);
        parts_[place] = std::make_unique<Part>(Part::Plan{.type = options.type,
                                                          .family = place == 0 ? Family::ip4 : Family::ip6,
                                                          .capacity = options.size,
                                                          .pieces = pieces,
                                                          .counters = options.counters,
                                                          .conditions = options.dynamic,
                                                          .dense = !options.dynamic && pieces >= kDense,
                                                          .seed = seed});
    }
}

bool Body::take_place() {
    if (count_.load(std::memory_order_relaxed) >= options_.size)
        return false;
    count_.fetch_add(1, std::memory_order_relaxed);
    return true;
}

Start Body::start(std::optional<Duration> timeout, Instant now) {
    const Duration lasts = timeout.value_or(options_.timeout);
    if (lasts == Duration{})
        return {};
    note_times();
    return {.expires = (now.time_since_epoch() + lasts).count(), .timeout = lasts.count()};
}

void Body::set_comment(size_t place, uint32_t record, std::string comment) {
    if (!comment.empty())
        comments_.insert_or_assign(key(place, record), std::move(comment));
}

std::string_view Body::comment(size_t place, uint32_t record) const {
    if (comments_.empty())
        return {};
    const auto found = comments_.find(key(place, record));
    return found == comments_.end() ? std::string_view() : found->second;
}

ElementStatus Body::status(size_t place, uint32_t record, Instant now) const {
    const Records& records = parts_[place]->records();
    ElementStatus status;
    status.value = records.value(record);
    status.comment = comment(place, record);
    if (const Condition* condition = records.condition_if_any(record); condition != nullptr) {
        if (const int64_t timeout = condition->timeout.load(std::memory_order_relaxed); timeout != 0)
            status.timeout = Duration(timeout);
        if (const int64_t expires = condition->expires.load(std::memory_order_relaxed); expires != 0)
            status.expires = std::max(Duration(expires) - now.time_since_epoch(), Duration{});
    }
    if (const ElementCounters* counters = records.counters(record); counters != nullptr) {
        status.packets = counters->packets.load(std::memory_order_relaxed);
        status.bytes = counters->bytes.load(std::memory_order_relaxed);
    }
    return status;
}

size_t Body::memory_bytes() const {
    constexpr size_t kNode = 80;  // of the map, with a short text
    return parts_[0]->memory_bytes() + parts_[1]->memory_bytes() + comments_.size() * kNode;
}

}  // namespace sluice::sets
