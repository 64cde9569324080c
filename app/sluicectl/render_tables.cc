#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <map>
#include <tuple>
#include <vector>

#include "sluicectl/json_view.hh"
#include "sluicectl/render.hh"
#include "sluicectl/table.hh"
#include "sluicectl/units.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;
using Align = Table::Align;

// Megabits a second as links give it.
std::string speed_text(double megabits) {
    return megabits >= 1000 ? count_text(megabits / 1000) + "G" : count_text(megabits) + "M";
}

Table::Cell link_cell(const json::value& interface) {
    const json::value& link = member(interface, "link");
    const bool up = link.is_object() ? member(link, "up") == json::value(true) : words(link) == "up";
    std::string said = up ? "up" : "down";
    if (up && number(link, "speed") > 0)
        said += " " + speed_text(number(link, "speed"));
    return {said, up ? Colour::green : Colour::red};
}

// A number, or the sum of an object's or a list's numbers.
double sum(const json::value& value) {
    if (value.is_number())
        return value.to_number<double>();
    double result = 0;
    if (const auto* object = value.if_object()) {
        for (const auto& [name, item] : *object)
            result += sum(item);
    }
    if (const auto* array = value.if_array()) {
        for (const json::value& item : *array)
            result += item.is_object() ? number(item, "packets") : sum(item);
    }
    return result;
}

}  // namespace

std::string render_interfaces(const json::value& list, const Look& look) {
    Table table({{"INTERFACE"},
                 {"LINK"},
                 {"MAC"},
                 {"MTU", Align::right},
                 {"VLAN", Align::right},
                 {"RX PACKETS", Align::right},
                 {"RX BYTES", Align::right},
                 {"TX PACKETS", Align::right},
                 {"TX BYTES", Align::right},
                 {"DROPS", Align::right},
                 {"DRIVER"},
                 {"ADDRESSES"}});
    for (const json::value& one : items(list)) {
        std::string vlan = text(one, "vlan");
        if (has(one, "parent") && !vlan.empty())
            vlan = text(one, "parent") + "." + vlan;
        const double drops = sum(member(one, "drops"));
        table.row({text(one, "name"),
                   link_cell(one),
                   text(one, "mac"),
                   text(one, "mtu"),
                   vlan == "0" ? "" : vlan,
                   count_text(number(one, "rx_packets")),
                   bytes_text(number(one, "rx_bytes")),
                   count_text(number(one, "tx_packets")),
                   bytes_text(number(one, "tx_bytes")),
                   {count_text(drops), drops > 0 ? Colour::yellow : Colour::none},
                   text(one, "driver"),
                   text(one, "addresses")});
    }
    return table.text(look.colours);
}

std::string render_interface(const json::value& interface, const Look& look) {
    std::string result = paint(printable(text(interface, "name")), Colour::bold, look.colours) + "\n";
    Facts facts;
    if (const auto* object = interface.if_object()) {
        for (const auto& [name, value] : *object) {
            if (name == "name" || value.is_null())
                continue;
            if (name == "nic") {
                if (const auto* counters = value.if_object()) {
                    for (const auto& [counter, count] : *counters)
                        facts.add("  nic " + std::string(counter), words(count));
                }
            } else if (name.ends_with("_bytes") && value.is_number()) {
                facts.add("  " + std::string(name),
                          words(value) + " (" + bytes_text(value.to_number<double>()) + ")");
            } else {
                facts.add("  " + std::string(name), words(value));
            }
        }
    }
    return result + facts.text(false);
}

std::string render_drops(const json::value& list, const Look& look) {
    struct Sum {
        double packets = 0;
        double bytes = 0;
        std::string description;
    };
    std::map<std::tuple<std::string, std::string, std::string>, Sum> sums;
    for (const json::value& drop : items(list)) {
        Sum& one = sums[{text(drop, "reason"), text(drop, "family"), text(drop, "interface")}];
        one.packets += number(drop, "packets");
        one.bytes += number(drop, "bytes");
        one.description = text(drop, "description");
    }
    using Entry = decltype(sums)::value_type;
    std::vector<const Entry*> sorted;
    for (const Entry& entry : sums) {
        if (entry.second.packets > 0)
            sorted.push_back(&entry);
    }
    std::ranges::stable_sort(sorted, std::ranges::greater{},
                             [](const Entry* entry) { return entry->second.packets; });
    if (sorted.empty())
        return "nothing was dropped\n";
    Table table({{"REASON"},
                 {"FAMILY"},
                 {"INTERFACE"},
                 {"PACKETS", Align::right},
                 {"BYTES", Align::right},
                 {"DESCRIPTION"}});
    for (const Entry* entry : sorted) {
        const auto& [reason, family, interface] = entry->first;
        table.row({reason,
                   {family, family == "error" ? Colour::yellow : Colour::none},
                   interface,
                   count_text(entry->second.packets),
                   bytes_text(entry->second.bytes),
                   entry->second.description});
    }
    return table.text(look.colours);
}

std::string render_routes(const json::value& list, const Look& look) {
    Table table({{"TO"}, {"VIA"}, {"INTERFACE"}, {"TYPE"}, {"TABLE"}, {"METRIC", Align::right}, {"SOURCE"}});
    for (const json::value& route : items(list))
        table.row({text(route, "to"), text(route, "via"), text(route, "interface"), text(route, "type"),
                   text(route, "table"), text(route, "metric"), text(route, "source")});
    return table.text(look.colours);
}

std::string render_neighbours(const json::value& list, const Look& look) {
    Table table({{"INTERFACE"},
                 {"ADDRESS"},
                 {"MAC"},
                 {"STATE"},
                 {"AGE", Align::right},
                 {"PACKETS HELD", Align::right}});
    for (const json::value& one : items(list)) {
        const std::string state = text(one, "state");
        const bool bad = state == "failed" || state == "incomplete";
        table.row({text(one, "interface"),
                   text(one, "ip"),
                   text(one, "mac"),
                   {state, bad ? Colour::red : Colour::none},
                   has(one, "age") ? duration_text(number(one, "age")) : "",
                   has(one, "packets_held") ? count_text(number(one, "packets_held")) : ""});
    }
    return table.text(look.colours);
}

}  // namespace sluice::sluicectl
