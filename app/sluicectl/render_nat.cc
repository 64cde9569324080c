#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <chrono>
#include <vector>

#include "sluicectl/json_view.hh"
#include "sluicectl/render.hh"
#include "sluicectl/table.hh"
#include "sluicectl/units.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;
using Align = Table::Align;

// "192.0.2.1:80", "[2001:db8::1]:80"; an identifier of ICMP stands where a port would.
std::string endpoint_text(const json::value& endpoint) {
    std::string address = text(endpoint, "address");
    const std::string_view place = has(endpoint, "id") ? "id" : "port";
    if (!has(endpoint, place))
        return address;
    if (address.find(':') != std::string::npos)
        address = "[" + address + "]";
    return address + ":" + text(endpoint, place);
}

std::string utc_text(const json::value& record, std::string_view name) {
    if (!has(record, name) || !member(record, name).is_number())
        return "";
    const auto at =
        std::chrono::sys_seconds(std::chrono::seconds(static_cast<int64_t>(number(record, name))));
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(at)));
}

}  // namespace

std::string render_mappings(const json::value& answer, const Look& look) {
    Table table({{"PROTO"},
                 {"INSIDE"},
                 {"EXTERNAL"},
                 {"REMOTE"},
                 {"INTERFACE"},
                 {"FLOWS", Align::right},
                 {"AGE", Align::right},
                 {"FILTERING"},
                 {"WORKER", Align::right}});
    for (const json::value& mapping : items(answer))
        table.row({text(mapping, "proto"),
                   endpoint_text(member(mapping, "inside")),
                   {endpoint_text(member(mapping, "external")), Colour::bold},
                   endpoint_text(member(mapping, "remote")),
                   text(mapping, "interface"),
                   text(mapping, "flows"),
                   duration_text(number(mapping, "age")),
                   text(mapping, "filtering"),
                   text(mapping, "worker")});
    return table.text(look.colours);
}

std::string render_nat_ports(const json::value& answer, const Look& look) {
    std::vector<json::value> sorted(items(answer).begin(), items(answer).end());
    std::ranges::stable_sort(sorted, std::ranges::greater{},
                             [](const json::value& one) { return number(one, "share"); });
    Table ports({{"ADDRESS"},
                 {"PROTO"},
                 {"IN USE", Align::right},
                 {"HELD DOWN", Align::right},
                 {"FREE", Align::right},
                 {"LIMIT", Align::right},
                 {"SHARE", Align::right},
                 {"REFUSED", Align::right}});
    for (const json::value& one : sorted) {
        const double share = number(one, "share");
        const double refused = number(one, "refused");
        ports.row({text(one, "address"),
                   text(one, "proto"),
                   text(one, "in_use"),
                   text(one, "held_down"),
                   text(one, "free"),
                   text(one, "limit"),
                   {share_text(share), share >= 1     ? Colour::red
                                       : share >= 0.8 ? Colour::yellow
                                                      : Colour::none},
                   {refused > 0 ? text(one, "refused") : "", Colour::red}});
    }
    Table hosts({{"TOP HOLDER"}, {"ADDRESS"}, {"MAPPINGS", Align::right}});
    for (const json::value& host : items(member(answer, "hosts")))
        hosts.row({text(host, "address"), text(host, "external"), text(host, "mappings")});
    const json::value& mappings = member(answer, "mappings");
    std::string result = ports.text(look.colours);
    if (!hosts.empty())
        result += "\n" + hosts.text(look.colours);
    return result + fmt::format("\nmappings  {} of {}, {} made and {} ended so far\n",
                                text(mappings, "count"), text(mappings, "max"), text(mappings, "made"),
                                text(mappings, "ended"));
}

std::string render_who(const json::value& answer, const Look& look) {
    Table table({{"PROTO"}, {"EXTERNAL"}, {"INSIDE"}, {"BEGAN"}, {"ENDED"}});
    for (const json::value& record : items(answer)) {
        const std::string ended = utc_text(record, "ended");
        table.row({text(record, "proto"),
                   endpoint_text(member(record, "external")),
                   {endpoint_text(member(record, "inside")), Colour::bold},
                   utc_text(record, "began"),
                   ended.empty() ? Table::Cell("lives", Colour::green) : Table::Cell(ended)});
    }
    return table.text(look.colours);
}

}  // namespace sluice::sluicectl
