// How the fields of a packet and those of a set's type fit together.
#pragma once

#include <string>
#include <vector>

#include "filter/field.hh"
#include "sets/type.hh"

namespace sluice::filter {

// The packet's fields that are added to a set when the rule does not say: the first address is the source,
// the first port that of the destination, a second one the other. Empty if a packet has not enough of them.
std::vector<Field> natural_fields(const sets::SetType& type);

// Whether these fields can be looked up in a set of this type.
bool fits(const sets::SetType& type, const std::vector<Field>& fields);
// A type they fit: "ip,port".
std::string fitting_type(const std::vector<Field>& fields);

}  // namespace sluice::filter
