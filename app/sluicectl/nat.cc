// `sluicectl nat`.
#include <ostream>

#include "sluicectl/commands.hh"
#include "sluicectl/json_view.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;

// A table needs all of its rows at once.
constexpr const char* kRows = "1000";

// Address and port of "192.0.2.1:80", "[2001:db8::1]:80" or an address alone.
std::pair<std::string, std::string> split(const std::string& endpoint) {
    const bool has_brackets = endpoint.starts_with('[');
    const size_t colon = endpoint.rfind(':');
    const bool has_port = colon != std::string::npos &&
                          (has_brackets ? endpoint[colon - 1] == ']' : endpoint.find(':') == colon);
    std::string address = has_port ? endpoint.substr(0, colon) : endpoint;
    if (has_brackets && address.ends_with(']'))
        address = address.substr(1, address.size() - 2);
    return {address, has_port ? endpoint.substr(colon + 1) : std::string()};
}

}  // namespace

int Commands::nat(const Query& query) {
    if (json_)
        return stream(with_query("/v1/nat", query), 2, nullptr);
    Query asked = query;
    asked.try_emplace("limit", kRows);
    return ask("GET", with_query("/v1/nat", asked), [this](const json::value& answer) {
        const size_t shown = items(answer).size();
        if (const double total = number(answer, "total"); static_cast<double>(shown) < total)
            console_.err << shown << " of " << text(answer, "total")
                         << " mappings are shown; --limit shows more\n";
        return render_mappings(answer, look_);
    });
}

int Commands::nat_ports() {
    return ask("GET", "/v1/nat/ports",
               [this](const json::value& answer) { return render_nat_ports(answer, look_); });
}

int Commands::nat_who(const std::string& endpoint, const std::string& protocol, const std::string& at) {
    const auto [address, port] = split(endpoint);
    Query query{{"address", address}, {"proto", protocol}};
    if (!port.empty())
        query["port"] = port;
    if (!at.empty())
        query["at"] = at;
    return ask("GET", with_query("/v1/nat/who", query), [&](const json::value& answer) {
        if (!items(answer).empty())
            return render_who(answer, look_);
        return "nobody " +
               std::string(at.empty() ? "has or is known to have had " : "is known to have had ") + endpoint +
               " (" + protocol + ")" + (at.empty() ? "" : " then") + "\n";
    });
}

}  // namespace sluice::sluicectl
