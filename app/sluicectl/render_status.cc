#include <algorithm>
#include <array>
#include <boost/json/object.hpp>

#include "sluicectl/json_view.hh"
#include "sluicectl/render.hh"
#include "sluicectl/table.hh"
#include "sluicectl/units.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;
using Align = Table::Align;

// Members of an object as "name 12, other 3 KiB".
std::string list_members(const json::value& value, std::string (*format)(double)) {
    const auto* object = value.if_object();
    if (!object)
        return value.is_number() ? format(value.to_number<double>()) : words(value);
    std::string result;
    for (const auto& [name, item] : *object) {
        result += (result.empty() ? "" : ", ") + std::string(name) + " " +
                  (item.is_number() ? format(item.to_number<double>()) : words(item));
    }
    return result;
}

// "resident 100 MiB, mbufs 32768": what counts buffers is no size.
std::string memory_text(const json::value& memory) {
    const auto* object = memory.if_object();
    if (!object)
        return words(memory);
    std::string result;
    for (const auto& [name, item] : *object) {
        const bool size = item.is_number() && !name.starts_with("mbufs");
        result += (result.empty() ? "" : ", ") + std::string(name) + " " +
                  (size ? bytes_text(item.to_number<double>()) : words(item));
    }
    return result;
}

// How many there are, of a number or a list.
std::string how_many(const json::value& value) {
    return value.is_array() ? std::to_string(value.get_array().size()) : words(value);
}

// "fetch: 120.5, parse: 3" from {"fetch": 120.5, ...}, the greatest first.
std::string stages_text(const json::value& stages) {
    const auto* object = stages.if_object();
    if (!object)
        return "";
    std::vector<std::pair<double, std::string>> sorted;
    for (const auto& [name, cycles] : *object)
        sorted.emplace_back(cycles.is_number() ? cycles.to_number<double>() : 0, name);
    std::ranges::sort(sorted, std::ranges::greater{});
    std::string result;
    for (const auto& [cycles, name] : sorted) {
        if (cycles > 0)
            result += (result.empty() ? "" : " ") + name + ":" + count_text(cycles);
    }
    return result;
}

}  // namespace

std::string render_status(const json::value& status, const Look& look) {
    Facts facts;
    facts.add("version", text(status, "version"));
    facts.add("uptime", duration_text(number(status, "uptime")));
    const json::value& config = member(status, "config");
    facts.add("configuration", text(config, "file") + ", generation " + text(config, "generation"));
    if (has(config, "unconfirmed_for"))
        facts.add("unconfirmed", "rolled back in " + duration_text(number(config, "unconfirmed_for")) +
                                     " unless you run: sluicectl config confirm");
    facts.add("workers", how_many(member(status, "workers")));
    facts.add("interfaces", how_many(member(status, "interfaces")));
    if (has(status, "flows"))
        facts.add("flows", list_members(member(status, "flows"), count_text));
    if (has(status, "memory"))
        facts.add("memory", memory_text(member(status, "memory")));
    if (has(status, "packets"))
        facts.add("packets", list_members(member(status, "packets"), count_text));
    if (has(status, "latency")) {
        const json::value& latency = member(status, "latency");
        facts.add("latency", "p50 " + latency_text(number(latency, "p50")) + ", p99 " +
                                 latency_text(number(latency, "p99")) + ", max " +
                                 latency_text(number(latency, "max")));
    }
    if (const auto* object = status.if_object()) {
        static constexpr std::array<std::string_view, 9> kShown{
            "version", "uptime", "config", "workers", "interfaces", "flows", "memory", "packets", "latency"};
        for (const auto& [name, value] : *object) {
            if (std::ranges::find(kShown, std::string_view(name)) == kShown.end())
                facts.add(name, words(value));
        }
    }
    return facts.text(look.colours);
}

std::string render_workers(const json::value& list, const Look& look) {
    Table table({{"WORKER"},
                 {"CPU", Align::right},
                 {"PACKETS", Align::right},
                 {"BURSTS", Align::right},
                 {"CYCLES/PACKET", Align::right},
                 {"BUSY", Align::right},
                 {"HANDED OVER", Align::right},
                 {"TAKEN OVER", Align::right},
                 {"BUDGET EXHAUSTED", Align::right},
                 {"SLEEPS", Align::right},
                 {"WAKEUPS", Align::right},
                 {"LATENCY P50", Align::right},
                 {"P99", Align::right},
                 {"MAX", Align::right},
                 {"STAGES (CYCLES/PACKET)"}});
    for (const json::value& worker : items(list)) {
        const double busy = number(worker, "busy");
        const json::value& latency = member(worker, "latency");
        table.row({text(worker, "id"),
                   text(worker, "cpu"),
                   count_text(number(worker, "packets")),
                   count_text(number(worker, "bursts")),
                   count_text(number(worker, "cycles_per_packet")),
                   {share_text(busy), busy > 0.9 ? Colour::yellow : Colour::none},
                   count_text(number(worker, "handed_over")),
                   count_text(number(worker, "taken_over")),
                   count_text(number(worker, "budget_exhausted")),
                   count_text(number(worker, "sleeps")),
                   count_text(number(worker, "wakeups")),
                   latency_text(number(latency, "p50")),
                   latency_text(number(latency, "p99")),
                   latency_text(number(latency, "max")),
                   stages_text(member(worker, "stages"))});
    }
    return table.text(look.colours);
}

std::string render_counters(const json::value& counters, bool zeros, const Look& look) {
    Table table({{"COUNTER"}, {"VALUE", Align::right}});
    if (const auto* object = counters.if_object()) {
        for (const auto& [name, value] : *object) {
            const bool zero = value.is_number() && value.to_number<double>() == 0;
            if (zeros || !zero)
                table.row({std::string(name), words(value)});
        }
    }
    return table.text(look.colours);
}

}  // namespace sluice::sluicectl
