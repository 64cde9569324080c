// From bytes of a text to lines and columns, and what stands at a place.
#pragma once

#include <cstddef>
#include <string_view>

#include "config/problem.hh"

namespace sluice::config {

// Finds the line and column of bytes of one text. They are asked for almost in order, so each is found from
// the one before.
class Places {
  public:
    explicit Places(std::string_view text) : text_(text) {}  // borrows it

    // Positions behind the end mean the end.
    Mark find(size_t position);
    [[nodiscard]] std::string_view from(size_t position) const;

  private:
    std::string_view text_;
    size_t place_ = 0;
    Mark mark_{1, 1};
};

// Whether the quotes at the start of the text are closed within it; true if there are none. yaml-cpp 0.7
// takes the end of a file that ends with a line break for a closing quote.
bool closes_quotes(std::string_view text);

// The word for nothing at the start of the text, if there is one. yaml-cpp tells of such words without the
// word, but a key or value may be called that.
std::string_view null_word(std::string_view text);

}  // namespace sluice::config
