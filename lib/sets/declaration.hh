// What the configuration says about one set, without YAML: what config.hh reads and registry.hh builds from.
#pragma once

#include <string>
#include <vector>

#include "base/time.hh"
#include "config/problem.hh"
#include "sets/element.hh"
#include "sets/set.hh"

namespace sluice::sets {

// An element as written, read when the set is built, since its type stands elsewhere.
struct DeclaredElement {
    std::string value;
    std::optional<Duration> timeout;
    std::string comment;
    config::Location at;
    bool operator==(const DeclaredElement&) const = default;
};

struct SetDeclaration {
    std::string name;
    SetOptions options;
    std::string description;
    std::vector<DeclaredElement> elements;
    std::string file;     // full path; empty: none
    config::Location at;  // of the set
    bool operator==(const SetDeclaration&) const = default;
};

// Reads the declared elements and the file into a body; mistakes go to `problems`. `digest` gets a number
// that differs when type, elements or the file's text do.
std::unique_ptr<BodyBuilder> read_declared(const SetDeclaration& declaration, uint64_t seed, Instant now,
                                           uint64_t& digest, config::Problems& problems);

}  // namespace sluice::sets
