// Fuzzes the reassembler. Needs sluice_table, sluice_wire and sluice_base.
//
// The input is a script of steps of eight bytes each: fragments of a few datagrams whose payload is known, so
// that whatever comes out whole can be checked; steps of time; and raw packets taken from the script itself.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "table/reassembly.hh"
#include "wire/fragment.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"
#include "wire/ipv6_extensions.hh"

namespace {

using namespace sluice;
using table::FragmentOutcome;
using table::FragmentRefusal;

constexpr table::ReassemblyLimits kLimits{.datagrams = 16, .datagrams_per_source = 4, .bytes = 96 * 1024};

void require(bool truth) {
    if (!truth) {
        __builtin_trap();
    }
}

// The byte at this place of every datagram.
uint8_t payload_byte(size_t at) {
    return static_cast<uint8_t>(at * 31 + at / 256);
}

class Run {
  public:
    void step(wire::Bytes script) {
        const uint8_t what = script[0];
        if ((what & 0xc0) == 0xc0) {
            now_ += std::chrono::milliseconds(wire::read16(script.data() + 1));
            expire(script[3]);
            return;
        }
        const bool ip4 = (what & 1) != 0;
        const size_t offset = (wire::read16(script.data() + 2) & 0x1fffU) * 8;
        const size_t size = std::min<size_t>(wire::read16(script.data() + 4), 2000);
        std::vector<uint8_t> payload(size);
        for (size_t at = 0; at < size; ++at) {
            payload[at] = payload_byte(offset + at);
        }
        if ((what & 0x20) != 0 && size != 0) {
            payload[size - 1] ^= script[6];
            forged_ |= script[6] != 0;
        }
        const auto packet = ip4 ? packet4(script, offset, payload) : packet6(script, offset, payload);
        add(packet, payload.size());
    }

    // A packet of the fuzzer's own making.
    void add_raw(wire::Bytes bytes) {
        std::vector<uint8_t> packet(bytes.begin(), bytes.end());
        forged_ = true;
        add(packet, packet.size());
    }

    void finish() {
        now_ += std::chrono::seconds(60);
        expire(UINT8_MAX);
        require(reassembler_.datagrams() == 0 && reassembler_.bytes() == 0 && !reassembler_.next_expiry());
    }

  private:
    static std::vector<uint8_t> packet4(wire::Bytes script, size_t offset,
                                        const std::vector<uint8_t>& payload) {
        const wire::Ipv4Header header{.tos = static_cast<uint8_t>(script[7] & 3),
                                      .id = static_cast<uint16_t>(script[1] & 3),
                                      .more_fragments = (script[0] & 2) != 0,
                                      .fragment_offset = static_cast<uint32_t>(offset),
                                      .protocol = wire::IpProtocol{static_cast<uint8_t>(script[7] >> 2 & 1)},
                                      .source = Ip4Address::from_host(script[1] >> 6),
                                      .payload_length = static_cast<uint16_t>(payload.size())};
        std::vector<uint8_t> packet(wire::kIpv4HeaderSize + payload.size());
        require(header.emit(packet) == wire::kIpv4HeaderSize);
        wire::copy_bytes(packet.data() + wire::kIpv4HeaderSize, payload);
        return packet;
    }
    static std::vector<uint8_t> packet6(wire::Bytes script, size_t offset,
                                        const std::vector<uint8_t>& payload) {
        std::array<uint8_t, 16> source{};
        source[0] = static_cast<uint8_t>(script[1] >> 6);
        const wire::Ipv6Header header{.traffic_class = static_cast<uint8_t>(script[7] & 3),
                                      .payload_length = static_cast<uint16_t>(8 + payload.size()),
                                      .next_header = wire::IpProtocol::fragment,
                                      .source = Ip6Address(source)};
        const wire::Ipv6FragmentHeader fragment{wire::IpProtocol::gre, static_cast<uint32_t>(offset),
                                                (script[0] & 2) != 0, script[1] & 3U};
        std::vector<uint8_t> packet(wire::kIpv6HeaderSize + 8 + payload.size());
        header.emit(packet);
        fragment.emit(wire::MutableBytes(packet).subspan(wire::kIpv6HeaderSize));
        wire::copy_bytes(packet.data() + wire::kIpv6HeaderSize + 8, payload);
        return packet;
    }

    void add(const std::vector<uint8_t>& bytes, size_t payload_size) {
        // Nothing behind the packet, so that the address sanitizer sees any step beyond it.
        const auto exact = std::make_unique<uint8_t[]>(bytes.size());
        wire::copy_bytes(exact.get(), bytes);
        const wire::Bytes packet(exact.get(), bytes.size());
        table::FragmentResult result;
        if (const auto ip4 = wire::Ipv4View::checked_shape(packet); ip4 && ip4->is_fragment()) {
            result = reassembler_.add(*ip4, 0, now_);
        } else if (const auto ip6 = wire::Ipv6View::checked(packet)) {
            const auto chain = wire::walk_extensions(*ip6);
            const bool usable = chain.ok() || chain.error == wire::Ipv6ChainError::truncated;
            if (chain.fragment_offset == 0 || !usable) {
                return;
            }
            result = reassembler_.add(*ip6, chain, 0, now_);
        } else {
            return;
        }
        require((result.refusal != FragmentRefusal::none) == (result.outcome == FragmentOutcome::refused));
        require((result.datagram.empty()) == (result.outcome != FragmentOutcome::complete));
        require(reassembler_.datagrams() <= kLimits.datagrams && reassembler_.bytes() <= kLimits.bytes);
        if (result.outcome == FragmentOutcome::complete) {
            judge(result.datagram, payload_size);
        }
    }

    void judge(wire::Bytes datagram, size_t last_size) const {
        wire::Bytes payload;
        if (datagram[0] >> 4 == 4) {
            const auto view = wire::Ipv4View::checked(datagram).value();
            require(!view.is_fragment() && view.total_length() == datagram.size());
            payload = view.payload();
        } else {
            const auto view = wire::Ipv6View::checked(datagram).value();
            require(view.total_length() == datagram.size());
            payload = view.payload();
        }
        if (forged_) {
            return;
        }
        require(payload.size() >= last_size);
        for (size_t at = 0; at < payload.size(); ++at) {
            require(payload[at] == payload_byte(at));
        }
    }

    void expire(size_t budget) {
        reassembler_.expire(
            now_,
            [](const table::ExpiredDatagram& expired) {
                const auto first = expired.first_fragment;
                require(first.empty() || first[0] >> 4 == static_cast<int>(expired.family));
                require(first.empty() ||
                        (expired.family == Family::ip4 ? wire::Ipv4View::checked_shape(first).has_value()
                                                       : wire::Ipv6View::checked(first).has_value()));
            },
            budget);
    }

    table::Reassembler reassembler_{kLimits, 1};
    Instant now_{};
    bool forged_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    constexpr size_t kStep = 8;
    Run run;
    wire::Bytes script(data, size);
    while (script.size() >= kStep) {
        if ((script[0] & 0xc0) == 0x80) {
            const size_t length = std::min<size_t>(script[1], script.size() - 2);
            run.add_raw(script.subspan(2, length));
            script = script.subspan(2 + length);
            continue;
        }
        run.step(script.first(kStep));
        script = script.subspan(kStep);
    }
    run.finish();
    return 0;
}
