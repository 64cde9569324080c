// FTP's control connection (RFC 959, RFC 2428): finds the commands and answers that announce a data
// connection.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/address.hh"
#include "conntrack/state.hh"
#include "wire/bytes.hh"

namespace sluice::conntrack {

inline constexpr uint16_t kFtpPort = 21;

enum class FtpCommand : uint8_t {
    port,  // PORT h1,h2,h3,h4,p1,p2: the client listens
    eprt,  // EPRT |1|address|port|
    pasv,  // 227 ... h1,h2,h3,h4,p1,p2: the server listens
    epsv,  // 229 ... (|||port|)
};

// Where the data connection is going to. Offsets count from the start of the payload.
struct FtpAnnouncement {
    FtpCommand command{};
    std::optional<IpAddress> address;  // EPSV tells none: the server's
    uint16_t port = 0;
    size_t offset = 0;  // of the address or, in EPSV, of the port
    size_t length = 0;  // of both together, as NAT would rewrite them
};

enum class FtpScan : uint8_t {
    nothing,
    found,
    partial,  // a line that might announce one ends with the payload: such a packet must be dropped
};

// Looks at the beginning of a payload that begins a line. `family` is the flow's; an address of the other one
// is found as well and means nothing.
FtpScan scan_ftp(wire::Bytes payload, Family family, Direction direction, FtpAnnouncement& found);

// Where lines begin in one control connection, so that only the start of a line is taken for a command and
// not what a user types into one.
class FtpLines {
  public:
    // Does the payload at this sequence number begin a line?
    [[nodiscard]] bool begins_line(Direction direction, uint32_t sequence) const;
    // A line begins there, because a payload before it ended one.
    void note(Direction direction, uint32_t sequence);

  private:
    static constexpr size_t kKept = 2;  // remembered by direction, for repeated segments
    std::array<std::array<uint32_t, kKept>, 2> begin_{};
    std::array<uint8_t, 2> count_{};
};

}  // namespace sluice::conntrack
