// Files that a configuration names, read whole by the control plane.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.hh"

namespace sluice {

// Bytes of an ordinary file. An error if there is none, it cannot be read, or it is larger than `most`; then
// the hint says `expected`, in words that go on "expected ...". Never waits: a pipe is refused.
Expected<std::string> read_file(const std::string& path, size_t most, std::string_view expected);

}  // namespace sluice
