#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "sluicectl/json_view.hh"
#include "sluicectl/render.hh"
#include "sluicectl/table.hh"
#include "sluicectl/units.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;
using Align = Table::Align;

std::string age_text(const json::value& last_hit, double now) {
    return last_hit.is_number() ? duration_text(std::max(0.0, now - last_hit.to_number<double>())) : "";
}

// The rule's own words, and what people wrote about it.
std::string rule_text(const json::value& rule) {
    std::string result = text(rule, "rule");
    if (has(rule, "description"))
        result += "  # " + text(rule, "description");
    if (has(rule, "owner"))
        result += "  # owner " + text(rule, "owner");
    return result;
}

// What the rule's program said and counted.
void add_program(Table& table, const json::value& program) {
    for (const char* kind : {"verdicts", "counters"}) {
        const json::value& counts = member(program, kind);
        const bool is_verdict = std::string_view(kind) == "verdicts";
        if (!counts.is_object())
            continue;
        for (const auto& [name, packets] : counts.get_object()) {
            const double count = number(counts, name);
            if (count != 0 || !is_verdict)
                table.row({(is_verdict ? "    says " : "    ") + printable(name), count_text(count), "", "",
                           "", ""});
        }
    }
}

std::string chain_text(const json::value& chain, double now, const Look& look) {
    Table table({{"  RULE"},
                 {"PACKETS", Align::right},
                 {"BYTES", Align::right},
                 {"LAST HIT", Align::right},
                 {"OBSERVES"},
                 {"AS WRITTEN"}});
    for (const json::value& rule : items(member(chain, "rules"))) {
        const bool observes = member(rule, "observe") == json::value(true);
        table.row({"  " + text(rule, "name"),
                   count_text(number(rule, "packets")),
                   bytes_text(number(rule, "bytes")),
                   age_text(member(rule, "last_hit"), now),
                   {observes ? "yes" : "", Colour::yellow},
                   rule_text(rule)});
        if (has(rule, "program"))
            add_program(table, member(rule, "program"));
    }
    const std::string policy = text(chain, "policy");
    if (!policy.empty())
        table.row({{"  policy " + policy, policy == "drop" ? Colour::red : Colour::green},
                   count_text(number(chain, "packets")),
                   bytes_text(number(chain, "bytes")),
                   "",
                   "",
                   ""});
    return paint(printable(text(chain, "chain")), Colour::bold, look.colours) + "\n" +
           (table.empty() ? "" : table.text(look.colours));
}

}  // namespace

std::string render_rules(const json::value& list, double now, const Look& look) {
    std::string result;
    for (const json::value& chain : items(list))
        result += (result.empty() ? "" : "\n") + chain_text(chain, now, look);
    return result.empty() ? "there are no rules: everything is accepted\n" : result;
}

}  // namespace sluice::sluicectl
