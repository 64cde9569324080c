// Value<T> of types made of others: std::optional, std::vector, std::map and Named by name, std::variant as
// one of several shapes, Located.
#pragma once

#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "config/named.hh"
#include "config/value.hh"

namespace sluice::config {

// Absent, empty or `null`: nothing.
template <typename T>
struct Value<std::optional<T>> {
    static bool read(Context& context, const Constraint& constraint, std::optional<T>& into) {
        if (context.node().is_null()) {
            into.reset();
            return true;
        }
        T value{};
        if (detail::means_nothing(context.node())) {  // unless the type knows that word, as a string does
            Problems unheard;
            Context attempt = context.with(unheard);
            if (!Value<T>::read(attempt, constraint, value)) {
                into.reset();
                return true;
            }
            into = std::move(value);
            return true;
        }
        const bool good = Value<T>::read(context, constraint, value);
        into = std::move(value);
        return good;
    }
    static Node print(const std::optional<T>& value) { return value ? Value<T>::print(*value) : Node{}; }
    static std::string expected(const Constraint& constraint) { return Value<T>::expected(constraint); }
    static bool takes(Node::Kind kind) { return kind == Node::Kind::null || Value<T>::takes(kind); }
    static const MappingBase* nested() { return Value<T>::nested(); }
    static constexpr std::string_view nesting() { return Value<T>::nesting(); }
    static constexpr std::optional<Dimension> dimension() { return Value<T>::dimension(); }
};

// A list; nothing written is an empty one. Items that could not be read are left out, mappings read in part
// are kept.
template <typename T>
struct Value<std::vector<T>> {
    static bool read(Context& context, const Constraint& constraint, std::vector<T>& into) {
        const Node& node = context.node();
        const Constraint of_items = constraint.of_items();
        into.clear();
        bool good = true;
        if (node.is_sequence()) {
            into.reserve(node.items.size());
            for (size_t i = 0; i < node.items.size(); ++i) {
                Context item = context.inside(i, node.items[i]);
                good = read_item(item, of_items, into) && good;
            }
        } else if (constraint.list_or_one && !node.is_null() && Value<T>::takes(node.kind)) {
            good = read_item(context, of_items, into);
        } else if (!node.is_null() && !detail::means_nothing(node)) {
            return detail::wrong_kind(context, expected(constraint));
        }
        return good && detail::check_length(context, constraint, into.size(), "items");
    }
    static Node print(const std::vector<T>& value) {
        Node node = Node::sequence();
        for (const auto& item : value) {
            node.append(Value<T>::print(item));
        }
        return node;
    }
    static std::string expected(const Constraint& constraint) {
        const std::string item = Value<T>::expected(constraint.of_items());
        return constraint.list_or_one ? item + ", or a list of such" : "a list, each item " + item;
    }
    static bool takes(Node::Kind kind) { return kind == Node::Kind::sequence; }
    static const MappingBase* nested() { return Value<T>::nested(); }
    static constexpr std::string_view nesting() { return "[]"; }
    static constexpr std::optional<Dimension> dimension() { return Value<T>::dimension(); }

