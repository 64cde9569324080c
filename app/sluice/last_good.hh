// The configuration that worked last, kept in a file for `--last-good`.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "sluice/config.hh"

namespace sluice {

// $SLUICE_STATE_DIR/last-good.yaml, by default in /var/lib/sluice.
std::filesystem::path last_good_file();

// What stands there of a configuration: all files by paths from the root, since the folder is another.
std::string last_good_text(GatewayConfig config);

// Writes the file on a thread of its own: a disk may take seconds, and the control plane answers meanwhile.
class LastGood {
  public:
    // Told why the file could not be written; called on the thread that writes, never after the end of this
    // object.
    using Complaint = std::function<void(const std::string& why)>;

    LastGood(std::filesystem::path file, Complaint complaint);
    // Waits for the last text, two seconds at most.
    ~LastGood();
    LastGood(const LastGood&) = delete;
    LastGood& operator=(const LastGood&) = delete;

    // Replaces the file soon, as a whole; of texts that come faster than the disk takes them, the last one
    // counts. Never waits for the disk.
    void keep(std::string text);

  private:
    struct Desk;
    std::shared_ptr<Desk> desk_;
};

}  // namespace sluice
