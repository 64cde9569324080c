#include "filter/config_values.hh"

#include <algorithm>

namespace sluice::filter {

using config::Context;
using config::Node;
using config::Reference;

std::vector<std::string_view> names_of(std::span<const NumberName> names) {
    std::vector<std::string_view> result;
    for (const NumberName& each : names)
        result.push_back(each.name);
    return result;
}

std::optional<uint32_t> number_named(std::span<const NumberName> names, std::string_view name) {
    const auto found = std::ranges::find(names, name, &NumberName::name);
    if (found == names.end())
        return std::nullopt;
    return found->number;
}

bool each_value(Context& context, const std::string& expected, bool& negated,
                const std::function<bool(Context&, std::string_view)>& take) {
    const Node& node = context.node();
    negated = false;
    if (node.is_mapping()) {
        if (node.entries.size() != 1 || node.entries[0].key != "not")
            return context.problem("this is no match", "expected " + expected);
        Context inside = context.inside("not", node.entries[0].value);
        if (inside.node().is_mapping() || !each_value(inside, expected, negated, take))
            return inside.node().is_mapping() ? inside.problem("this is no match", "expected " + expected)
                                              : false;
        if (negated)
            return inside.problem("this is negated twice", "expected either {not: ...} or a leading !");
        negated = true;
        return true;
    }
    if (node.is_sequence()) {
        if (node.items.empty())
            return context.problem("an empty list matches nothing", "expected " + expected);
        bool good = true;
        for (size_t i = 0; i < node.items.size(); ++i) {
            Context item = context.inside(i, node.items[i]);
            if (!item.node().is_scalar())
                good = item.problem("a list of lists is no match", "expected " + expected);
            else if (item.node().text.starts_with('!'))
                good = item.problem("one value of a list cannot be negated",
                                    "expected {not: [...]} around all of them");
            else
                good = take(item, item.node().text) && good;
        }
        return good;
    }
    if (!node.is_scalar())
        return context.problem("nothing is written here", "expected " + expected);
    std::string_view text = node.text;
    if (text.starts_with('!')) {
        negated = true;
        text.remove_prefix(1);
        while (text.starts_with(' '))
            text.remove_prefix(1);
    }
    return take(context, text);
}

std::optional<Reference> set_reference(const Context& context, std::string_view text) {
    if (!text.starts_with('@') || !config::is_name(text.substr(1)))
        return std::nullopt;
    return Reference{std::string(text.substr(1)), context.location()};
}

Node shaped(std::vector<Node> values, bool negated) {
    Node node;
    if (values.size() == 1) {
        node = std::move(values.front());
    } else {
        node = Node::sequence();
        for (Node& value : values)
            node.append(std::move(value));
    }
    if (!negated)
        return node;
    Node outer = Node::mapping();
    outer.append("not", std::move(node));
    return outer;
}

void print_sets(const std::vector<Reference>& sets, std::vector<Node>& into) {
    for (const Reference& set : sets)
        into.push_back(Node::string("@" + set.name));
}

}  // namespace sluice::filter
