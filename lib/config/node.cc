#include "config/node.hh"

#include <algorithm>
#include <utility>

namespace sluice::config {

Node Node::bare(std::string text) {
    Node node;
    node.kind = Kind::scalar;
    node.text = std::move(text);
    return node;
}

Node Node::string(std::string text) {
    Node node = bare(std::move(text));
    node.quoted = true;
    return node;
}

Node Node::sequence() {
    Node node;
    node.kind = Kind::sequence;
    return node;
}

Node Node::mapping() {
    Node node;
    node.kind = Kind::mapping;
    return node;
}

Node& Node::append(Node item) {
    return items.emplace_back(std::move(item));
}

Node& Node::append(std::string key, Node value) {
    return entries.emplace_back(Entry{std::move(key), {}, std::move(value)}).value;
}

const Node::Entry* Node::find(std::string_view key) const {
    const auto found = std::ranges::find(entries, key, &Entry::key);
    return found == entries.end() ? nullptr : &*found;
}

bool Node::operator==(const Node& other) const {
    const auto same_entry = [](const Entry& a, const Entry& b) {
        return a.key == b.key && a.value == b.value;
    };
    return kind == other.kind && text == other.text && items == other.items &&
           std::ranges::equal(entries, other.entries, same_entry);
}

std::string_view describe(Node::Kind kind) {
    switch (kind) {
        case Node::Kind::null:
            return "nothing";
        case Node::Kind::scalar:
            return "a single value";
        case Node::Kind::sequence:
            return "a list";
        case Node::Kind::mapping:
            return "a mapping";
    }
    return "?";
}

}  // namespace sluice::config
