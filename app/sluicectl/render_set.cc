#include <boost/json/value.hpp>
#include <cmath>

#include "sluicectl/json_view.hh"
#include "sluicectl/render.hh"
#include "sluicectl/table.hh"
#include "sluicectl/units.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;
using Align = Table::Align;

// As files have it: "90s", "500ms".
std::string timeout_text(double seconds) {
    const double milliseconds = seconds * 1000;
    return seconds >= 1 && seconds == static_cast<double>(static_cast<int64_t>(seconds))
               ? number_text(seconds) + "s"
               : std::to_string(std::lround(milliseconds)) + "ms";
}

}  // namespace

std::string render_sets(const json::value& list, const Look& look) {
    Table table({{"NAME"},
                 {"TYPE"},
                 {"ELEMENTS", Align::right},
                 {"SIZE", Align::right},
                 {"MEMORY", Align::right},
                 {"TIMEOUT", Align::right},
                 {"REFUSED", Align::right},
                 {"REFERENCES"},
                 {"DESCRIPTION"}});
    for (const json::value& set : items(list)) {
        const double full = number(set, "full");
        table.row({{text(set, "name"), Colour::bold},
                   text(set, "type"),
                   text(set, "count"),
                   text(set, "size"),
                   bytes_text(number(set, "memory")),
                   number(set, "timeout") > 0 ? duration_text(number(set, "timeout")) : "",
                   {full > 0 ? count_text(full) : "", Colour::red},
                   text(set, "references"),
                   text(set, "description")});
    }
    return table.text(look.colours);
}

std::string render_element(const json::value& element) {
    std::string result = text(element, "value");
    if (has(element, "timeout"))
        result += " timeout " + timeout_text(number(element, "timeout"));
    if (has(element, "comment"))
        result += " comment \"" + text(element, "comment") + "\"";
    std::string remark;
    if (has(element, "expires"))
        remark += " expires in " + duration_text(number(element, "expires"));
    if (has(element, "packets"))
        remark += " packets " + text(element, "packets") + " bytes " + text(element, "bytes");
    if (!remark.empty())
        result += "  #" + remark;
    return printable(result) + "\n";
}

std::string render_set_change(const json::value& answer) {
    std::string result;
    for (const std::string_view what : {"added", "removed", "unchanged"})
        if (number(answer, what) > 0)
            result += (result.empty() ? "" : ", ") + text(answer, what) + " " + std::string(what);
    return (result.empty() ? "nothing changed" : result) + "\n";
}

std::string render_set_test(const json::value& answer, const std::string& name) {
    const std::string element = text(answer, "element");
    if (!has(answer, "by"))
        return printable(element + " is not in " + name) + "\n";
    return printable(element + " is in " + name + ": ") + render_element(member(answer, "by"));
}

}  // namespace sluice::sluicectl
