// What changed between two configurations, key by key: for `diff`, and to refuse what cannot change live.
#pragma once

#include <string>
#include <vector>

#include "config/value.hh"

namespace sluice::config {

struct Difference {
    std::string path;    // "interfaces.lan.mtu"
    std::string before;  // as YAML on one line; empty: was not there
    std::string after;   // empty: is gone
    bool fixed = false;  // the option, or one it belongs to, was declared fixed(): a change needs a restart
    bool operator==(const Difference&) const = default;
};

namespace detail {
std::vector<Difference> differences(const MappingBase& schema, const void* before, const void* after);
}

// In the order of the declarations. Lists are compared as a whole, except that each is named by its own path.
template <HasSchema T>
std::vector<Difference> differences(const T& before, const T& after) {
    return detail::differences(Schema<T>::get(), &before, &after);
}

}  // namespace sluice::config
