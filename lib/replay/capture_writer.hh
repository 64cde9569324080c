// Writes frames as pcap with nanoseconds: little-endian, link type Ethernet, the same bytes for the same
// frames on every machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "base/error.hh"
#include "base/time.hh"
#include "replay/output_file.hh"

namespace sluice::replay {

class CaptureWriter {
  public:
    static Expected<CaptureWriter> create(const std::filesystem::path& path);

    // `frame` from the destination MAC on. Seconds are kept modulo 2^32, as the format has it.
    void write(Instant time, std::span<const uint8_t> frame);
    Expected<void> close() { return file_.close(); }

  private:
    explicit CaptureWriter(OutputFile file);
    OutputFile file_;
};

}  // namespace sluice::replay
