// Fuzzes the rewriting of packets. Needs sluice_nat.
//
// The first byte chooses what is done, the next forty are two endpoints and numbers, the rest is an IP
// packet. Each packet lies between bytes that must not change; what was rewritten and rewritten back is as it
// was.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nat/flow_translation.hh"
#include "nat/payload_rewrite.hh"
#include "nat/prefix_translation.hh"
#include "nat/rewrite.hh"
#include "nat/rewrite_error.hh"
#include "nat/sequence.hh"
#include "wire/checksum.hh"
#include "wire/icmp4.hh"
#include "wire/ip_packet.hh"

namespace {

using namespace sluice;
using namespace sluice::nat;
using wire::IpProtocol;

constexpr size_t kParameters = 41;
constexpr size_t kGuard = 64;
constexpr uint8_t kGuardByte = 0xa5;

void require(bool truth) {
    if (!truth) {
        __builtin_trap();
    }
}

// A packet in the middle of bytes that nobody may touch.
class Guarded {
  public:
    explicit Guarded(wire::Bytes packet)
        : bytes_(packet.size() + 2 * kGuard, kGuardByte), size_(packet.size()) {
        std::ranges::copy(packet, bytes_.begin() + kGuard);
    }
    ~Guarded() {
        const auto whole = [](uint8_t byte) { return byte == kGuardByte; };
        require(std::all_of(bytes_.begin(), bytes_.begin() + kGuard, whole));
        require(std::all_of(bytes_.end() - kGuard, bytes_.end(), whole));
    }
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;

    [[nodiscard]] wire::MutableBytes bytes() { return {bytes_.data() + kGuard, size_}; }
    [[nodiscard]] wire::IpPacket packet() {
        return bytes()[0] >> 4 == 4 ? wire::IpPacket::of(wire::Ipv4View::unchecked(bytes().data()))
                                    : wire::IpPacket::of(wire::Ipv6View::unchecked(bytes().data()));
    }

