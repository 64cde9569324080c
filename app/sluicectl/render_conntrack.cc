#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <utility>

#include "sluicectl/json_view.hh"
#include "sluicectl/render.hh"
#include "sluicectl/table.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;

// The names conntrack knows; it calls all others unknown.
constexpr auto kProtocols = std::to_array<std::pair<std::string_view, int>>(
    {{"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"icmpv6", 58}, {"sctp", 132}, {"gre", 47}, {"udplite", 136}});

std::string protocol_text(const std::string& name) {
    for (const auto& [known, number] : kProtocols)
        if (name == known)
            return fmt::format("{:<8} {} ", known, number);
    return fmt::format("{:<8} {} ", "unknown", name == "esp" ? "50" : name == "ah" ? "51" : name);
}

std::string direction_text(const json::value& tuple) {
    std::string result = fmt::format("src={} dst={} ", text(tuple, "src"), text(tuple, "dst"));
    for (const std::string_view name : {"sport", "dport", "type", "code", "id"})
        if (has(tuple, name))
            result += fmt::format("{}={} ", name, text(tuple, name));
    for (const std::string_view name : {"srckey", "dstkey"})
        if (has(tuple, name))
            result += fmt::format("{}={:#x} ", name, static_cast<unsigned>(number(tuple, name)));
    return result + fmt::format("packets={} bytes={} ", text(tuple, "packets"), text(tuple, "bytes"));
}

bool has_status(const json::value& flow, std::string_view wanted) {
    const auto* status = member(flow, "status").if_array();
    return status != nullptr && std::ranges::find(*status, json::value(wanted)) != status->end();
}

}  // namespace

std::string render_flow(const json::value& flow, bool with_timeout) {
    std::string result = protocol_text(text(flow, "proto"));
    if (with_timeout)
        result += fmt::format("{} ", static_cast<uint64_t>(number(flow, "timeout")));
    const std::string state = text(flow, "state");
    if (!state.empty())
        result += state + " ";
    result += direction_text(member(flow, "original"));
    if (!has_status(flow, "seen_reply"))
        result += "[UNREPLIED] ";
    result += direction_text(member(flow, "reply"));
    if (has_status(flow, "assured"))
        result += "[ASSURED] ";
    result += "mark=" + text(flow, "mark");
    if (const std::string helper = text(flow, "helper"); !helper.empty())
        result += " helper=" + helper;
    return printable(result) + " use=1\n";
}

std::string render_flow_event(const json::value& event) {
    const std::string kind = text(event, "event");
    const std::string_view label = kind == "new" ? "[NEW]" : kind == "update" ? "[UPDATE]" : "[DESTROY]";
    return fmt::format("{:>9} ", label) + render_flow(event, kind != "destroy");
}

std::string render_conntrack_stats(const json::value& list) {
    std::string result;
    for (const json::value& worker : items(list)) {
        const auto* counters = worker.if_object();
        if (counters == nullptr)
            continue;
        std::string line = fmt::format("worker={:<8}", text(worker, "worker"));
        for (const auto& [name, value] : *counters)
            if (name != "worker" && !value.is_object())
                line += fmt::format(" {}={}", std::string_view(name), words(value));
        if (const auto* reasons = member(worker, "invalid_reasons").if_object())
            for (const auto& [name, value] : *reasons)
                if (words(value) != "0")
                    line += fmt::format(" invalid_{}={}", std::string_view(name), words(value));
        result += printable(line) + "\n";
    }
    return result;
}

}  // namespace sluice::sluicectl
