// The part of a declared mapping that does not depend on the struct: Mapping<T> of mapping.hh is a thin cover
// of it.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/constraint.hh"
#include "config/context.hh"
#include "config/node.hh"

namespace sluice::config {

class MappingBase;

// One key of a mapping: a member of the struct it belongs to.
struct Option {
    std::string key;
    std::string help;
    bool required = false;
    bool fixed = false;       // cannot change while the gateway runs
    bool keeps_null = false;  // no value is not the default, so it is printed
    Constraint constraint;

    size_t offset = 0;  // of the member within the struct
    bool (*read)(Context&, const Constraint&, void* member) = nullptr;
    Node (*print)(const void* member) = nullptr;
    std::string (*expected)(const Constraint&) = nullptr;
    const MappingBase* (*nested)() = nullptr;  // gives the mapping within, if there is one
    std::string_view nesting;                  // how its keys hang on this one: "", "[]", ".NAME"
    std::optional<Dimension> dimension;        // if it can be bounded
};

class MappingBase {
  public:
    using Check = std::function<void(const void* object, Context&)>;

    [[nodiscard]] const std::string& what() const { return what_; }  // "a route"
    [[nodiscard]] const std::vector<Option>& options() const { return options_; }
    // A fresh struct, printed: the defaults.
    [[nodiscard]] Node defaults() const { return defaults_(*this); }

    // Reads the node of the context, which must be a mapping or null, over the object. Options that are
    // absent or wrong keep what the object had. False if any problem was reported.
    bool read(Context& context, void* object) const;
    // All options, required and optional, in the order of declaration.
    [[nodiscard]] Node print(const void* object) const;

  protected:
    explicit MappingBase(std::string what) : what_(std::move(what)) {}
    void declare(Option option);  // throws std::logic_error if the key exists
    Option& last();               // the option declared last; throws std::logic_error if none
    void adopt(const MappingBase& part, size_t offset);  // of a struct within this one
    bool read_key(Context& context, const Node::Entry& entry, void* object) const;
    void bound(Range range);  // of the option declared last
    void limit(size_t low, size_t high);

    std::string what_;
    std::vector<Option> options_;
    std::vector<Check> checks_;        // run on mappings read without problems
    std::vector<Check> cross_checks_;  // run always
    std::vector<size_t> locations_;    // offsets of members that keep the place
    Node (*defaults_)(const MappingBase& mapping) = nullptr;
};

}  // namespace sluice::config
