// The section `sets`: names, each to what its set is and holds. As written; elements and files are read when
// the set is built (declaration.hh).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/mapping.hh"
#include "config/named.hh"
#include "config/problem.hh"
#include "config/quantity.hh"
#include "sets/declaration.hh"
#include "sets/type.hh"

namespace sluice::sets {

// {value: 10.0.0.0/8, timeout: 10m, comment: "lab"}, or the value alone.
struct ElementConfig {
    std::string value;
    std::optional<Duration> timeout;
    std::string comment;
    config::Location location;
    bool operator==(const ElementConfig&) const = default;
};
// The same, written as a scalar if there is nothing but a value.
struct ElementEntry {
    ElementConfig element;
    bool operator==(const ElementEntry&) const = default;
};

// sets: blocklist: {type: net, file: blocklist.txt}
struct SetConfig {
    SetType type;
    uint32_t size = kDefaultSize;
    std::vector<ElementEntry> elements;
    std::optional<config::Path> file;
    std::optional<Duration> timeout;
    bool counters = false;
    std::string description;
    config::Location location;
    bool operator==(const SetConfig&) const = default;
};

using SetsConfig = config::Named<SetConfig>;

// What the registry builds sets from.
std::vector<SetDeclaration> declarations(const SetsConfig& config);

}  // namespace sluice::sets

namespace sluice {

template <>
struct config::Scalar<sets::SetType> {
    static std::string expected();
    static Expected<sets::SetType> parse(std::string_view text);
    static std::string format(const sets::SetType& value);
};
template <>
struct config::Schema<sets::ElementConfig> {
    static const Mapping<sets::ElementConfig>& get();
};
template <>
struct config::Custom<sets::ElementEntry> {
    static std::string expected();
    static std::optional<sets::ElementEntry> read(const Node& node, Context& context);
    static Node print(const sets::ElementEntry& value);
};
template <>
struct config::Schema<sets::SetConfig> {
    static const Mapping<sets::SetConfig>& get();
};

}  // namespace sluice
