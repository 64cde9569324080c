#include "sets/records.hh"

namespace sluice::sets {
namespace {

// Short values stay dense, long ones start where words do.
size_t stride_of(size_t bytes) {
    return bytes <= 4 ? bytes : (bytes + 7) / 8 * 8;
}

}  // namespace

Records::Records(const SetType& type, Family family, uint32_t capacity, bool counters, bool dense)
    : family_(family),
      key_bytes_(static_cast<uint8_t>(type.key_bytes(family))),
      ranged_(type.has_interval()),
      stride_(stride_of(key_bytes_ * (ranged_ ? 2U : 1U))),
      capacity_(capacity),
      values_((size_t{capacity} + 1) * stride_, dense),
      states_(size_t{capacity} + 1, false),
      links_(size_t{capacity} + 1, false),
      counters_(counters ? size_t{capacity} + 1 : 0, false) {
    for (size_t field = 0; field < type.size(); ++field)
        widths_[field] = static_cast<uint8_t>(width_of(type[field], family));
}

uint32_t Records::allocate(const ElementValue& value, const Start& start) {
    uint32_t record = first_free_;
    if (record != 0) {
        first_free_ = links_[record];
    } else {
        record = end_.load(std::memory_order_relaxed);
        if (record > capacity_)
            return 0;
    }
    std::memcpy(at(record), value.low.data(), key_bytes_);
    if (ranged_)
        std::memcpy(at(record) + key_bytes_, value.high.data(), key_bytes_);
    if (start.is_conditional()) {
        Condition& fresh = condition(record);
        fresh.birth.store(start.birth, std::memory_order_relaxed);
        fresh.expires.store(start.expires, std::memory_order_relaxed);
        fresh.timeout.store(start.timeout, std::memory_order_relaxed);
    }
    if (record == end_.load(std::memory_order_relaxed))
        end_.store(record + 1, std::memory_order_release);
    return record;
}

void Records::restart(uint32_t record, const Start& start) {
    if (ElementCounters* old = counters(record); old != nullptr) {
        old->packets.store(0, std::memory_order_relaxed);
        old->bytes.store(0, std::memory_order_relaxed);
    }
    Condition& again = condition(record);
    again.timeout.store(start.timeout, std::memory_order_relaxed);
    again.expires.store(start.expires, std::memory_order_relaxed);
}

void Records::release(uint32_t record) {
    if (Condition* conditions = conditions_.load(std::memory_order_relaxed); conditions != nullptr) {
        Condition& old = conditions[record];
        old.birth.store(0, std::memory_order_relaxed);
        old.death.store(0, std::memory_order_relaxed);
        old.expires.store(0, std::memory_order_relaxed);
        old.timeout.store(0, std::memory_order_relaxed);
    }
    if (ElementCounters* old = counters(record); old != nullptr) {
        old->packets.store(0, std::memory_order_relaxed);
        old->bytes.store(0, std::memory_order_relaxed);
    }
    set_state(record, RecordState::free);
    links_[record] = first_free_;
    first_free_ = record;
}

ElementValue Records::value(uint32_t record) const {
    ElementValue value;
    value.family = family_;
    std::memcpy(value.low.data(), at(record), key_bytes_);
    std::memcpy(value.high.data(), ranged_ ? at(record) + key_bytes_ : at(record), key_bytes_);
    return value;
}

bool Records::same(uint32_t record, const ElementValue& value) const {
    return std::memcmp(at(record), value.low.data(), key_bytes_) == 0 &&
           (!ranged_ || std::memcmp(at(record) + key_bytes_, value.high.data(), key_bytes_) == 0);
}

Condition& Records::condition(uint32_t record) {
    if (condition_store_.empty()) {
        condition_store_ = table::ZeroedArray<Condition>(size_t{capacity_} + 1, false);
        conditions_.store(condition_store_.data(), std::memory_order_release);
    }
    return condition_store_[record];
}

size_t Records::memory_bytes() const {
    const size_t used = end();
    return used * (stride_ + sizeof(RecordState) + sizeof(uint32_t)) +
           (condition_store_.empty() ? 0 : used * sizeof(Condition)) +
           (counters_.empty() ? 0 : used * sizeof(ElementCounters));
}

}  // namespace sluice::sets
