// What the hooks did with one packet, so that the next packets of its flow can have the same without a
// traversal: which rules to count, and whether they may.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/prefetch.hh"
#include "base/time.hh"
#include "filter/counters.hh"
#include "filter/packet.hh"
#include "filter/path_counters.hh"
#include "table/zeroed_array.hh"

namespace sluice::filter {

// Lives on the stack for one packet, over all tables and hooks it passes.
//
// While cacheable(), the outcome of all hooks depends only on: the ruleset; the flow and the packet's
// direction; its state as `ct` names it; the interfaces; the packet's mark before the first hook; the flow's
// snat and dnat bits; and, if reads_sets(), the generation of the sets, read before the first hook. An ICMP
// error about a flow and a packet with IPv6 extension headers are not like the flow's other packets: they are
// never cacheable, and must not be given what was cached (is_ordinary()).
class Trail {
  public:
    static constexpr size_t kMaxRules = 24;

    // Of another packet, as if it were new.
    void begin() {
        size_ = 0;
        cacheable_ = true;
        reads_sets_ = false;
    }
    void counted(RuleId rule) {
        if (size_ == kMaxRules) {
            cacheable_ = false;
            return;
        }
        rules_[size_++] = rule;
    }
    // Something was looked at or done that differs between packets of a flow.
    void varied() { cacheable_ = false; }
    void read_set() { reads_sets_ = true; }
    [[nodiscard]] bool cacheable() const { return cacheable_; }
    [[nodiscard]] bool reads_sets() const { return reads_sets_; }
    [[nodiscard]] std::span<const RuleId> rules() const { return {rules_.data(), size_}; }

  private:
    std::array<RuleId, kMaxRules> rules_;  // the first size_ of them
    size_t size_ = 0;
    bool cacheable_ = true;
    bool reads_sets_ = false;
};

// Whether rules may see another transport in it than in the other packets of its flow.
inline bool has_extension_headers(const RulePacket& packet) {
    return packet.ip.family() == Family::ip6 && packet.transport.offset != wire::kIpv6HeaderSize;
}
// Whether the packet, already tracked, may be given what was cached for its flow, direction and state.
inline bool is_ordinary(const RulePacket& packet) {
    using enum conntrack::CtState;
    return (packet.ct.state == established || packet.ct.state == new_) && !has_extension_headers(packet);
}

// Equal lists once each, in memory that was taken at once. One owner. Lists stay as long as the pool.
class PathPool {
  public:
    static constexpr size_t kDefaultPaths = 1U << 15;
    // Lists of one rule below this are found in one step.
    static constexpr size_t kOfOne = 1U << 16;

    explicit PathPool(size_t paths = kDefaultPaths);
    // kNoPath if there is no room for another list; an empty list is a path too. No allocation.
    PathId intern(std::span<const RuleId> rules) {
        if (rules.size() != 1 || rules[0] >= kOfOne)
            return find_or_add(rules);
        PathId& path = of_one_[rules[0]];
        if (path == kNoPath) [[unlikely]]
            path = find_or_add(rules);
        return path;
    }
    void prefetch_of_one(RuleId rule) const {
        if (rule < kOfOne)
            prefetch_line(&of_one_[rule]);
    }
    [[nodiscard]] std::span<const RuleId> rules(PathId path) const {
        const RuleId* const first = rules_.get() + offsets_[path];
        const RuleId* end = first;
        while (*end != kNoRule)
            ++end;
        return {first, end};
    }
    [[nodiscard]] size_t size() const { return used_paths_ - 1; }

  private:
    PathId find_or_add(std::span<const RuleId> rules);

    size_t mask_;  // of buckets_
    size_t max_paths_;
    size_t max_rules_;
    size_t used_paths_ = 1;
    size_t used_rules_ = 0;
    std::unique_ptr<uint32_t[]> offsets_;  // by path, into rules_
    std::unique_ptr<RuleId[]> rules_;      // the lists, each ended by kNoRule
    std::unique_ptr<PathId[]> buckets_;    // open addressing
    table::ZeroedArray<PathId> of_one_;    // by rule: the list of nothing else
};

}  // namespace sluice::filter
