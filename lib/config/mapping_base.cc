#include "config/mapping_base.hh"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "config/names.hh"
#include "config/value.hh"

namespace sluice::config {

namespace {

std::vector<std::string_view> keys_of(const std::vector<Option>& options) {
    std::vector<std::string_view> keys;
    keys.reserve(options.size());
    for (const auto& option : options)
        keys.emplace_back(option.key);
    return keys;
}

void* at(void* object, size_t offset) {
    return static_cast<std::byte*>(object) + offset;
}

const void* at(const void* object, size_t offset) {
    return static_cast<const std::byte*>(object) + offset;
}

}  // namespace

void MappingBase::declare(Option option) {
    if (std::ranges::find(options_, option.key, &Option::key) != options_.end())
        throw std::logic_error(what_ + " declares the key " + option.key + " twice");
    options_.push_back(std::move(option));
}

Option& MappingBase::last() {
    if (options_.empty())
        throw std::logic_error(what_ + " bounds an option before it declares one");
    return options_.back();
}

void MappingBase::bound(Range range) {
    Option& option = last();
    if (option.dimension != range.dimension || range.low > range.high)
        throw std::logic_error(what_ + " has bounds that do not fit its key " + option.key);
    option.constraint.range = std::move(range);
}

void MappingBase::limit(size_t low, size_t high) {
    last().constraint.length = {low, high};
}

void MappingBase::adopt(const MappingBase& part, size_t offset) {
    for (Option option : part.options_) {
        option.offset += offset;
        declare(std::move(option));
    }
    for (const size_t location : part.locations_)
        locations_.push_back(offset + location);
    const auto adopt_checks = [offset](std::vector<Check>& own, const std::vector<Check>& theirs) {
        for (const auto& check : theirs)
            own.emplace_back([check, offset](const void* object, Context& context) {
                check(at(object, offset), context);
            });
    };
    adopt_checks(checks_, part.checks_);
    adopt_checks(cross_checks_, part.cross_checks_);
}

bool MappingBase::read_key(Context& context, const Node::Entry& entry, void* object) const {
    const auto option = std::ranges::find(options_, entry.key, &Option::key);
    if (option == options_.end()) {
        const bool heard =
            context.problems().left_out() == 0;  // a guess costs more than most files of mistakes are worth
        return context.problem_with_key(entry, "unknown key",
                                        heard ? one_of(entry.key, keys_of(options_)) : "");
    }
    Context inside = context.inside(option->key, entry.value);
    return option->read(inside, option->constraint, at(object, option->offset));
}

bool MappingBase::read(Context& context, void* object) const {
    const Node& node = context.node();
    if (node.broken)
        return false;
    for (const size_t location : locations_)
        *static_cast<Location*>(at(object, location)) = context.location();
    if (!node.is_mapping() && !node.is_null() && !detail::means_nothing(node))
        return detail::wrong_kind(context, what_ + ", a mapping of keys to values");
    bool good = true;
    for (const auto& entry : node.entries)
        good = read_key(context, entry, object) && good;
    for (const auto& option : options_) {
        if (option.required && node.find(option.key) == nullptr)
            good = context.problem(quote(option.key) + " is missing",
                                   "expected " + option.expected(option.constraint));
    }
    if (good) {
        Problems found;
        Context checking = context.with(found);
        for (const auto& check : checks_)
            check(object, checking);
        good = found.empty();
        context.problems().add(found);
    }
    Problems found;
    Context checking = context.with(found);
    for (const auto& check : cross_checks_)
        check(object, checking);
    context.problems().add(found);
    return good && found.empty();
}

Node MappingBase::print(const void* object) const {
    Node node = Node::mapping();
    for (const auto& option : options_) {
        Node value = option.print(at(object, option.offset));
        if (!value.is_null() || option.keeps_null)
            node.append(option.key, std::move(value));
    }
    return node;
}

}  // namespace sluice::config
