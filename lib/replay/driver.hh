// The loop of a replay: captures in, virtual clock forward, packet path, results out.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.hh"
#include "base/time.hh"
#include "replay/dataplane.hh"
#include "replay/merge.hh"
#include "replay/summary.hh"

namespace sluice::replay {

struct ReplayOptions {
    std::vector<Input> inputs;
    std::filesystem::path output_directory;
    // After the first frame's time: later frames are left out, and timers run up to that time even when the
    // captures end before. Without it the replay ends with the last frame.
    std::optional<Duration> until;
};

struct ReplayResult {
    Summary summary;
    std::vector<Error> damaged_captures;  // read up to the damage
};

// "30", "0.5": seconds after the first frame, at most 100 years.
Expected<Duration> parse_until(std::string_view text);

// Replays all. For each frame the timers due until its time run first, then the frame goes through the packet
// path. Equal captures, options and packet path give equal bytes. Fails, before anything is written, for
// captures that cannot be read, interfaces the packet path does not have and a packet path that cannot begin;
// and when results cannot be written.
Expected<ReplayResult> replay(const ReplayOptions& options, Dataplane& dataplane);

}  // namespace sluice::replay
