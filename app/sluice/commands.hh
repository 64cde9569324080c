// The commands of the program. Each returns its exit code: 0 done, 1 refused.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace sluice {

inline constexpr int kDone = 0;
inline constexpr int kRefused = 1;
inline constexpr int kUsage = 2;

struct RunOptions {
    std::string file;
    bool last_good = false;
};
int run(const RunOptions& options);

struct CheckOptions {
    std::string file;
    bool print = false;
    bool json = false;
};
int check(const CheckOptions& options);

struct ReplayArguments {
    std::string file;
    std::vector<std::string> inputs;
    std::string output;
    std::optional<std::string> until;
    bool strict_neighbours = false;
    size_t workers = 1;
};
int replay_captures(const ReplayArguments& arguments);

}  // namespace sluice
