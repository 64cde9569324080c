#include "sluicectl/rates.hh"

#include <fmt/core.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <map>
#include <utility>
#include <vector>

#include "sluicectl/json_view.hh"
#include "sluicectl/table.hh"
#include "sluicectl/units.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;
using Align = Table::Align;

const json::value& find(const json::value& list, std::string_view key, const json::value& wanted) {
    static const json::value none;
    for (const json::value& item : items(list)) {
        if (member(item, key) == wanted)
            return item;
    }
    return none;
}

// How fast a counter grew; 0 when it was reset or is new.
double rate(const json::value& before, const json::value& after, std::string_view name, double seconds) {
    if (seconds <= 0 || !has(before, name))
        return 0;
    return std::max(0.0, number(after, name) - number(before, name)) / seconds;
}

// What one counter grew for each by which the other grew; `otherwise` (since the start) when that cannot be
// told.
double ratio(const json::value& before, const json::value& after, std::string_view part,
             std::string_view whole, double otherwise) {
    const double grown = rate(before, after, whole, 1);
    return has(before, part) && grown > 0 ? rate(before, after, part, 1) / grown : otherwise;
}

struct Growth {
    std::string family;
    double before = 0;
    double after = 0;
    [[nodiscard]] double packets() const { return std::max(0.0, after - before); }
};
using DropKey = std::pair<std::string, std::string>;  // reason, interface

// The reasons that grew, fastest first.
std::vector<std::pair<DropKey, Growth>> growing(const json::value& before, const json::value& after) {
    std::map<DropKey, Growth> sums;
    for (const json::value& drop : items(before))
        sums[{text(drop, "reason"), text(drop, "interface")}].before += number(drop, "packets");
    for (const json::value& drop : items(after)) {
        Growth& one = sums[{text(drop, "reason"), text(drop, "interface")}];
        one.after += number(drop, "packets");
        one.family = text(drop, "family");
    }
    std::vector<std::pair<DropKey, Growth>> result;
    for (const auto& entry : sums) {
        if (entry.second.packets() > 0)
            result.push_back(entry);
    }
    std::ranges::stable_sort(result, std::ranges::greater{},
                             [](const auto& entry) { return entry.second.packets(); });
    return result;
}

std::string head(const Sample& sample, const Look& look) {
    return fmt::format("{} {}, up {}, generation {}\n\n", paint("sluice", Colour::bold, look.colours),
                       printable(text(sample.status, "version")),
                       duration_text(number(sample.status, "uptime")),
                       printable(text(member(sample.status, "config"), "generation")));
}

Table interface_table(const Sample& before, const Sample& after, double seconds) {
    Table table({{"INTERFACE"},
                 {"LINK"},
                 {"RX PKT/S", Align::right},
                 {"RX", Align::right},
                 {"TX PKT/S", Align::right},
                 {"TX", Align::right}});
    for (const json::value& now : items(after.interfaces)) {
        const json::value& then = find(before.interfaces, "name", member(now, "name"));
        const bool up = member(member(now, "link"), "up") == json::value(true);
        table.row({text(now, "name"),
                   {up ? "up" : "down", up ? Colour::green : Colour::red},
                   count_text(rate(then, now, "rx_packets", seconds)),
                   bit_rate_text(rate(then, now, "rx_bytes", seconds)),
                   count_text(rate(then, now, "tx_packets", seconds)),
                   bit_rate_text(rate(then, now, "tx_bytes", seconds))});
    }
    return table;
}

Table worker_table(const Sample& before, const Sample& after, double seconds) {
    Table table({{"WORKER"},
                 {"CPU", Align::right},
                 {"PKT/S", Align::right},
                 {"CYCLES/PACKET", Align::right},
                 {"BUSY", Align::right},
                 {"SLEEPS/S", Align::right}});
    for (const json::value& now : items(after.workers)) {
        const json::value& then = find(before.workers, "id", member(now, "id"));
        const auto packets = [&](double per) {
            return rate(then, now, "packets", per) + rate(then, now, "taken_over", per);
        };
        const bool has_cycles = has(then, "busy_cycles") && packets(1) > 0;
        table.row({text(now, "id"), text(now, "cpu"), count_text(packets(seconds)),
                   count_text(has_cycles ? rate(then, now, "busy_cycles", 1) / packets(1)
                                         : number(now, "cycles_per_packet")),
                   share_text(ratio(then, now, "busy_cycles", "total_cycles", number(now, "busy"))),
                   count_text(rate(then, now, "sleeps", seconds))});
    }
    return table;
}

}  // namespace

std::string render_top(const Sample& before, const Sample& after, double seconds, const Look& look) {
    std::string result = head(after, look) + interface_table(before, after, seconds).text(look.colours) +
                         "\n" + worker_table(before, after, seconds).text(look.colours);
    Table drops({{"DROPPED BECAUSE"}, {"INTERFACE"}, {"PKT/S", Align::right}});
    if (seconds > 0) {
        for (const auto& [key, growth] : growing(before.drops, after.drops))
            drops.row({key.first, key.second, {count_text(growth.packets() / seconds), Colour::yellow}});
    }
    return drops.empty() ? result : result + "\n" + drops.text(look.colours);
}

std::string render_new_drops(const json::value& before, const json::value& after, double seconds,
                             const Look& look) {
    std::string result;
    for (const auto& [key, growth] : growing(before, after)) {
        const std::string line =
            fmt::format("{:<28} {:<12} +{} ({}/s)", printable(key.first), printable(key.second),
                        count_text(growth.packets()), count_text(growth.packets() / seconds));
        result += paint(line, growth.family == "error" ? Colour::yellow : Colour::none, look.colours) + "\n";
    }
    return result;
}

}  // namespace sluice::sluicectl
