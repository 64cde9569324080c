// A numeric address with a port, as the metrics listener takes it: "127.0.0.1:9273", "[::1]:9273".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/address.hh"
#include "base/error.hh"

namespace sluice::admin {

struct ListenAddress {
    IpAddress address;
    uint16_t port = 0;
    bool operator==(const ListenAddress&) const = default;

    static Expected<ListenAddress> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;
};

// A listening, non-blocking TCP socket; the descriptor is the caller's.
Expected<int> listen_tcp(const ListenAddress& address);

}  // namespace sluice::admin
