// Aligned tables, with colour if it is wanted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sluicectl {

enum class Colour : uint8_t { none, bold, red, green, yellow, dim };

// Text in a colour, or as it is.
std::string paint(std::string_view text, Colour colour, bool colours);

class Table {
  public:
    enum class Align : uint8_t { left, right };
    struct Column {
        std::string title;
        Align align = Align::left;
    };
    struct Cell {
        Cell(std::string t, Colour c = Colour::none)
            : text(std::move(t)), colour(c) {}  // NOLINT: a text is a cell
        Cell(const char* t) : text(t) {}        // NOLINT: likewise
        std::string text;
        Colour colour = Colour::none;
    };

    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    // As many cells as there are columns.
    void row(std::vector<Cell> cells);
    [[nodiscard]] bool empty() const { return rows_.empty(); }
    // A line of titles and one for each row; columns that are empty in every row are left out.
    [[nodiscard]] std::string text(bool colours) const;

  private:
    std::vector<Column> columns_;
    std::vector<std::vector<Cell>> rows_;
};

// "name   value" lines with the names aligned.
class Facts {
  public:
    void add(std::string name, std::string value) { lines_.emplace_back(std::move(name), std::move(value)); }
    [[nodiscard]] std::string text(bool colours) const;

  private:
    std::vector<std::pair<std::string, std::string>> lines_;
};

// Control characters, which could drive the terminal, as '?'.
std::string printable(std::string_view text);

}  // namespace sluice::sluicectl
