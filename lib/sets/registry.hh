// All sets by name, over reloads of the configuration. Control thread, except SetTable, which workers read.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hh"
#include "config/problem.hh"
#include "sets/declaration.hh"
#include "sets/set.hh"

namespace sluice::sets {

// The place of a set in a SetTable. A name keeps its id as long as the gateway runs.
using SetId = uint16_t;
inline constexpr size_t kMaxSets = 4096;

// The sets of one configuration: part of the snapshot that workers read, so that rules and the sets they name
// change together. Sets whose declaration did not change are shared with the table before.
class SetTable {
  public:
    [[nodiscard]] std::optional<SetId> find(std::string_view name) const;
    // Sets change inside; the table does not.
    [[nodiscard]] Set& operator[](SetId id) const { return *sets_[id]; }
    // Null where an id is not used.
    [[nodiscard]] const std::vector<std::shared_ptr<Set>>& all() const { return sets_; }

  private:
    friend class SetRegistry;
    std::vector<std::shared_ptr<Set>> sets_;
    std::map<std::string, SetId, std::less<>> ids_;
};

// A rule, early rule ... that names a set.
struct SetUse {
    std::string set;
    std::string by;     // "filter.forward: published"
    bool adds = false;  // through add_to
    bool operator==(const SetUse&) const = default;
};

class SetRegistry {
  public:
    // The seed is drawn once, from the gateway's Random.
    SetRegistry(uint64_t seed, Retire retire);

    // Builds the table of a configuration without touching what is in force. A set whose own elements, file
    // and type are as before keeps its content, with what was changed at run time, and if its options did not
    // change either it stays the same object. Every mistake in elements and files goes to `problems`, and
    // then there is no table.
    std::shared_ptr<const SetTable> prepare(const std::vector<SetDeclaration>& declarations,
                                            const std::vector<SetUse>& uses, Instant now,
                                            config::Problems& problems);
    // The table was published to the workers: from now on the names mean its sets.
    void adopt(std::shared_ptr<const SetTable> table);

    [[nodiscard]] const std::shared_ptr<const SetTable>& table() const { return table_; }
    [[nodiscard]] std::shared_ptr<Set> find(std::string_view name) const;
    [[nodiscard]] const SetDeclaration* declaration(std::string_view name) const;
    [[nodiscard]] std::vector<SetUse> uses(std::string_view name) const;
    // Changes after the content of any repeatable set does: what decision caches compare.
    [[nodiscard]] uint64_t generation() const { return generation_->load(std::memory_order_acquire); }
    // Replaces the content with that of the declaration's file and elements as they are now; on a mistake the
    // content stays.
    Expected<Changed> reload(std::string_view name, config::Problems& problems);
    // Sweeps all sets in turn; call it ten times a second or so.
    void maintain(Instant now);

  private:
    std::shared_ptr<std::atomic<uint64_t>> generation_;
    uint64_t seed_;
    Retire retire_;
    std::map<std::string, SetId, std::less<>> ids_;
    std::shared_ptr<const SetTable> table_;
};

}  // namespace sluice::sets
