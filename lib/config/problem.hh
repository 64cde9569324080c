// What is wrong in a file, where, and what would be right. Every mistake of a file is collected, none stops
// the reading.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hh"

namespace sluice::config {

// A place in a text. Lines and columns (in characters) count from 1; 0 means no place in particular.
struct Mark {
    uint32_t line = 0;
    uint32_t column = 0;
    auto operator<=>(const Mark&) const = default;
};

// Where a value stood, kept beside it for checks that come after reading. Not part of the value: all compare
// equal, so that structs holding one can default their ==.
struct Location {
    std::shared_ptr<const std::string>
        file;  // shared by all of one file; null for values made by the program
    Mark mark;
    std::string path;  // "interfaces.lan", "routes[3].via"

    [[nodiscard]] Location inside(std::string_view key) const;  // the same place, the path one key longer
    bool operator==(const Location&) const { return true; }
};

// One mistake.
struct Problem {
    std::string file;
    Mark mark;
    std::string path;     // empty: the document as a whole
    std::string message;  // what is wrong
    std::string hint;     // what is expected; may be empty

    // FILE:LINE:COL: path.to.key: what is wrong; what is expected
    [[nodiscard]] std::string text() const;
    bool operator==(const Problem&) const = default;
};

// The mistakes of a document, in the order of the text. Keeps the first kMax reported and counts the rest.
class Problems {
  public:
    static constexpr size_t kMax = 200;

    void add(Problem problem);
    void add(const Location& at, std::string message, std::string hint = {});
    void add(const Problems& others);

    [[nodiscard]] bool empty() const { return kept_.empty(); }
    [[nodiscard]] size_t size() const { return kept_.size() + left_out_; }
    [[nodiscard]] size_t left_out() const { return left_out_; }
    [[nodiscard]] const std::vector<Problem>& all() const { return kept_; }
    [[nodiscard]] auto begin() const { return kept_.begin(); }
    [[nodiscard]] auto end() const { return kept_.end(); }
    // One line each, and one that counts those left out; every line ends with a newline.
    [[nodiscard]] std::string text() const;
    // For callers that can tell one thing only: the first line, and how many more there are. Must not be
    // empty.
    [[nodiscard]] Error first() const;

  private:
    std::vector<Problem> kept_;
    size_t left_out_ = 0;
};

// 'text' in single quotes for use in a message: control characters escaped, cut when long.
std::string quote(std::string_view text);

}  // namespace sluice::config
