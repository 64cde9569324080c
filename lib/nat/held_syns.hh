// SYNs from outside that no mapping lets in. They may be one half of a simultaneous open whose other half is
// still on its way from inside, so that nobody is told anything yet (R5382-4).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/interface_id.hh"
#include "base/time.hh"
#include "conntrack/tuple.hh"
#include "wire/bytes.hh"

namespace sluice::nat {

struct HeldSyn {
    // Longer ones are dropped and forgotten: headers with all options and a few bytes more.
    static constexpr size_t kMaxSize = 136;

    conntrack::Tuple tuple;
    Instant until;
    InterfaceId in = kNoInterface;
    uint16_t size = 0;
    std::array<uint8_t, kMaxSize> packet{};  // from its IP header on, as received

    [[nodiscard]] wire::Bytes bytes() const { return wire::Bytes(packet).first(size); }
};

// One owner. A ring of fixed size: a flood fills it, and the SYNs that find no place are never answered.
class HeldSyns {
  public:
    static constexpr size_t kMost = 256;

    // Repetitions of one that is held are not held again. `until` must not be before that of others.
    void hold(const conntrack::Tuple& tuple, InterfaceId in, wire::Bytes packet, Instant until);
    // A connection began whose answers look like this. Costs a look at each one held.
    void forget(const conntrack::Tuple& answer);
    // When the first of them is to be answered.
    [[nodiscard]] std::optional<Instant> next() const;
    // One that nobody inside cared for in all its time; good until the next hold().
    [[nodiscard]] const HeldSyn* take_due(Instant now);

    [[nodiscard]] bool empty() const { return count_ == 0; }

  private:
    [[nodiscard]] size_t place(size_t number) const { return (first_ + number) % kMost; }
    [[nodiscard]] std::optional<size_t> find(const conntrack::Tuple& tuple) const;
    void drop_forgotten();

    // By place; what tells most of them apart, and 0 where nobody waits any more.
    std::array<uint32_t, kMost> keys_{};
    std::unique_ptr<std::array<HeldSyn, kMost>> syns_ = std::make_unique<std::array<HeldSyn, kMost>>();
    size_t first_ = 0;
    size_t count_ = 0;
};

}  // namespace sluice::nat
