// A whole IP packet of either family whose upper-layer header has been found, behind IPv4 options or IPv6
// extension headers: what conntrack and the rules look at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/address.hh"
#include "wire/bytes.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"
#include "wire/ipv6_extensions.hh"
#include "wire/protocol.hh"

namespace sluice::wire {

// Borrows the bytes, which must stay in place.
class IpPacket {
  public:
    // The header was checked.
    static IpPacket of(Ipv4View view) {
        IpPacket result;
        result.data_ = view.bytes().data();
        result.length_ = view.total_length();
        result.upper_ = static_cast<uint16_t>(view.header_length());
        result.family_ = Family::ip4;
        result.protocol_ = view.protocol();
        result.later_fragment_ = !view.is_first_fragment();
        result.fragment_ = view.is_fragment();
        return result;
    }
    // A chain that is broken ends where it breaks: the protocol is that of the header that could not be read.
    // One in a wrong order is not: whom the packet is for may refuse it. Nor, as Linux has it, is one whose
    // last header reaches beyond the packet: nothing is left for the protocol that header names.
    static IpPacket of(Ipv6View view) {
        const auto chain = walk_extensions(view);
        IpPacket result;
        result.data_ = view.bytes().data();
        result.length_ = static_cast<uint32_t>(view.total_length());
        result.upper_ = chain.upper_offset;
        result.family_ = Family::ip6;
        result.protocol_ = chain.upper_protocol;
        result.later_fragment_ = chain.non_first_fragment;
        result.fragment_ = chain.fragment_offset != 0;
        result.broken_ = chain.cut;
        if (chain.protocol_beyond && !is_extension_header(*chain.protocol_beyond) &&
            result.length_ <= UINT16_MAX) {
            result.protocol_ = *chain.protocol_beyond;
            result.upper_ = static_cast<uint16_t>(result.length_);
            result.broken_ = false;
        }
        return result;
    }

    [[nodiscard]] Family family() const { return family_; }
    [[nodiscard]] Bytes bytes() const { return {data_, length_}; }
    [[nodiscard]] uint32_t length() const { return length_; }  // of the IP packet
    [[nodiscard]] IpAddress source() const {
        return family_ == Family::ip4 ? IpAddress(Ip4Address::load(data_ + 12))
                                      : IpAddress(Ip6Address::load(data_ + 8));
    }
    [[nodiscard]] IpAddress destination() const {
        return family_ == Family::ip4 ? IpAddress(Ip4Address::load(data_ + 16))
                                      : IpAddress(Ip6Address::load(data_ + 24));
    }
    [[nodiscard]] uint8_t hop_limit() const { return data_[family_ == Family::ip4 ? 8 : 7]; }  // TTL in IPv4
    // The protocol behind options and extension headers.
    [[nodiscard]] IpProtocol protocol() const { return protocol_; }
    // From the upper-layer header to the end; in a later fragment the middle of a datagram.
    [[nodiscard]] Bytes upper() const { return bytes().subspan(upper_); }
    [[nodiscard]] uint16_t upper_offset() const { return upper_; }
    [[nodiscard]] bool is_fragment() const { return fragment_; }
    [[nodiscard]] bool is_later_fragment() const { return later_fragment_; }  // any but the first
    [[nodiscard]] bool has_broken_chain() const { return broken_; }           // IPv6 only
    [[nodiscard]] Ipv4View ip4() const { return Ipv4View::unchecked(data_); }
    [[nodiscard]] Ipv6View ip6() const { return Ipv6View::unchecked(data_); }

  private:
    IpPacket() = default;
    const uint8_t* data_ = nullptr;
    uint32_t length_ = 0;
    uint16_t upper_ = 0;
    Family family_{};
    IpProtocol protocol_{};
    bool fragment_ = false;
    bool later_fragment_ = false;
    bool broken_ = false;
};

}  // namespace sluice::wire
