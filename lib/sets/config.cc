#include "sets/config.hh"

#include "config/compound.hh"
#include "sets/element.hh"

namespace sluice {
namespace sets {
namespace {

constexpr Duration kMinTimeout = std::chrono::milliseconds(1);
constexpr size_t kMaxDescription = 256;

void check_element(const ElementConfig& element, config::Context& context) {
    if (const auto comment = check_comment(element.comment); !comment)
        context.problem_at("comment", comment.error().message, comment.error().hint);
}

}  // namespace

std::vector<SetDeclaration> declarations(const SetsConfig& config) {
    std::vector<SetDeclaration> result;
    result.reserve(config.size());
    for (const auto& [name, set, at] : config) {
        SetDeclaration& declared = result.emplace_back();
        declared.name = name;
        declared.options = {.type = set.type,
                            .size = set.size,
                            .timeout = set.timeout.value_or(Duration{}),
                            .counters = set.counters};
        declared.description = set.description;
        declared.elements.reserve(set.elements.size());
        for (const auto& [element] : set.elements)
            declared.elements.push_back({element.value, element.timeout, element.comment, element.location});
        if (set.file)
            declared.file = set.file->full;
        declared.at = at;
    }
    return result;
}

}  // namespace sets

namespace config {

std::string Scalar<sets::SetType>::expected() {
    return "up to three of ip, net, port, mac, proto, mark with commas between them";
}

Expected<sets::SetType> Scalar<sets::SetType>::parse(std::string_view text) {
    return sets::SetType::parse(text);
}

std::string Scalar<sets::SetType>::format(const sets::SetType& value) {
    return value.to_string();
}

const Mapping<sets::ElementConfig>& Schema<sets::ElementConfig>::get() {
    using sets::ElementConfig;
    static const auto mapping =
        Mapping<ElementConfig>("an element")
            .required("value", &ElementConfig::value, "as the type has it")
            .optional("timeout", &ElementConfig::timeout, "how long it stays; default: the set's timeout")
            .range(sets::kMinTimeout, sets::kMaxTimeout)
            .optional("comment", &ElementConfig::comment, "for people")
            .location(&ElementConfig::location)
            .check(sets::check_element);
    return mapping;
}

std::string Custom<sets::ElementEntry>::expected() {
    return "an element such as 192.0.2.1, or {value: 192.0.2.1, timeout: 10m, comment: TEXT}";
}

std::optional<sets::ElementEntry> Custom<sets::ElementEntry>::read(const Node& node, Context& context) {
    sets::ElementEntry entry;
    if (node.is_mapping()) {
        auto element = read_as<sets::ElementConfig>(context);
        if (!element)
            return std::nullopt;
        entry.element = std::move(*element);
    } else if (node.is_scalar()) {
        entry.element.value = node.text;
        entry.element.location = context.location();
    } else {
        context.problem("this is no element", "expected " + expected());
        return std::nullopt;
    }
    return entry;
}

Node Custom<sets::ElementEntry>::print(const sets::ElementEntry& value) {
    if (value.element.timeout || !value.element.comment.empty())
        return print_as(value.element);
    return Node::string(value.element.value);
}

const Mapping<sets::SetConfig>& Schema<sets::SetConfig>::get() {
    using sets::SetConfig;
    static const auto mapping =
        Mapping<SetConfig>("a set")
            .required("type", &SetConfig::type,
                      "what an element is: `ip`, `net` (prefixes and ranges), `port`, `mac`, `proto`, "
                      "`mark`, or up "
                      "to three of these with commas between them")
            .optional("size", &SetConfig::size, "most elements; more are refused")
            .range(1U, sets::kMaxSize)
            .optional("elements", &SetConfig::elements, "elements it begins with")
            .optional("file", &SetConfig::file,
                      "more elements, one a line; `#` begins a remark, `timeout 10m` and `comment \"TEXT\"` "
                      "may follow")
            .optional("timeout", &SetConfig::timeout,
                      "how long elements stay that name no time; default: for ever")
            .range(sets::kMinTimeout, sets::kMaxTimeout)
            .optional("counters", &SetConfig::counters, "count packets and bytes of each element")
            .optional("description", &SetConfig::description, "for people")
            .length(0, sets::kMaxDescription)
            .location(&SetConfig::location);
    return mapping;
}

}  // namespace config

}  // namespace sluice
