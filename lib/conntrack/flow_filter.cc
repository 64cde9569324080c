#include "conntrack/flow_filter.hh"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace sluice::conntrack {
namespace {

using wire::IpProtocol;

constexpr auto kProtocols = std::to_array<std::pair<std::string_view, IpProtocol>>({
    {"tcp", IpProtocol::tcp},
    {"udp", IpProtocol::udp},
    {"icmp", IpProtocol::icmp},
    {"icmpv6", IpProtocol::icmpv6},
    {"sctp", IpProtocol::sctp},
    {"gre", IpProtocol::gre},
    {"udplite", IpProtocol::udplite},
    {"esp", IpProtocol::esp},
    {"ah", IpProtocol::ah},
});

constexpr auto kStatus = std::to_array<std::pair<std::string_view, Status>>({
    {"expected", kExpected},
    {"seen_reply", kSeenReply},
    {"assured", kAssured},
    {"confirmed", kConfirmed},
    {"snat", kSnat},
    {"dnat", kDnat},
    {"seq_adjust", kSeqAdjust},
    {"dying", kDying},
    {"fixed_timeout", kFixedTimeout},
});

template <typename T>
Expected<T> whole_number(std::string_view text, std::string_view what) {
    T result{};
    const auto end = text.data() + text.size();
    const bool hex = text.starts_with("0x");
    const auto [at, error] = std::from_chars(text.data() + (hex ? 2 : 0), end, result, hex ? 16 : 10);
    if (error != std::errc() || at != end)
        return fail("'" + std::string(text) + "' is no " + std::string(what));
    return result;
}

std::string upper_case(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(),
                           [](char a) { return a >= 'a' && a <= 'z' ? static_cast<char>(a - 32) : a; });
    return result;
}

}  // namespace

std::string protocol_name(IpProtocol protocol) {
    const auto* known = std::ranges::find(kProtocols, protocol, [](const auto& one) { return one.second; });
    return known != kProtocols.end() ? std::string(known->first)
                                     : std::to_string(static_cast<unsigned>(protocol));
}

void for_each_status(Status status, const std::function<void(std::string_view)>& visit) {
    for (const auto& [name, bit] : kStatus)
        if (status.has(bit))
            visit(name);
}

std::string_view state_name(const FlowRecord& flow) {
    if (flow.original.protocol() == IpProtocol::tcp)
        return to_string(flow.tcp);
    if (flow.original.protocol() == IpProtocol::sctp)
        return to_string(flow.sctp);
    return {};
}

bool FlowFilter::matches_tuple(const Tuple& original) const {
    if ((sport || dport) && original.is_icmp())
        return false;
    return (!family || original.family() == *family) && (!protocol || original.protocol() == *protocol) &&
           (!source || source->contains(original.source())) &&
           (!destination || destination->contains(original.destination())) &&
           (!sport || original.sport == *sport) && (!dport || original.dport == *dport);
}

bool FlowFilter::matches(const FlowRecord& flow) const {
    if (!flow.status.has(with) || flow.status.has_any(without) || (mark && flow.mark != *mark) ||
        (id && flow.id != *id))
        return false;
    if ((tcp || sctp) && !(tcp && flow.tcp == *tcp) && !(sctp && flow.sctp == *sctp))
        return false;
    return matches_tuple(flow.original);
}

bool FlowFilter::matches(const Flow& flow) const {
    // Most flows of a large table are not wanted; these are told without making a record of them.
    if ((family && flow.family() != *family) || (protocol && flow.protocol() != *protocol) ||
        !flow.status.has(with))
        return false;
    return matches(FlowRecord::of(flow, 0));
}

Expected<bool> FlowFilter::set(std::string_view name, std::string_view value) {
    const auto store = [](auto& where, auto&& read) -> Expected<bool> {
        if (!read)
            return std::unexpected(read.error());
        where = *read;
        return true;
    };
    if (name == "family") {
        if (value != "ip4" && value != "ip6")
            return fail("'" + std::string(value) + "' is no family", "ip4 or ip6");
        family = value == "ip4" ? Family::ip4 : Family::ip6;
        return true;
    }
    if (name == "proto") {
        const auto* known = std::ranges::find(kProtocols, value, [](const auto& one) { return one.first; });
        if (known != kProtocols.end()) {
            protocol = known->second;
            return true;
        }
        const auto number = whole_number<uint8_t>(value, "protocol");
        if (!number)
            return std::unexpected(number.error());
        protocol = IpProtocol{*number};
        return true;
    }
    if (name == "src")
        return store(source, IpPrefix::parse(value));
    if (name == "dst")
        return store(destination, IpPrefix::parse(value));
    if (name == "sport")
        return store(sport, whole_number<uint16_t>(value, "port"));
    if (name == "dport")
        return store(dport, whole_number<uint16_t>(value, "port"));
    if (name == "mark")
        return store(mark, whole_number<uint32_t>(value, "mark"));
    if (name == "id")
        return store(id, whole_number<uint32_t>(value, "id"));
    if (name == "state") {
        const std::string wanted = upper_case(value);
        for (size_t place = 1; place < kTcpStates; ++place)
            if (to_string(TcpState{static_cast<uint8_t>(place)}) == wanted)
                tcp = TcpState{static_cast<uint8_t>(place)};
        for (size_t place = 1; place < kSctpStates; ++place)
            if (to_string(SctpState{static_cast<uint8_t>(place)}) == wanted)
                sctp = SctpState{static_cast<uint8_t>(place)};
        if (!tcp && !sctp)
            return fail("'" + std::string(value) + "' is no state of TCP or SCTP", "such as ESTABLISHED");
        return true;
    }
    if (name != "status")
        return false;
    for (std::string_view rest = value; !rest.empty();) {
        const size_t comma = std::min(rest.find(','), rest.size());
        std::string_view one = rest.substr(0, comma);
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        bool wanted = true;
        if (one.starts_with('!')) {
            wanted = false;
            one.remove_prefix(1);
        } else if (one == "unreplied") {
            wanted = false;
            one = "seen_reply";
        }
        const auto* known = std::ranges::find(kStatus, one, [](const auto& bit) { return bit.first; });
        if (known == kStatus.end())
            return fail("'" + std::string(one) + "' is no status", "such as assured, seen_reply or !assured");
        (wanted ? with : without).set(known->second);
    }
    return true;
}

}  // namespace sluice::conntrack
