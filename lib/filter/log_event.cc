#include "filter/log_event.hh"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

#include "wire/icmp4.hh"
#include "wire/ipv6_extensions.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::filter {
namespace {

using wire::Bytes;
using wire::IpProtocol;

std::string number(uint64_t value) {
    return std::to_string(value);
}

std::string hex(uint32_t value, int digits) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "0x%0*X", digits, value);
    return text.data();
}

// KEY=VALUE and a space.
void put(std::string& line, std::string_view key, const std::string& value) {
    line.append(key).append("=").append(value).append(" ");
}

void put_incomplete(std::string& line, Bytes rest) {
    line += "INCOMPLETE [" + number(rest.size()) + " bytes] ";
}

void put_tcp(std::string& line, Bytes rest) {
    if (rest.size() < wire::kTcpHeaderSize)
        return put_incomplete(line, rest);
    const auto tcp = wire::TcpView::unchecked(rest);
    put(line, "SPT", number(tcp.source_port()));
    put(line, "DPT", number(tcp.destination_port()));
    put(line, "WINDOW", number(tcp.window()));
    put(line, "RES", hex(tcp.reserved() << 2, 2));
    constexpr std::array<std::pair<wire::TcpFlags, std::string_view>, 8> kFlags{{{wire::kTcpCwr, "CWR "},
                                                                                 {wire::kTcpEce, "ECE "},
                                                                                 {wire::kTcpUrg, "URG "},
                                                                                 {wire::kTcpAck, "ACK "},
                                                                                 {wire::kTcpPsh, "PSH "},
                                                                                 {wire::kTcpRst, "RST "},
                                                                                 {wire::kTcpSyn, "SYN "},
                                                                                 {wire::kTcpFin, "FIN "}}};
    for (const auto& [flag, name] : kFlags) {
        if (tcp.flags().has(flag))
            line += name;
    }
    put(line, "URGP", number(tcp.urgent_pointer()));
}

void put_udp(std::string& line, Bytes rest) {
    if (rest.size() < wire::kUdpHeaderSize)
        return put_incomplete(line, rest);
    const auto udp = wire::UdpView::unchecked(rest.data());
    put(line, "SPT", number(udp.source_port()));
    put(line, "DPT", number(udp.destination_port()));
    put(line, "LEN", number(udp.length()));
}

void put_icmp(std::string& line, Bytes rest) {
    if (rest.size() < wire::kIcmpHeaderSize)
        return put_incomplete(line, rest);
    put(line, "TYPE", number(rest[0]));
    put(line, "CODE", number(rest[1]));
    const uint8_t type = rest[0];
    const bool is_echo = type == static_cast<uint8_t>(wire::Icmp4Type::echo_request) ||
                         type == static_cast<uint8_t>(wire::Icmp4Type::echo_reply) || type == 128 ||
                         type == 129;
    if (!is_echo)
        return;
    put(line, "ID", number(wire::read16(rest.data() + 4)));
    put(line, "SEQ", number(wire::read16(rest.data() + 6)));
}

void put_transport(std::string& line, IpProtocol protocol, Bytes rest, bool later_fragment) {
    switch (protocol) {
        case IpProtocol::tcp:
            put(line, "PROTO", "TCP");
            return later_fragment ? void() : put_tcp(line, rest);
        case IpProtocol::udp:
            put(line, "PROTO", "UDP");
            return later_fragment ? void() : put_udp(line, rest);
        case IpProtocol::icmp:
            put(line, "PROTO", "ICMP");
            return later_fragment ? void() : put_icmp(line, rest);
        case IpProtocol::icmpv6:
            put(line, "PROTO", "ICMPv6");
            return later_fragment ? void() : put_icmp(line, rest);
        default:
            put(line, "PROTO", number(static_cast<uint8_t>(protocol)));
    }
}

Bytes behind(Bytes head, size_t offset) {
    return head.subspan(std::min(offset, head.size()));
}

