// For tests: rules from YAML on interfaces lan (0), wan (1) and dmz (2) with the zone inside (lan, dmz), and
// packets.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/document.hh"
#include "filter/config.hh"
#include "filter/evaluate.hh"
#include "filter/rule_check.hh"
#include "wire/ip_packet.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::filter::test {

using wire::IpProtocol;
using Buffer = std::vector<uint8_t>;

inline constexpr InterfaceId kLan{0};
inline constexpr InterfaceId kWan{1};
inline constexpr InterfaceId kDmz{2};

inline Instant at(double seconds) {
    return Instant(Duration(static_cast<int64_t>(seconds * 1e9)));
}

inline Buffer ip4(std::string_view source, std::string_view destination, IpProtocol protocol,
                  const Buffer& upper, uint8_t ttl = 64) {
    wire::Ipv4Header header;
    header.ttl = ttl;
    header.protocol = protocol;
    header.source = *Ip4Address::parse(source);
    header.destination = *Ip4Address::parse(destination);
    header.payload_length = static_cast<uint16_t>(upper.size());
    Buffer packet(header.header_size() + upper.size());
    header.emit(packet);
    std::copy(upper.begin(), upper.end(), packet.begin() + static_cast<std::ptrdiff_t>(header.header_size()));
    return packet;
}

inline Buffer ip6(std::string_view source, std::string_view destination, IpProtocol next, const Buffer& upper,
                  uint8_t hop_limit = 64) {
    wire::Ipv6Header header;
    header.hop_limit = hop_limit;
    header.next_header = next;
    header.source = *Ip6Address::parse(source);
    header.destination = *Ip6Address::parse(destination);
    header.payload_length = static_cast<uint16_t>(upper.size());
    Buffer packet(wire::kIpv6HeaderSize + upper.size());
    header.emit(packet);
    std::copy(upper.begin(), upper.end(), packet.begin() + wire::kIpv6HeaderSize);
    return packet;
}

inline Buffer tcp(uint16_t source, uint16_t destination, wire::TcpFlags flags, const Buffer& payload = {},
                  wire::TcpOptions options = {}) {
    wire::TcpHeader header;
    header.source_port = source;
    header.destination_port = destination;
    header.sequence = 1000;
    header.acknowledgment = flags.has(wire::kTcpAck) ? 2000 : 0;
    header.flags = flags;
    header.options = options;
    Buffer segment(header.size());
    header.emit(segment);
    segment.insert(segment.end(), payload.begin(), payload.end());
    return segment;
}

inline Buffer udp(uint16_t source, uint16_t destination, size_t payload = 0) {
    Buffer datagram(8 + payload);
    wire::write16(datagram.data(), source);
    wire::write16(datagram.data() + 2, destination);
    wire::write16(datagram.data() + 4, static_cast<uint16_t>(datagram.size()));
    return datagram;
}

inline wire::IpPacket view(const Buffer& bytes) {
    return bytes[0] >> 4 == 4 ? wire::IpPacket::of(wire::Ipv4View::unchecked(bytes.data()))
                              : wire::IpPacket::of(wire::Ipv6View::unchecked(bytes.data()));
}

// The usual packets.
inline Buffer tcp4(uint16_t source = 40000, uint16_t destination = 22, wire::TcpFlags flags = wire::kTcpSyn) {
    return ip4("192.0.2.1", "198.51.100.2", IpProtocol::tcp, tcp(source, destination, flags));
}
inline Buffer udp4(uint16_t source = 40000, uint16_t destination = 53) {
    return ip4("192.0.2.1", "198.51.100.2", IpProtocol::udp, udp(source, destination));
}
inline Buffer tcp6(uint16_t source = 40000, uint16_t destination = 22, wire::TcpFlags flags = wire::kTcpSyn) {
    return ip6("2001:db8::1", "2001:db8:1::2", IpProtocol::tcp, tcp(source, destination, flags));
}

// What the packet is to its flow.
struct Facts {
    InterfaceId in = kLan;
    InterfaceId out = kWan;
    conntrack::CtState state = conntrack::CtState::new_;
    conntrack::Direction direction = conntrack::Direction::original;
    conntrack::Status status{};
    uint32_t mark = 0;
    uint64_t flow = 1;
    std::optional<MacAddress> mac{};
    Instant now = at(100);
};

// Rules at work.
class Rules {
  public:
    explicit Rules(std::string_view yaml, size_t workers = 1,
                   Date today = Date{std::chrono::year(2026), std::chrono::month(6), std::chrono::day(15)})
        : registry_(7, [](const std::function<void()>& retired) { retired(); }) {
        const auto read = config::read_text<RulesConfig>("test.yaml", yaml);
        EXPECT_TRUE(read.has_value()) << (read ? "" : read.error().text());
        book_ = std::make_shared<Rulebook>(read ? rulebook(*read) : Rulebook());
        config::Problems problems;
        check_rules(*book_, known(), problems);
        EXPECT_TRUE(problems.empty()) << problems.text();
        compile(workers, today);
    }

