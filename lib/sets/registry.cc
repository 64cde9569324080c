#include "sets/registry.hh"

#include <algorithm>

namespace sluice::sets {
namespace {

// Records of one set that maintain() looks at.
constexpr size_t kSweep = 16384;

}  // namespace

std::optional<SetId> SetTable::find(std::string_view name) const {
    const auto found = ids_.find(name);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const SetTable::Entry* SetTable::entry(std::string_view name) const {
    const auto id = find(name);
    return id ? &entries_[*id] : nullptr;
}

SetRegistry::SetRegistry(uint64_t seed, Retire retire)
    : generation_(std::make_shared<std::atomic<uint64_t>>(1)),
      seed_(seed),
      retire_(std::move(retire)),
      table_(std::make_shared<SetTable>()) {}

SetId SetRegistry::free_id(const SetTable& table) const {
    SetId id = 0;
    const auto taken = [id = &id](const SetTable& by) {
        return *id < by.entries_.size() && by.entries_[*id].set != nullptr;
    };
    while (taken(table) || taken(*table_))
        ++id;
    return id;
}

std::shared_ptr<Set> SetRegistry::make(const SetDeclaration& declaration, BodyBuilder& builder) const {
    auto set = std::make_shared<Set>(declaration.name, declaration.options, seed_, retire_);
    set->load(builder);
    set->count_changes_in(generation_);
    return set;
}

std::shared_ptr<Set> SetRegistry::kept(const SetDeclaration& declaration, uint64_t digest,
                                       Instant now) const {
    const SetTable::Entry* old = table_->entry(declaration.name);
    const auto before = digests_.find(declaration.name);
    if (old == nullptr || before == digests_.end() || before->second != digest)
        return nullptr;
    if (old->set->options() == declaration.options)
        return old->set;
    if (!(old->set->options().type == declaration.options.type))
        return nullptr;
    BodyBuilder builder(declaration.options, seed_, {old->set->element_count(), 0});
    if (!old->set->copy_to(builder, now))
        return nullptr;
    return make(declaration, builder);
}

std::shared_ptr<const SetTable> SetRegistry::prepare(const std::vector<SetDeclaration>& declarations,
                                                     const std::vector<SetUse>& uses, Instant now,
                                                     config::Problems& problems) {
    auto table = std::make_shared<SetTable>();
    bool good = true;
    for (const SetDeclaration& declared : declarations) {
        SetTable::Entry entry;
        entry.declaration = declared;
        std::ranges::copy_if(uses, std::back_inserter(entry.uses),
                             [&](const SetUse& use) { return use.set == declared.name; });
        entry.declaration.options.dynamic =
            declared.options.dynamic || std::ranges::any_of(entry.uses, &SetUse::adds);
        const auto content = DeclaredContent::read(declared, problems);
        if (!content) {
            good = false;
            continue;
        }
        entry.digest = content->digest();
        entry.set = kept(entry.declaration, entry.digest, now);
        if (!entry.set) {
            const auto builder = content->build(entry.declaration.options, seed_, now, problems);
            if (!builder) {
                good = false;
                continue;
            }
            entry.set = make(entry.declaration, *builder);
        }
        const SetId id = table_->find(declared.name).value_or(free_id(*table));
        if (id >= table->entries_.size())
            table->entries_.resize(size_t{id} + 1);
        table->ids_.emplace(declared.name, id);
        table->entries_[id] = std::move(entry);
    }
    return good ? table : nullptr;
}

std::shared_ptr<const SetTable> SetRegistry::in_force() const {
    auto table = std::make_shared<SetTable>(*table_);
    for (SetTable::Entry& entry : table->entries_) {
        if (entry.set)
            entry.digest = digests_.find(entry.declaration.name)->second;  // reload() may have changed it
    }
    return table;
}

std::shared_ptr<const SetTable> SetRegistry::again(const SetTable& former, Instant now) const {
    auto table = std::make_shared<SetTable>(former);
    for (SetTable::Entry& entry : table->entries_) {
        if (!entry.set)
            continue;
        const SetTable::Entry* present = table_->entry(entry.declaration.name);
        if (auto set = kept(entry.declaration, entry.digest, now))
            entry.set = std::move(set);
        else if (present != nullptr && present->set == entry.set)
            entry.digest = digests_.find(entry.declaration.name)->second;
    }
    return table;
}

void SetRegistry::adopt(std::shared_ptr<const SetTable> table) {
    std::map<std::string, uint64_t, std::less<>> digests;
    for (const SetTable::Entry& entry : table->entries_)
        if (entry.set)
            digests.emplace(entry.declaration.name, entry.digest);
    digests_ = std::move(digests);
    table_ = std::move(table);
    generation_->fetch_add(1, std::memory_order_release);
}

Set* SetRegistry::find(std::string_view name) const {
    const SetTable::Entry* entry = table_->entry(name);
    return entry == nullptr ? nullptr : entry->set.get();
}

std::optional<Changed> SetRegistry::reload(std::string_view name, Instant now, config::Problems& problems) {
    const SetTable::Entry& entry = *table_->entry(name);
    const auto content = DeclaredContent::read(entry.declaration, problems);
    if (!content)
        return std::nullopt;
    const auto builder = content->build(entry.declaration.options, seed_, now, problems);
    if (!builder)
        return std::nullopt;
    const Changed changed{
        .added = builder->added(), .removed = entry.set->element_count(), .unchanged = builder->merged()};
    entry.set->load(*builder);
    digests_.insert_or_assign(entry.declaration.name, content->digest());
    return changed;
}

void SetRegistry::maintain(Instant now) {
    for (const SetTable::Entry& entry : table_->entries_)
        if (entry.set)
            entry.set->sweep(now, kSweep);
}

}  // namespace sluice::sets