void put_ip4(std::string& line, Bytes head, uint32_t length) {
    const auto ip = wire::Ipv4View::unchecked(head.data());
    put(line, "SRC", ip.source().to_string());
    put(line, "DST", ip.destination().to_string());
    put(line, "LEN", number(length));
    constexpr uint8_t kTosMask = 0x1e;
    constexpr uint8_t kPrecedenceMask = 0xe0;
    put(line, "TOS", hex(ip.tos() & kTosMask, 2));
    put(line, "PREC", hex(ip.tos() & kPrecedenceMask, 2));
    put(line, "TTL", number(ip.ttl()));
    put(line, "ID", number(ip.id()));
    if (ip.dont_fragment())
        line += "DF ";
    if (ip.more_fragments())
        line += "MF ";
    if (!ip.is_first_fragment())
        put(line, "FRAG", number(ip.fragment_offset() / 8));
    put_transport(line, ip.protocol(), behind(head, ip.header_length()), !ip.is_first_fragment());
}

void put_ip6(std::string& line, Bytes head, uint32_t length) {
    const auto ip = wire::Ipv6View::unchecked(head.data());
    put(line, "SRC", ip.source().to_string());
    put(line, "DST", ip.destination().to_string());
    put(line, "LEN", number(length));
    put(line, "TC", number(ip.traffic_class()));
    put(line, "HOPLIMIT", number(ip.hop_limit()));
    put(line, "FLOWLBL", number(ip.flow_label()));
    // The packet ends for this purpose where the head does.
    std::array<uint8_t, LogEvent::kHead> copy{};
    wire::copy_bytes(copy.data(), head);
    wire::write16(copy.data() + 4, static_cast<uint16_t>(head.size() - wire::kIpv6HeaderSize));
    const auto chain = wire::walk_extensions(wire::Ipv6View::unchecked(copy.data()));
    put_transport(line, chain.upper_protocol, behind(head, chain.upper_offset), chain.non_first_fragment);
}

}  // namespace

LogEvent LogEvent::of(const RulePacket& packet, RuleId rule, std::string_view prefix) {
    LogEvent event;
    event.rule = rule;
    event.time = packet.now;
    event.in = packet.in;
    event.out = packet.out;
    event.mark = packet.mark;
    event.mac_saddr = packet.mac_saddr;
    event.length = packet.ip.length();
    event.head_size = static_cast<uint16_t>(std::min<size_t>(packet.ip.length(), kHead));
    wire::copy_bytes(event.head.data(), packet.ip.bytes().first(event.head_size));
    event.prefix_size = static_cast<uint8_t>(std::min(prefix.size(), kMaxLogPrefix));
    std::ranges::copy(prefix.substr(0, event.prefix_size), event.prefix_bytes.begin());
    return event;
}

std::string log_text(const LogEvent& event, const std::function<std::string(InterfaceId)>& interface_name) {
    const auto name = [&](InterfaceId id) { return id == kNoInterface ? std::string() : interface_name(id); };
    const Bytes head(event.head.data(), event.head_size);
    std::string line(event.prefix());
    put(line, "IN", name(event.in));
    put(line, "OUT", name(event.out));
    if (event.mac_saddr)
        put(line, "MACSRC", event.mac_saddr->to_string());
    if (head[0] >> 4 == 4)
        put_ip4(line, head, event.length);
    else
        put_ip6(line, head, event.length);
    if (event.mark != 0)
        put(line, "MARK", "0x" + hex(event.mark, 1).substr(2));
    line.pop_back();
    return line;
}

LogRing::LogRing(size_t events)
    : mask_(std::bit_ceil(events) - 1), events_(std::make_unique<LogEvent[]>(mask_ + 1)) {}

bool LogRing::push(const LogEvent& event) {
    const size_t head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) > mask_) {
        lost_.store(lost_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return false;
    }
    events_[head & mask_] = event;
    head_.store(head + 1, std::memory_order_release);
    return true;
}

std::optional<LogEvent> LogRing::pop() {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_.load(std::memory_order_acquire))
        return std::nullopt;
    LogEvent event = events_[tail & mask_];
    tail_.store(tail + 1, std::memory_order_release);
    return event;
}

}  // namespace sluice::filter
