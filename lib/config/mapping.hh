// Declares how a struct stands in a configuration file: once, by its owner. From the declaration come reading
// with located problems, printing, and the reference.
//
//   // route_config.hh
//   struct RouteConfig {
//       std::optional<IpAddress> via;
//       uint32_t metric = 0;                        // the struct's own initialisers are the defaults
//       config::Location at;
//       bool operator==(const RouteConfig&) const = default;
//   };
//   template <>
//   struct config::Schema<RouteConfig> {            // in namespace sluice
//       static const Mapping<RouteConfig>& get();
//   };
//   // route_config.cc
//   const config::Mapping<RouteConfig>& config::Schema<RouteConfig>::get() {
//       static const auto mapping = config::Mapping<RouteConfig>("a route")
//           .optional("via", &RouteConfig::via, "address of the next hop")
//           .optional("metric", &RouteConfig::metric, "lower wins").range(0, 65535)
//           .location(&RouteConfig::at)
//           .check([](const RouteConfig& route, config::Context& context) {
//               if (route.metric == 7) context.problem_at("metric", "7 is taken", "expected any other");
//           });
//       return mapping;
//   }
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "config/compound.hh"
#include "config/mapping_base.hh"
#include "config/value.hh"

namespace sluice::config {

namespace detail {
template <typename M>
bool read_member(Context& context, const Constraint& constraint, void* member) {
    return Value<M>::read(context, constraint, *static_cast<M*>(member));
}
template <typename M>
Node print_member(const void* member) {
    return Value<M>::print(*static_cast<const M*>(member));
}
}  // namespace detail

template <typename T>
class Mapping : public MappingBase {
  public:
    // `what` names one in messages: "a route".
    explicit Mapping(std::string what) : MappingBase(std::move(what)) {
        defaults_ = [](const MappingBase& mapping) { return mapping.print(&fresh()); };
    }

    // A key that must be given.
    template <typename M, typename Owner>
        requires std::derived_from<T, Owner>
    Mapping& required(std::string key, M Owner::* member, std::string help) {
        declare(make(std::move(key), member, std::move(help), true));
        return *this;
    }
    // A key that may be left out; the default is what the struct's own initialiser says.
    template <typename M, typename Owner>
        requires std::derived_from<T, Owner>
    Mapping& optional(std::string key, M Owner::* member, std::string help) {
        declare(make(std::move(key), member, std::move(help), false));
        return *this;
    }
    // The keys of another struct, held as a member, stand among those of this one.
    template <HasSchema M, typename Owner>
        requires std::derived_from<T, Owner>
    Mapping& include(M Owner::* member) {
        adopt(Schema<M>::get(), offset_of(member));
        return *this;
    }

    // The next six speak of the key declared just before.
    // Both bounds are allowed values. For lists they bound each item.
    template <HasMeasure Low, HasMeasure High>
    Mapping& range(const Low& low, const High& high) {
        bound({Scalar<Low>::kDimension, Scalar<Low>::measure(low), Scalar<High>::measure(high),
               Scalar<Low>::format(low), Scalar<High>::format(high)});
        return *this;
    }
    template <HasMeasure Low>
    Mapping& at_least(const Low& low) {
        bound({Scalar<Low>::kDimension,
               Scalar<Low>::measure(low),
               std::numeric_limits<long double>::infinity(),
               Scalar<Low>::format(low),
               {}});
        return *this;
    }
    // Characters of a string, items of a list, entries of a mapping from names.
    Mapping& length(size_t low, size_t high) {
        limit(low, high);
        return *this;
    }
    Mapping& not_empty() { return length(1, std::numeric_limits<size_t>::max()); }
    // One item alone may be written for a list of one.
    Mapping& list_or_one() {
        last().constraint.list_or_one = true;
        return *this;
    }
    // A change needs a restart of the gateway; see difference.hh.
    Mapping& fixed() {
        last().fixed = true;
        return *this;
    }

    // Where the mapping stood is kept in this member.
    template <typename Owner>
        requires std::derived_from<T, Owner>
    Mapping& location(Location Owner::* member) {
        locations_.push_back(offset_of(member));
        return *this;
    }
    // A rule about several keys; only values that were read without problems get there.
    Mapping& check(std::function<void(const T& value, Context& context)> rule) {
        checks_.push_back(erase(std::move(rule)));
        return *this;
    }
    // A rule that also looks at values with problems, for whole documents: what could not be read is at its
    // default, named entries are all there. Use it for references.
    Mapping& cross_check(std::function<void(const T& value, Context& context)> rule) {
        cross_checks_.push_back(erase(std::move(rule)));
        return *this;
    }

  private:
    // One with every default.
    static const T& fresh() {
        static const T value{};
        return value;
    }
    template <typename M, typename Owner>
    static size_t offset_of(M Owner::* member) {
        const auto* const whole = reinterpret_cast<const std::byte*>(&fresh());
        return static_cast<size_t>(reinterpret_cast<const std::byte*>(&(fresh().*member)) - whole);
    }
    static Check erase(std::function<void(const T& value, Context& context)> rule) {
        return [rule = std::move(rule)](const void* object, Context& context) {
            rule(*static_cast<const T*>(object), context);
        };
    }
    template <typename M, typename Owner>
    static Option make(std::string key, M Owner::* member, std::string help, bool required) {
        Option option;
        option.key = std::move(key);
        option.help = std::move(help);
        option.required = required;
        option.offset = offset_of(member);
        option.read = &detail::read_member<M>;
        option.print = &detail::print_member<M>;
        option.expected = &Value<M>::expected;
        option.nested = &Value<M>::nested;
        option.nesting = Value<M>::nesting();
        option.dimension = Value<M>::dimension();
        if constexpr (requires(const M& value) { value.has_value(); }) {
            option.keeps_null = (fresh().*member).has_value();
        }
        return option;
    }
};

}  // namespace sluice::config
