#include <iostream>

#include "replay/driver.hh"
#include "sluice/commands.hh"
#include "sluice/config.hh"
#include "sluice/replay_dataplane.hh"

namespace sluice {
namespace {

int refuse(const Error& error, int code = kRefused) {
    std::cerr << "sluice: " << error.text() << "\n";
    return code;
}

}  // namespace

int replay_captures(const ReplayArguments& arguments) {
    replay::ReplayOptions options{.inputs = {}, .output_directory = arguments.output, .until = std::nullopt};
    for (const auto& text : arguments.inputs) {
        auto input = replay::Input::parse(text);
        if (!input)
            return refuse(input.error(), kUsage);
        options.inputs.push_back(std::move(*input));
    }
    if (arguments.until) {
        const auto until = replay::parse_until(*arguments.until);
        if (!until)
            return refuse(until.error(), kUsage);
        options.until = *until;
    }
    const auto config = config::read_file<GatewayConfig>(arguments.file);
    if (!config) {
        std::cerr << config.error().text();
        return kRefused;
    }
    const auto eal = ReplayDataplane::start_eal();
    if (!eal)
        return refuse(eal.error());
    const auto dataplane = ReplayDataplane::create(*config, arguments.strict_neighbours, arguments.workers);
    if (!dataplane)
        return refuse(dataplane.error());
    const auto result = replay::replay(options, **dataplane);
    if (!result)
        return refuse(result.error());
    for (const auto& damage : result->damaged_captures)
        refuse(damage);
    return result->damaged_captures.empty() ? kDone : kRefused;
}

}  // namespace sluice
