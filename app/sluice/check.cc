#include <boost/json.hpp>
#include <iostream>

#include "config/print.hh"
#include "sluice/commands.hh"
#include "sluice/config.hh"

namespace sluice {
namespace {

std::string problems_text(const config::Problems& problems, bool as_json) {
    if (!as_json)
        return problems.text();
    boost::json::array items;
    for (const auto& problem : problems)
        items.push_back({{"file", problem.file},
                         {"line", problem.mark.line},
                         {"column", problem.mark.column},
                         {"path", problem.path},
                         {"message", problem.message},
                         {"hint", problem.hint}});
    return boost::json::serialize(boost::json::value{{"valid", false}, {"problems", std::move(items)}}) +
           "\n";
}

}  // namespace

int check(const CheckOptions& options) {
    const auto config = config::read_file<GatewayConfig>(options.file);
    if (!config) {
        (options.json ? std::cout : std::cerr) << problems_text(config.error(), options.json);
        return kRefused;
    }
    if (options.print)
        std::cout << (options.json ? config::to_json(*config) : config::to_yaml(*config));
    else if (options.json)
        std::cout << R"({"valid":true,"problems":[]})" << "\n";
    else
        std::cout << options.file << ": valid\n";
    return kDone;
}

}  // namespace sluice
