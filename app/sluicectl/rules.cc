// `sluicectl rules`.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <ostream>

#include "sluicectl/commands.hh"
#include "sluicectl/json_view.hh"
#include "sluicectl/table.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;

double seconds_since_1970() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

int Commands::rules(const std::vector<std::string>& chains) {
    bool missing = false;
    const int code = ask("GET", "/v1/rules", [&](const json::value& list) {
        if (chains.empty())
            return render_rules(list, seconds_since_1970(), look_);
        json::array chosen;
        for (const std::string& name : chains) {
            const json::array& all = items(list);
            const auto found =
                std::ranges::find(all, name, [](const json::value& one) { return text(one, "chain"); });
            if (found != all.end()) {
                chosen.push_back(*found);
                continue;
            }
            console_.err << "sluicectl: there is no chain " << printable(name)
                         << " (sluicectl rules lists them, as filter.forward or chains.NAME)\n";
            missing = true;
        }
        return chosen.empty() ? std::string() : render_rules(chosen, seconds_since_1970(), look_);
    });
    return missing ? kRefused : code;
}

int Commands::rules_reset() {
    return ask("POST", "/v1/rules/reset",
               [](const json::value&) { return std::string("all rules count from zero\n"); });
}

}  // namespace sluice::sluicectl
