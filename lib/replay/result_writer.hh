// The directory of results: IFACE.pcap, packets.jsonl, conntrack.json, rules.json, summary.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hh"
#include "base/time.hh"
#include "replay/capture_writer.hh"
#include "replay/dataplane.hh"
#include "replay/output_file.hh"
#include "replay/summary.hh"

namespace sluice::replay {

class ResultWriter {
  public:
    // Makes the directory if need be and opens a capture for each interface, also for those nothing will
    // leave by. Older results of the same names are replaced, other files left alone.
    static Expected<ResultWriter> create(const std::filesystem::path& directory,
                                         const std::vector<Dataplane::Interface>& interfaces);

    // The line of input packet `n`, counted from 1 in merged order, and what left because of it.
    void packet(uint64_t n, Instant time, std::string_view in, const Outcome& outcome);
    // The line of a timer: its n and in are null.
    void timer(const TimerOutcome& caused);
    // Writes the remaining files and closes all. Flows and rules are JSON objects.
    Expected<void> finish(const Summary& summary, const std::vector<std::string>& flows,
                          const std::vector<std::string>& rules);

  private:
    struct Port {
        Dataplane::Interface interface;
        CaptureWriter capture;
    };
    ResultWriter(std::filesystem::path directory, OutputFile packets, std::vector<Port> ports);
    Port& port_of(InterfaceId id);
    void append_words(const Outcome& outcome);
    void append_outputs(Instant time, const std::vector<Output>& outputs);

    std::filesystem::path directory_;
    OutputFile packets_;
    std::vector<Port> ports_;
    std::string line_;  // in the making
};

}  // namespace sluice::replay
