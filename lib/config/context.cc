#include "config/context.hh"

#include <utility>

namespace sluice::config {

Context Context::with(Problems& problems) const {
    return {*this, problems};
}

std::string Context::path() const {
    if (parent_ == nullptr)
        return {};
    std::string text = parent_->path();
    if (index_ != kNoIndex) {
        text += '[';
        text += std::to_string(index_);
        text += ']';
        return text;
    }
    if (!text.empty())
        text += '.';
    text += key_;
    return text;
}

Location Context::location() const {
    return {source_.file, node_.mark, path()};
}

bool Context::report(Mark mark, std::string path, std::string message, std::string hint) {
    problems_.add(Location{source_.file, mark, std::move(path)}, std::move(message), std::move(hint));
    return false;
}

bool Context::problem(std::string message, std::string hint) {
    if (node_.broken)
        return false;
    return report(node_.mark, path(), std::move(message), std::move(hint));
}

bool Context::problem_at(std::string_view key, std::string message, std::string hint) {
    const Node::Entry* entry = node_.find(key);
    if (entry == nullptr)
        return problem(std::move(message), std::move(hint));
    return inside(key, entry->value).problem(std::move(message), std::move(hint));
}

bool Context::problem_with_key(const Node::Entry& entry, std::string message, std::string hint) {
    return report(entry.key_mark, inside(entry.key, entry.value).path(), std::move(message), std::move(hint));
}

}  // namespace sluice::config
