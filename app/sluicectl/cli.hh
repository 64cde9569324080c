// The command line of sluicectl.
#pragma once

#include <string>
#include <vector>

#include "sluicectl/commands.hh"

namespace sluice::sluicectl {

inline constexpr std::string_view kDefaultSocket = "/run/sluice/sluice.sock";

// Parses the arguments (without the program's name) and runs what they ask for. Gives the exit code: 0 done,
// 1 refused, 2 wrong usage.
int run(std::vector<std::string> arguments, Console console);

// Every command with its options as words ("config apply --confirm"), for the test of the shell completion.
std::vector<std::string> all_commands();

}  // namespace sluice::sluicectl