    static KnownNames known() {
        return {.interfaces = {"lan", "wan", "dmz", "inside"},
                .sets = {{"hosts", *sets::SetType::parse("ip")},
                         {"ports", *sets::SetType::parse("port")},
                         {"services", *sets::SetType::parse("ip,port")},
                         {"seen", *sets::SetType::parse("ip")}}};
    }

    Outcome ask(Table table, Hook hook, const Buffer& bytes, const Facts& facts = {}) {
        const auto ip = view(bytes);
        RulePacket packet = packet_of(ip, facts);
        trail = {};
        const Outcome outcome = evaluate(*ruleset, *state, table, hook, packet, trail);
        mark = packet.mark;
        return outcome;
    }
    Outcome forward(const Buffer& bytes, const Facts& facts = {}) {
        return ask(Table::filter, Hook::forward, bytes, facts);
    }
    // Whether the only rule that a test calls `m` matches.
    bool matches(const Buffer& bytes, const Facts& facts = {}) {
        const auto before = count("filter.forward/m").packets;
        forward(bytes, facts);
        return count("filter.forward/m").packets != before;
    }
    RulePacket packet_of(const wire::IpPacket& ip, const Facts& facts) {
        RulePacket packet(ip, facts.now);
        packet.in = facts.in;
        packet.out = facts.out;
        packet.mark = facts.mark;
        packet.mac_saddr = facts.mac;
        packet.ct.state = facts.state;
        packet.ct.direction = facts.direction;
        packet.ct.status = facts.status;
        if (packet.ct.exists()) {
            packet.ct.id = facts.flow;
            packet.ct.mark = &flow_mark;
        }
        return packet;
    }
    [[nodiscard]] RuleCounts count(std::string_view label) const {
        return directory.sum(directory.find(label), {&counters});
    }
    [[nodiscard]] std::string decided_by(const Outcome& outcome) const {
        return std::string(directory.label(outcome.rule));
    }
    sets::Set& set(std::string_view name) { return *registry_.find(name); }

    RuleDirectory directory;
    RuleCounters counters;
    LogRing logs;
    std::shared_ptr<const Ruleset> ruleset;
    std::unique_ptr<RulesetState> state;
    std::vector<uint64_t> ended;  // flows that are no longer alive
    uint32_t flow_mark = 0;
    uint32_t mark = 0;  // of the packet asked about last
    Trail trail;        // likewise

  private:
    void compile(size_t workers, Date today) {
        std::vector<sets::SetDeclaration> declarations;
        for (const KnownSet& set : known().sets) {
            sets::SetDeclaration declaration;
            declaration.name = set.name;
            declaration.options.type = set.type;
            declaration.options.size = 4;
            declarations.push_back(declaration);
        }
        const auto element = [&](size_t place, std::string value) {
            sets::DeclaredElement declared;
            declared.value = std::move(value);
            declarations[place].elements.push_back(std::move(declared));
        };
        element(0, "192.0.2.1");
        element(0, "2001:db8::1");
        element(1, "22");
        element(2, "192.0.2.1,22");
        config::Problems problems;
        const auto table = registry_.prepare(declarations, set_uses(*book_), at(0), problems);
        ASSERT_TRUE(problems.empty()) << problems.text();
        registry_.adopt(table);
        const auto interfaces = [](std::string_view name) -> std::vector<InterfaceId> {
            if (name == "inside")
                return {kLan, kDmz};
            return {name == "lan" ? kLan : name == "wan" ? kWan : kDmz};
        };
        directory.begin();
        ruleset =
            Ruleset::compile(book_, {.interfaces = interfaces, .sets = table, .today = today}, directory);
        directory.end({&counters});
        const auto alive = [](const void* self, uint64_t flow) {
            const auto& gone = static_cast<const Rules*>(self)->ended;
            return std::find(gone.begin(), gone.end(), flow) == gone.end();
        };
        state = std::make_unique<RulesetState>(
            *ruleset, counters,
            StateOptions{
                .workers = workers, .seed = 1, .now = at(100), .alive = {alive, this}, .logs = &logs});
    }

    std::shared_ptr<Rulebook> book_;
    sets::SetRegistry registry_;
};

// One rule called m with these keys, in filter.forward.
inline Rules rule(std::string_view keys) {
    return Rules("filter: {forward: [{name: m, " + std::string(keys) + "}]}");
}

}  // namespace sluice::filter::test
