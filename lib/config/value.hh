// Value<T>: how a value of any declared type is read from a node and printed to one. Here: scalars and enums
// (scalar.hh, enum_names.hh), structs with a Schema, and whatever a Custom<T> reads. The rest is in
// compound.hh.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/context.hh"
#include "config/enum_names.hh"
#include "config/mapping_base.hh"
#include "config/names.hh"
#include "config/node.hh"
#include "config/scalar.hh"

namespace sluice::config {

// Specialised by the owner of a struct, next to it:
//   template <> struct config::Schema<RouteConfig> { static const config::Mapping<RouteConfig>& get(); };
template <typename T>
struct Schema;

// Tells which types have a schema; the declaration must be seen before the type's first use as a member.
template <typename T>
concept HasSchema = requires {
    { Schema<T>::get() } -> std::convertible_to<const MappingBase&>;
};

// Specialised for a type with a shape of its own:
//   static std::string expected();                                         "a port, a range, or a list of
//   these" static std::optional<T> read(const Node& node, Context& context);      reports what is wrong, then
//   gives nothing static Node print(const T& value);                                     reading it gives the
//   value again static bool takes(Node::Kind kind);                                    optional: which kinds
//   it reads; else all
template <typename T>
struct Custom;

template <typename T>
concept HasCustom = requires(const T& value, const Node& node, Context& context) {
    { Custom<T>::expected() } -> std::same_as<std::string>;
    { Custom<T>::read(node, context) } -> std::same_as<std::optional<T>>;
    { Custom<T>::print(value) } -> std::same_as<Node>;
};

// The parts of reading that need no type.
namespace detail {
using Expected = std::string (*)(const Constraint&);
const std::string* scalar_text(Context& context, const Constraint& constraint, Expected expected);
bool refuse(Context& context, const Error& error, const Constraint& constraint, Expected expected);
bool check_range(Context& context, const Constraint& constraint, Dimension dimension, long double amount,
                 Expected expected);
bool check_length(Context& context, const Constraint& constraint, size_t length, std::string_view unit);
bool check_name(Context& context, const Node::Entry& entry);
std::string expected_name();
bool wrong_kind(Context& context, const std::string& expected);
bool means_nothing(const Node& node);  // `null` or `~`, unquoted
bool no_shape(Context& context, const std::string& expected, const Problems& tried);
std::string join_alternatives(const std::vector<std::string>& parts);
}  // namespace detail

// A scalar, an enum, a struct with a schema or a custom type.
template <typename T>
struct Value {
    static_assert(HasCustom<T> || HasSchema<T> || HasScalar<T>,
                  "this type needs a Schema, Custom, Scalar or EnumNames; include the header that has it");

    // Reads the context's node; false if a problem was reported. A struct then holds what could be read of
    // it.
    static bool read(Context& context, const Constraint& constraint, T& into) {
        if constexpr (HasCustom<T>) {
            auto value = Custom<T>::read(context.node(), context);
            if (!value) {
                return false;
            }
            into = std::move(*value);
            return true;
        } else if constexpr (HasSchema<T>) {
            return static_cast<const MappingBase&>(Schema<T>::get()).read(context, &into);
        } else {
            return read_scalar(context, constraint, into);
        }
    }
    static Node print(const T& value) {
        if constexpr (HasCustom<T>) {
            return Custom<T>::print(value);
        } else if constexpr (HasSchema<T>) {
            return static_cast<const MappingBase&>(Schema<T>::get()).print(&value);
        } else {
            std::string text = Scalar<T>::format(value);
            return is_bare(value) ? Node::bare(std::move(text)) : Node::string(std::move(text));
        }
    }
    // What one may write, as messages and the reference say it.
    static std::string expected(const Constraint& constraint) {
        if constexpr (HasCustom<T>) {
            return Custom<T>::expected();
        } else if constexpr (HasSchema<T>) {
            return static_cast<const MappingBase&>(Schema<T>::get()).what();
        } else if constexpr (HasMeasure<T>) {
            if (!constraint.bounds(Scalar<T>::kDimension))
                return Scalar<T>::expected();
            if constexpr (requires { Scalar<T>::noun(); })
                return constraint.amend(Scalar<T>::noun());
            else
                return constraint.amend(Scalar<T>::expected() + ",");
        } else {
            return Scalar<T>::expected();
        }
    }
    // Whether a node of this kind can be such a value at all; chooses among the shapes of a variant.
    static bool takes(Node::Kind kind) {
        if constexpr (requires(Node::Kind each) { Custom<T>::takes(each); }) {
            return Custom<T>::takes(kind);
        } else if constexpr (HasCustom<T>) {
            return true;
        } else if constexpr (HasSchema<T>) {
            return kind == Node::Kind::mapping;
        } else {
            return kind == Node::Kind::scalar;
        }
    }
    static const MappingBase* nested() {
        if constexpr (HasSchema<T>) {
            return &static_cast<const MappingBase&>(Schema<T>::get());
        } else {
            return nullptr;
        }
    }
    static constexpr std::string_view nesting() { return ""; }
    static constexpr std::optional<Dimension> dimension() {
        if constexpr (HasMeasure<T>) {
            return Scalar<T>::kDimension;
        } else {
            return std::nullopt;
        }
    }

  private:
    static bool read_scalar(Context& context, const Constraint& constraint, T& into) {
        const std::string* text = detail::scalar_text(context, constraint, &expected);
        if (text == nullptr) {
            return false;
        }
        auto value = Scalar<T>::parse(*text);
        if (!value) {
            return detail::refuse(context, value.error(), constraint, &expected);
        }
        if constexpr (HasMeasure<T>) {
            if (!detail::check_range(context, constraint, Scalar<T>::kDimension, Scalar<T>::measure(*value),
                                     &expected)) {
                return false;
            }
        }
        if constexpr (std::same_as<T, std::string>) {
            if (!detail::check_length(context, constraint, value->size(), "characters")) {
                return false;
            }
        }
        into = std::move(*value);
        return true;
    }
};

// References and paths know more than their text: where they stand.
template <>
struct Custom<Reference> {
    static std::string expected();
    static std::optional<Reference> read(const Node& node, Context& context);
    static Node print(const Reference& value);
    static bool takes(Node::Kind kind) { return kind == Node::Kind::scalar; }
};

template <>
struct Custom<Path> {
    static std::string expected();
    static std::optional<Path> read(const Node& node, Context& context);
    static Node print(const Path& value);
    static bool takes(Node::Kind kind) { return kind == Node::Kind::scalar; }
};

}  // namespace sluice::config
