// Several captures as one stream in the order of time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hh"
#include "base/time.hh"
#include "replay/capture_reader.hh"

namespace sluice::replay {

// A capture and the interface its frames arrive on. "lan=lan.pcap"
struct Input {
    std::string interface;
    std::filesystem::path capture;
    bool operator==(const Input&) const = default;

    static Expected<Input> parse(std::string_view text);
};

// What one capture gave.
struct CaptureTally {
    std::string interface;
    uint64_t frames = 0;
    uint64_t short_frames = 0;     // only the head was captured
    uint64_t times_set_right = 0;  // frames stamped earlier than the one before them
};

struct MergedFrame {
    CapturedFrame frame;  // its time is that of the merged clock; the bytes are valid until the next call
    size_t input = 0;     // place in the inputs given to open()
};

// Gives the frames of all captures by time; equal times by interface name, then by place: captures of one
// interface as they were given, frames as they stand in their file. A frame stamped earlier than one before
// it in the same file (a clock that was set back, or a capture from several queues) keeps its place and takes
// that frame's time, so the merged clock never goes back. Holds one frame per capture.
class Merge {
  public:
    // Fails if any of the captures cannot be read, before the first frame.
    static Expected<Merge> open(const std::vector<Input>& inputs);

    // The next frame; nothing when all captures have ended. A damaged capture ends early, the others go on.
    std::optional<MergedFrame> next();
    // Its time, without taking it. Ends the life of the last frame's bytes as next() does.
    std::optional<Instant> next_time();

    // What broke off, complete after the last frame.
    [[nodiscard]] const std::vector<Error>& errors() const { return errors_; }
    [[nodiscard]] std::vector<CaptureTally> tallies() const;

  private:
    struct Source {
        CaptureReader reader;
        CaptureTally tally = {};
        std::optional<CapturedFrame> ahead = {};
        bool ahead_set_right = false;
        bool delivered = true;           // `ahead` was handed out: the next call reads on
        Instant clock = Instant::min();  // of the last frame read
    };
    void read(Source& source);
    Source* first();  // whose frame is next, or null

    std::vector<Source> sources_;
    std::vector<Error> errors_;
};

}  // namespace sluice::replay
