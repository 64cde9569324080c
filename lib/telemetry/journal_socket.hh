// Sends lines to systemd's journal in its native datagram protocol.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hh"

namespace sluice::telemetry {

class JournalSocket {
  public:
    static constexpr std::string_view kPath = "/run/systemd/journal/socket";

    static Expected<JournalSocket> open(std::string_view path = kPath);
    JournalSocket(JournalSocket&& other) noexcept;
    JournalSocket& operator=(JournalSocket&& other) = delete;
    JournalSocket(const JournalSocket&) = delete;
    JournalSocket& operator=(const JournalSocket&) = delete;
    ~JournalSocket();

    // priority is syslog's, 0 to 7; neither text may hold a line break; an empty cause is left out. Never
    // waits: a journal that does not keep up loses the line.
    void send(int priority, std::string_view message, std::string_view cause) const;

  private:
    explicit JournalSocket(int fd) : fd_(fd) {}
    int fd_;
};

}  // namespace sluice::telemetry