  private:
    std::vector<uint8_t> bytes_;
    size_t size_;
};

Endpoint endpoint_from(const uint8_t* from, Family family) {
    const uint16_t port = wire::read16(from + 16);
    return family == Family::ip4 ? Endpoint{Ip4Address::load(from), port}
                                 : Endpoint{Ip6Address::load(from), port};
}

// A checksum of zeros or ones is written in one way of two: such packets come back as the other.
bool has_plain_checksums(const wire::IpPacket& packet) {
    const auto is_plain = [](const uint8_t* at) {
        const uint16_t value = wire::read16(at);
        return value != 0 && value != 0xffff;
    };
    if (packet.family() == Family::ip4 && !is_plain(packet.bytes().data() + 10))
        return false;
    const auto upper = packet.upper();
    switch (packet.protocol()) {
        case IpProtocol::tcp:
            return upper.size() < 20 || is_plain(upper.data() + 16);
        case IpProtocol::udp:
        case IpProtocol::udplite:
            return upper.size() < 8 || is_plain(upper.data() + 6);
        case IpProtocol::icmp:
        case IpProtocol::icmpv6:
            return upper.size() < 8 || is_plain(upper.data() + 2);
        case IpProtocol::sctp:
            return false;  // its checksum is computed anew
        default:           // DCCP too has its checksum there; of others nothing is written
            return upper.size() < 8 || is_plain(upper.data() + 6);
    }
}

Endpoint end_of(const wire::IpPacket& packet, Manip manip) {
    const bool source = manip == Manip::source;
    Endpoint end{source ? packet.source() : packet.destination()};
    const bool icmp = packet.protocol() == IpProtocol::icmp || packet.protocol() == IpProtocol::icmpv6;
    if (packet.upper().size() >= 8)
        end.port = wire::read16(packet.upper().data() + (icmp ? 4 : source ? 0 : 2));
    return end;
}

void there_and_back(wire::Bytes bytes, Manip manip, const Endpoint& to) {
    Guarded guarded(bytes);
    const auto before = end_of(guarded.packet(), manip);
    const bool plain = has_plain_checksums(guarded.packet());
    const bool changed = rewrite(guarded.packet(), guarded.bytes(), manip, to);
    if (!changed) {
        require(std::ranges::equal(guarded.bytes(), bytes));
        return;
    }
    require(end_of(guarded.packet(), manip).address == to.address);
    require(guarded.packet().length() == bytes.size());
    require(rewrite(guarded.packet(), guarded.bytes(), manip, before));
    require(!plain || std::ranges::equal(guarded.bytes(), bytes));
}

void as_an_error(wire::Bytes bytes, uint8_t what, Manip manip, const Endpoint& a, const Endpoint& b) {
    Guarded guarded(bytes);
    const auto packet = guarded.packet();
    const bool icmp = packet.protocol() == IpProtocol::icmp || packet.protocol() == IpProtocol::icmpv6;
    if (!icmp || packet.upper().size() < wire::kIcmpHeaderSize || packet.is_later_fragment())
        return;
    // Checksums are not found by chance.
    uint8_t* const checksum = guarded.bytes().data() + packet.upper_offset() + 2;
    wire::write16(checksum, 0);
    wire::Checksum sum;
    if (packet.family() == Family::ip6)
        sum = wire::pseudo_header(packet.ip6().source(), packet.ip6().destination(), IpProtocol::icmpv6,
                                  static_cast<uint32_t>(packet.upper().size()));
    sum.add(packet.upper()).finish().store(checksum);

    auto settings =
        conntrack::Settings::of((what & 8) != 0 ? conntrack::Profile::linux : conntrack::Profile::rfc);
    const FlowTranslation flow{
        (what & 16) != 0 ? conntrack::kSnat : conntrack::kSnat | conntrack::kDnat,
        (what & 32) != 0 ? conntrack::Direction::original : conntrack::Direction::reply,
        conntrack::Tuple(a.address, b.address, IpProtocol::udp, a.port, b.port)};
    if (rewrite_error(packet, guarded.bytes(), settings, flow, manip) && flow.changes(manip))
        require(end_of(guarded.packet(), manip).address == flow.target(manip).address);
}

void with_sequence(wire::Bytes bytes, wire::Bytes parameters) {
    Guarded guarded(bytes);
    if (guarded.packet().protocol() != IpProtocol::tcp)
        return;
    SequenceOffsets offsets;
    offsets.of(conntrack::Direction::original)
        .change(wire::read32(parameters.data()), static_cast<int8_t>(parameters[4]));
    (void)adjust_sequence(
        guarded.packet(), guarded.bytes(), offsets,
        (parameters[5] & 1) != 0 ? conntrack::Direction::original : conntrack::Direction::reply);

    Guarded to(bytes);
    const auto source = guarded.packet();
    const size_t size = replace_tcp_payload(source, parameters[6], parameters[7],
                                            parameters.first(parameters[8] & 15), to.bytes());
    require(size <= to.bytes().size());
    require(size == 0 || to.packet().length() == size);
}

void of_a_prefix(wire::Bytes parameters) {
    const auto length = static_cast<uint8_t>(parameters[0] % (PrefixTranslation::kMaxLength + 1));
    const IpPrefix from(Ip6Address::load(parameters.data() + 1), length);
    const IpPrefix to(Ip6Address::load(parameters.data() + 17), length);
    const auto address = Ip6Address::load(parameters.data() + 1);
    const PrefixTranslation out(from, to);
    if (const auto there = out.translate(address)) {
        require(to.contains(IpAddress(*there)));
        const auto back = out.inverse().translate(*there);
        require(back.has_value() && *back == address);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < kParameters) {
        return 0;
    }
    const uint8_t what = data[0];
    const wire::Bytes parameters(data + 1, kParameters - 1);
    of_a_prefix(parameters);
    const wire::Bytes rest(data + kParameters, size - kParameters);
    wire::Bytes bytes;
    Family family = Family::ip4;
    if (const auto ip4 = wire::Ipv4View::checked_shape(rest)) {
        bytes = ip4->bytes();
    } else if (const auto ip6 = wire::Ipv6View::checked(rest)) {
        bytes = ip6->bytes();
        family = Family::ip6;
    } else {
        return 0;
    }
    const Manip manip = (what & 1) != 0 ? Manip::source : Manip::destination;
    const Endpoint a = endpoint_from(parameters.data(), family);
    const Endpoint b = endpoint_from(parameters.data() + 18, family);
    switch (what >> 1 & 3) {
        case 0:
        case 1:
            there_and_back(bytes, manip, a);
            break;
        case 2:
            as_an_error(bytes, what, manip, a, b);
            break;
        default:
            with_sequence(bytes, parameters);
            break;
    }
    return 0;
}
