// What the protocols' trackers read while packets flow: made of the configuration (config.hh), never written
// after.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "conntrack/flow.hh"
#include "conntrack/timeouts.hh"

namespace sluice::conntrack {

struct Settings {
    // The defaults of a profile. Differences between the profiles are values here and in timeouts.def, never
    // branches elsewhere.
    static Settings of(Profile profile) {
        const bool as_linux = profile == Profile::linux;
        Settings result;
        result.timeouts = Timeouts::of(profile);
        result.tcp_loose = as_linux;
        result.check_quoted_header = !as_linux;
        result.udp_stream_at_once = !as_linux;
        result.refresh_by_dropped = as_linux;
        return result;
    }

    Timeouts timeouts = Timeouts::of(Profile::rfc);
    bool tcp_loose = false;               // a connection may be picked up in its middle
    bool tcp_be_liberal = false;          // segments outside the window are not invalid
    bool tcp_ignore_invalid_rst = false;  // nor is a RST for data that has been acknowledged
    uint8_t tcp_max_retrans = 3;          // so many repetitions of a segment shorten the timeout
    bool checksum = true;                 // a wrong transport checksum makes a packet invalid
    // Whether version, length and checksum of the IPv4 header that an ICMP error quotes must be right
    // (R5508-3a).
    bool check_quoted_header = true;
    // Whether the first answer makes a UDP flow a stream (R4787-5c), not what comes kUdpStreamDelay later.
    bool udp_stream_at_once = true;
    // Whether packets that a rule drops prolong their flow all the same (R7857-7).
    bool refresh_by_dropped = false;
    std::vector<Helper> helpers;  // those that are on

    [[nodiscard]] bool has(Helper helper) const {
        return std::ranges::find(helpers, helper) != helpers.end();
    }
    bool operator==(const Settings&) const = default;
};

}  // namespace sluice::conntrack
