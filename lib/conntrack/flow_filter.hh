// Which flows an operator asks for.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hh"
#include "base/prefix.hh"
#include "conntrack/flow_record.hh"

namespace sluice::conntrack {

// All that is given must hold; addresses and ports are those of the original direction.
struct FlowFilter {
    std::optional<Family> family;
    std::optional<wire::IpProtocol> protocol;
    std::optional<IpPrefix> source;
    std::optional<IpPrefix> destination;
    std::optional<uint16_t> sport;
    std::optional<uint16_t> dport;
    std::optional<TcpState> tcp;
    std::optional<SctpState> sctp;  // if tcp is given too, either of them
    Status with;                    // all of these bits
    Status without;                 // none of these
    std::optional<uint32_t> mark;
    std::optional<uint32_t> id;

    [[nodiscard]] bool matches(const Flow& flow) const;
    [[nodiscard]] bool matches(const FlowRecord& flow) const;

    // Adds what one name of the API's query says: family, proto, src, dst, sport, dport, state, status, mark,
    // id. False for a name that is none of these.
    Expected<bool> set(std::string_view name, std::string_view value);

  private:
    [[nodiscard]] bool matches_tuple(const Tuple& original) const;
};

// "tcp", "50". Numbers where conntrack has no name.
std::string protocol_name(wire::IpProtocol protocol);
// The names of the bits, as `status` takes them and lists show them.
void for_each_status(Status status, const std::function<void(std::string_view)>& visit);
// As conntrack prints it; nothing for protocols that have no states.
std::string_view state_name(const FlowRecord& flow);

}  // namespace sluice::conntrack
