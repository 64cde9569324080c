// Reads a capture file frame by frame: pcap with micro- or nanoseconds, and pcapng.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/error.hh"
#include "base/time.hh"

struct pcap;

namespace sluice::replay {

struct CapturedFrame {
    Instant time;                    // nanoseconds since 1970, as the file says
    std::span<const uint8_t> bytes;  // from the destination MAC on; valid until the reader's next call
    uint32_t original_length = 0;    // on the wire
    // The capture kept only the head of the frame (tcpdump -s).
    [[nodiscard]] bool is_short() const { return bytes.size() < original_length; }
};

class CaptureReader {
  public:
    // Fails for a file that is missing, no capture, or of another link type than Ethernet.
    static Expected<CaptureReader> open(const std::filesystem::path& file);

    // The next frame; nothing at the end. A file that breaks off or is damaged gives every frame before that
    // place, then an error, then nothing.
    Expected<std::optional<CapturedFrame>> next();

    [[nodiscard]] const std::filesystem::path& file() const { return file_; }

  private:
    struct Close {
        void operator()(pcap* capture) const;
    };
    CaptureReader(std::filesystem::path file, pcap* capture);

    std::filesystem::path file_;
    std::unique_ptr<pcap, Close> capture_;  // empty after the end
    uint64_t frames_ = 0;
};

}  // namespace sluice::replay
