// The text by which FTP announces a data connection (RFC 959 4.1.2, RFC 2428), for another endpoint.
#pragma once

#include <array>
#include <cstdint>

#include "conntrack/ftp_helper.hh"
#include "nat/endpoint.hh"
#include "wire/bytes.hh"

namespace sluice::nat {

// A value without allocation.
class FtpText {
  public:
    // What stands in the place of an FtpAnnouncement's `offset` and `length`. PORT and the answer to PASV can
    // tell IPv4 only: empty for an IPv6 endpoint. EPSV tells no address.
    static FtpText of(conntrack::FtpCommand command, const Endpoint& endpoint);

    [[nodiscard]] wire::Bytes bytes() const { return {letters_.data(), size_}; }

  private:
    void append(char letter) { letters_[size_++] = static_cast<uint8_t>(letter); }
    void append_number(uint32_t number, int base = 10);

    // "|2|0000:0000:0000:0000:0000:0000:0000:0000|65535|" is the longest there is.
    std::array<uint8_t, 49> letters_;
    uint8_t size_ = 0;
};

}  // namespace sluice::nat