  private:
    static bool read_item(Context& item, const Constraint& constraint, std::vector<T>& into) {
        T value{};
        const bool good = Value<T>::read(item, constraint, value);
        if (good || (HasSchema<T> && item.node().is_mapping())) {
            into.push_back(std::move(value));
        }
        return good;
    }
};

// A mapping of names the user chooses. Every well-formed name is kept, even if its value could not be read,
// so that references to it resolve.
template <typename T, typename Container>
struct NamedValues {
    static bool read(Context& context, const Constraint& constraint, Container& into) {
        const Node& node = context.node();
        const Constraint of_items = constraint.of_items();
        into = {};
        if (!node.is_mapping()) {
            return node.is_null() || detail::means_nothing(node) ||
                   detail::wrong_kind(context, expected(constraint));
        }
        bool good = true;
        for (const auto& entry : node.entries) {
            if (!detail::check_name(context, entry)) {
                good = false;
                continue;
            }
            Context inside = context.inside(entry.key, entry.value);
            T value{};
            good = Value<T>::read(inside, of_items, value) && good;
            if constexpr (std::same_as<Container, Named<T>>) {
                into.add(entry.key, std::move(value), inside.location());
            } else {
                into.emplace(entry.key, std::move(value));
            }
        }
        return good && detail::check_length(context, constraint, node.entries.size(), "entries");
    }
    static Node print(const Container& value) {
        Node node = Node::mapping();
        if constexpr (std::same_as<Container, Named<T>>) {
            for (const auto& entry : value) {
                node.append(entry.name, Value<T>::print(entry.value));
            }
        } else {
            for (const auto& [name, item] : value) {
                node.append(name, Value<T>::print(item));
            }
        }
        return node;
    }
    static std::string expected(const Constraint& constraint) {
        return "a mapping from names, each to " + Value<T>::expected(constraint.of_items());
    }
    static bool takes(Node::Kind kind) { return kind == Node::Kind::mapping; }
    static const MappingBase* nested() { return Value<T>::nested(); }
    static constexpr std::string_view nesting() { return ".NAME"; }
    static constexpr std::optional<Dimension> dimension() { return Value<T>::dimension(); }
};

template <typename T>
struct Value<std::map<std::string, T>> : NamedValues<T, std::map<std::string, T>> {};

template <typename T>
struct Value<Named<T>> : NamedValues<T, Named<T>> {};

// One of several shapes: the first alternative that can be read from what is written. Each gets the bounds.
template <typename... T>
struct Value<std::variant<T...>> {
    static bool read(Context& context, const Constraint& constraint, std::variant<T...>& into) {
        size_t fitting = 0;
        ((fitting += Value<T>::takes(context.node().kind) ? 1U : 0U), ...);
        if (fitting == 0) {
            return detail::wrong_kind(context, expected(constraint));
        }
        bool good = false;
        if (fitting == 1) {  // its own problems say more than a list of all shapes
            (read_one<T>(context, constraint, into, good) || ...);
            return good;
        }
        Problems unheard;
        Context attempt = context.with(unheard);
        if (((read_one<T>(attempt, constraint, into, good) && good) || ...)) {
            return true;
        }
        return detail::no_shape(context, expected(constraint), unheard);
    }
    static Node print(const std::variant<T...>& value) {
        return std::visit(
            [](const auto& held) { return Value<std::remove_cvref_t<decltype(held)>>::print(held); }, value);
    }
    static std::string expected(const Constraint& constraint) {
        return detail::join_alternatives({Value<T>::expected(constraint)...});
    }
    static bool takes(Node::Kind kind) { return (Value<T>::takes(kind) || ...); }
    static const MappingBase* nested() {
        const MappingBase* found = nullptr;
        ((found == nullptr ? void(found = Value<T>::nested()) : void()), ...);
        return found;
    }
    static constexpr std::string_view nesting() { return ""; }
    static constexpr std::optional<Dimension> dimension() {
        std::optional<Dimension> found;
        ((found ? void() : void(found = Value<T>::dimension())), ...);
        return found;
    }

  private:
    // True if the alternative was tried.
    template <typename One>
    static bool read_one(Context& context, const Constraint& constraint, std::variant<T...>& into,
                         bool& good) {
        if (!Value<One>::takes(context.node().kind)) {
            return false;
        }
        One value{};
        good = Value<One>::read(context, constraint, value);
        if (good) {
            into = std::move(value);
        }
        return true;
    }
};

// For readers of Custom types: the context's node, or that of one key of it, as a T.
template <typename T>
std::optional<T> read_as(Context& context, const Constraint& constraint = {}) {
    T value{};
    if (!Value<T>::read(context, constraint, value)) {
        return std::nullopt;
    }
    return value;
}

template <typename T>
Node print_as(const T& value) {
    return Value<T>::print(value);
}

// A value that remembers where it was written, for checks after reading.
template <typename T>
struct Value<Located<T>> {
    static bool read(Context& context, const Constraint& constraint, Located<T>& into) {
        into.at = context.location();
        return Value<T>::read(context, constraint, into.value);
    }
    static Node print(const Located<T>& value) { return Value<T>::print(value.value); }
    static std::string expected(const Constraint& constraint) { return Value<T>::expected(constraint); }
    static bool takes(Node::Kind kind) { return Value<T>::takes(kind); }
    static const MappingBase* nested() { return Value<T>::nested(); }
    static constexpr std::string_view nesting() { return Value<T>::nesting(); }
    static constexpr std::optional<Dimension> dimension() { return Value<T>::dimension(); }
};

}  // namespace sluice::config
