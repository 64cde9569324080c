#include "config/value.hh"

#include <filesystem>

namespace sluice::config {

namespace {

constexpr size_t kLongestPath = 4095;  // PATH_MAX without its end

}  // namespace

namespace detail {

const std::string* scalar_text(Context& context, const Constraint& constraint, Expected expected) {
    if (context.node().is_scalar())
        return &context.node().text;
    wrong_kind(context, expected(constraint));
    return nullptr;
}

bool refuse(Context& context, const Error& error, const Constraint& constraint, Expected expected) {
    return context.problem(error.message,
                           error.hint.empty() ? "expected " + expected(constraint) : error.hint);
}

bool check_range(Context& context, const Constraint& constraint, Dimension dimension, long double amount,
                 Expected expected) {
    if (!constraint.range || constraint.range->dimension != dimension)
        return true;
    const std::string text = quote(context.node().text);
    if (amount < constraint.range->low)
        return context.problem(text + " is too small", "expected " + expected(constraint));
    if (amount > constraint.range->high)
        return context.problem(text + " is too large", "expected " + expected(constraint));
    return true;
}

bool check_length(Context& context, const Constraint& constraint, size_t length, std::string_view unit) {
    if (!constraint.length)
        return true;
    const auto [low, high] = *constraint.length;
    const std::string units(unit);
    if (length < low) {
        const std::string wrong =
            length == 0 ? "has no " + units : "has only " + std::to_string(length) + " " + units;
        return context.problem(wrong, "expected at least " + std::to_string(low));
    }
    if (length > high)
        return context.problem("has " + std::to_string(length) + " " + units,
                               "expected at most " + std::to_string(high));
    return true;
}

bool check_name(Context& context, const Node::Entry& entry) {
    if (is_name(entry.key))
        return true;
    return context.problem_with_key(entry, quote(entry.key) + " is not a name",
                                    "expected " + expected_name());
}

std::string expected_name() {
    return "at most " + std::to_string(kMaxNameLength) + " letters, digits, '_', '.' or '-'";
}

bool wrong_kind(Context& context, const std::string& expected) {
    const Node& node = context.node();
    const std::string found = node.is_scalar() ? quote(node.text)
                              : node.is_null() ? "nothing"
                                               : std::string(describe(node.kind));
    return context.problem(found + " stands here", "expected " + expected);
}

bool no_shape(Context& context, const std::string& expected, const Problems& tried) {
    const Node& node = context.node();
    const std::string found = node.is_scalar() ? quote(node.text) : "this";
    std::string hint = "expected " + expected;
    for (const auto& problem : tried) {
        if (const size_t guess = problem.hint.find(" (did you mean "); guess != std::string::npos) {
            hint += problem.hint.substr(guess);
            break;
        }
    }
    return context.problem(found + " is none of what may stand here", std::move(hint));
}

bool means_nothing(const Node& node) {
    return node.is_scalar() && !node.quoted && (node.text == "null" || node.text == "~");
}

std::string join_alternatives(const std::vector<std::string>& parts) {
    std::string text;
    for (size_t i = 0; i < parts.size(); ++i) {
        if (i != 0)
            text += i + 1 == parts.size() ? ", or " : ", ";
        text += parts[i];
    }
    return text;
}

}  // namespace detail

std::string Custom<Reference>::expected() {
    return "a name";
}

std::optional<Reference> Custom<Reference>::read(const Node& node, Context& context) {
    if (!node.is_scalar()) {
        detail::wrong_kind(context, expected());
        return std::nullopt;
    }
    if (!is_name(node.text)) {
        context.problem(quote(node.text) + " is not a name", "expected " + detail::expected_name());
        return std::nullopt;
    }
    return Reference{node.text, context.location()};
}

Node Custom<Reference>::print(const Reference& value) {
    return value.name.empty() ? Node{} : Node::string(value.name);
}

std::string Custom<Path>::expected() {
    return "the path of a file; relative ones start at the folder of this file";
}

std::optional<Path> Custom<Path>::read(const Node& node, Context& context) {
    if (!node.is_scalar() || node.text.empty()) {
        detail::wrong_kind(context, expected());
        return std::nullopt;
    }
    const auto text = Scalar<std::string>::parse(node.text);
    if (!text || text->size() > kLongestPath) {
        context.problem(text ? "the path is too long" : text.error().message, "expected " + expected());
        return std::nullopt;
    }
    const auto full = std::filesystem::path(context.folder()) / *text;
    return Path{*text, full.lexically_normal().string()};
}

Node Custom<Path>::print(const Path& value) {
    return value.written.empty() ? Node{} : Node::string(value.written);
}

}  // namespace sluice::config
