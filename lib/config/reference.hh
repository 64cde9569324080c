// The configuration reference, written from the declarations.
#pragma once

#include <iosfwd>

#include "config/mapping_base.hh"

namespace sluice::config {

// Markdown: a section for each mapping reached from `schema`, a row for each key with what it takes, its
// default, its bounds and its help.
void write_reference(std::ostream& out, const MappingBase& schema);

}  // namespace sluice::config
