// What the configuration says about one set, without YAML: what config.hh reads and registry.hh builds from.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/time.hh"
#include "config/problem.hh"
#include "sets/body_builder.hh"
#include "sets/element.hh"
#include "sets/set.hh"

namespace sluice::sets {

// An element as written; it is understood when the set is built.
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

// Files of more than this are refused.
inline constexpr size_t kMaxFileBytes = size_t{1} << 30;

// What a declaration and its file say at one moment.
class DeclaredContent {
  public:
    // Reads the file. A file that cannot be read is a problem.
    static std::optional<DeclaredContent> read(const SetDeclaration& declaration, config::Problems& problems);

    // Differs when the type, the declared elements or the text of the file do.
    [[nodiscard]] uint64_t digest() const { return digest_; }
    // Every mistake goes to `problems`, those of the file with its lines; then there is no builder. The
    // declaration given to read() must still be there.
    [[nodiscard]] std::unique_ptr<BodyBuilder> build(const SetOptions& options, uint64_t seed, Instant now,
                                                     config::Problems& problems) const;

  private:
    const SetDeclaration* declaration_ = nullptr;
    std::string text_;
    uint64_t digest_ = 0;
};

}  // namespace sluice::sets
