// All sets by name, over reloads of the configuration. Control thread, except SetTable, which workers read.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hh"
#include "config/problem.hh"
#include "sets/declaration.hh"
#include "sets/set.hh"

namespace sluice::sets {

// The place of a set in a SetTable. A name keeps its id as long as every configuration has it.
using SetId = uint16_t;
inline constexpr size_t kMaxSets = 4096;

// Something that names a set: a rule, an early rule ...
struct SetUse {
    std::string set;
    std::string by;     // "filter.forward.published"
    bool adds = false;  // through add_to
    bool operator==(const SetUse&) const = default;
};

// The sets of one configuration: part of the snapshot that workers read, so that rules and the sets they name
// change together. Sets whose declaration did not change are shared with the table before.
class SetTable {
  public:
    struct Entry {
        std::shared_ptr<Set> set;  // null where an id is not used
        SetDeclaration declaration;
        std::vector<SetUse> uses;
        uint64_t digest = 0;  // of what its content began with
    };

    [[nodiscard]] std::optional<SetId> find(std::string_view name) const;
    // Sets change inside; the table does not. The id must be of this table.
    [[nodiscard]] Set& operator[](SetId id) const { return *entries_[id].set; }
    [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
    [[nodiscard]] const Entry* entry(std::string_view name) const;

  private:
    friend class SetRegistry;
    std::vector<Entry> entries_;
    std::map<std::string, SetId, std::less<>> ids_;
};

class SetRegistry {
  public:
    // The seed is drawn once, from the gateway's Random.
    SetRegistry(uint64_t seed, Retire retire);

    // Builds the table of a configuration without touching what is in force. A set whose declared elements,
    // file and type are as before keeps its content with what was changed at run time, and if its options are
    // the same too it stays the same object. Every mistake in elements and files goes to `problems`, and then
    // there is no table. Sets that `uses` add to become dynamic.
    std::shared_ptr<const SetTable> prepare(const std::vector<SetDeclaration>& declarations,
                                            const std::vector<SetUse>& uses, Instant now,
                                            config::Problems& problems);
    // What is in force, to be put in force again later.
    [[nodiscard]] std::shared_ptr<const SetTable> in_force() const;
    // As prepare(), of a table that was in force once, without reading files: sets of which the content in
    // force began with the same keep that, others have the content they had then.
    [[nodiscard]] std::shared_ptr<const SetTable> again(const SetTable& former, Instant now) const;
    // The table was published to the workers: from now on the names mean its sets. Never null.
    void adopt(std::shared_ptr<const SetTable> table);

    // Never null.
    [[nodiscard]] const std::shared_ptr<const SetTable>& table() const { return table_; }
    // Null if there is none of that name.
    [[nodiscard]] Set* find(std::string_view name) const;
    // Changes after the content of any repeatable set does: what decision caches compare.
    [[nodiscard]] uint64_t generation() const { return generation_->load(std::memory_order_acquire); }
    // Replaces the content with what the declaration's file and elements say now; on a mistake it stays. The
    // set must exist.
    std::optional<Changed> reload(std::string_view name, Instant now, config::Problems& problems);
    // Takes expired elements out of all sets, in slices; call it ten times a second or so.
    void maintain(Instant now);

  private:
    [[nodiscard]] SetId free_id(const SetTable& table) const;
    std::shared_ptr<Set> make(const SetDeclaration& declaration, BodyBuilder& builder) const;
    // The set as it is in force, or with the same content under changed options; null if it must be built
    // anew.
    std::shared_ptr<Set> kept(const SetDeclaration& declaration, uint64_t digest, Instant now) const;

    std::shared_ptr<std::atomic<uint64_t>> generation_;
    uint64_t seed_;
    Retire retire_;
    std::shared_ptr<const SetTable> table_;
    std::map<std::string, uint64_t, std::less<>> digests_;  // of what the contents in force began with
};

}  // namespace sluice::sets
