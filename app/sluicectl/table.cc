#include "sluicectl/table.hh"

#include <algorithm>
#include <stdexcept>

namespace sluice::sluicectl {
namespace {

constexpr std::string_view kGap = "  ";

// Characters, not bytes, of UTF-8.
size_t width(std::string_view text) {
    return static_cast<size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string_view code(Colour colour) {
    switch (colour) {
        case Colour::bold:
            return "\x1b[1m";
        case Colour::red:
            return "\x1b[31m";
        case Colour::green:
            return "\x1b[32m";
        case Colour::yellow:
            return "\x1b[33m";
        case Colour::dim:
            return "\x1b[2m";
        case Colour::none:
            break;
    }
    return "";
}

}  // namespace

std::string printable(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            c = '?';
    }
    return result;
}

std::string paint(std::string_view text, Colour colour, bool colours) {
    if (!colours || colour == Colour::none)
        return std::string(text);
    return std::string(code(colour)) + std::string(text) + "\x1b[0m";
}

void Table::row(std::vector<Cell> cells) {
    if (cells.size() != columns_.size())
        throw std::logic_error("a row of the table has another number of cells than there are columns");
    for (Cell& cell : cells)
        cell.text = printable(cell.text);
    rows_.push_back(std::move(cells));
}

std::string Table::text(bool colours) const {
    std::vector<size_t> shown;
    std::vector<size_t> widths(columns_.size());
    for (size_t i = 0; i < columns_.size(); ++i) {
        for (const auto& cells : rows_)
            widths[i] = std::max(widths[i], width(cells[i].text));
        if (widths[i] == 0 && !rows_.empty())
            continue;
        widths[i] = std::max(widths[i], width(columns_[i].title));
        shown.push_back(i);
    }
    std::string result;
    const auto line = [&](const auto& cell_of) {
        for (const size_t i : shown) {
            const auto& [text, colour] = cell_of(i);
            const std::string padding(widths[i] - width(text), ' ');
            const bool right = columns_[i].align == Align::right;
            if (i != shown.front())
                result += kGap;
            if (right)
                result += padding;
            result += paint(text, colour, colours);
            if (!right && i != shown.back())
                result += padding;
        }
        result += '\n';
    };
    line([&](size_t i) { return std::pair(columns_[i].title, Colour::bold); });
    for (const auto& cells : rows_)
        line([&](size_t i) { return std::pair(cells[i].text, cells[i].colour); });
    return result;
}

std::string Facts::text(bool colours) const {
    size_t widest = 0;
    for (const auto& [name, value] : lines_)
        widest = std::max(widest, width(name));
    std::string result;
    for (const auto& [name, value] : lines_)
        result += paint(name, Colour::bold, colours) + std::string(widest - width(name), ' ') +
                  std::string(kGap) + printable(value) + '\n';
    return result;
}

}  // namespace sluice::sluicectl
