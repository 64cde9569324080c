#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>

#include "base/interface_id.hh"
#include "sluice/commands.hh"

namespace {

int run_command_line(int argc, char** argv) {
    CLI::App app("Sluice: a firewall and gateway in user space, on DPDK", "sluice");
    app.set_version_flag("--version", SLUICE_VERSION);
    app.require_subcommand(1);

    sluice::RunOptions run;
    auto* run_command = app.add_subcommand("run", "runs the gateway in the foreground");
    run_command->add_option("-c,--config", run.file, "the configuration file")->required();
    run_command->add_flag("--last-good", run.last_good,
                          "where the file is broken, start with the configuration that worked last");

    sluice::CheckOptions check;
    auto* check_command = app.add_subcommand("check", "checks a configuration without touching devices");
    check_command->add_option("-c,--config", check.file, "the configuration file")->required();
    check_command->add_flag("--print", check.print, "prints the effective configuration with every default");
    check_command->add_flag("--json", check.json, "prints JSON");

    sluice::ReplayArguments replay;
    auto* replay_command =
        app.add_subcommand("replay", "runs captures through the packet path in virtual time");
    replay_command->add_option("-c,--config", replay.file, "the configuration file")->required();
    replay_command->add_option("--in", replay.inputs, "IFACE=CAPTURE, once for each capture")->required();
    replay_command->add_option("--out", replay.output, "the folder for the results")->required();
    replay_command->add_option("--until", replay.until, "seconds after the first frame to stop at");
    replay_command->add_option("--workers", replay.workers, "so many workers, to which packets come in turn")
        ->check(CLI::Range(size_t{1}, sluice::kMaxWorkers));
    replay_command->add_flag("--strict-neighbours", replay.strict_neighbours,
                             "next hops that are not in `neighbours` cannot be reached");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? sluice::kDone : sluice::kUsage;
    }
    if (run_command->parsed())
        return sluice::run(run);
    if (check_command->parsed())
        return sluice::check(check);
    return sluice::replay_captures(replay);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run_command_line(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "sluice: " << error.what() << "\n";
        return sluice::kRefused;
    }
}
