// Fragmentation: of IPv4 datagrams on their way through (RFC 791 3.2, RFC 1812 5.2.6), and of the box's own
// IPv6 packets (RFC 8200 4.5).
//
// A fragmenter says which pieces there are and writes their headers; the caller puts headers and payload into
// buffers:
//
//     Ipv4Fragmenter fragmenter(datagram, mtu);
//     while (const auto piece = fragmenter.next()) {
//         fragmenter.emit_header(*piece, room);          // header_size(*piece) bytes
//         append(fragmenter.payload(*piece));
//     }
//
// The datagram's bytes are borrowed and must stay in place meanwhile.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "table/reassembly.hh"
#include "wire/bytes.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"

namespace sluice::routing {

inline constexpr size_t kIpv4MinMtu = 68;  // RFC 791: 60 bytes of header and 8 of data

struct FragmentPiece {
    uint32_t offset = 0;  // bytes into what is being fragmented
    uint32_t length = 0;
    bool more = false;  // another piece follows
    bool operator==(const FragmentPiece&) const = default;
};

// Cuts a datagram, which may be a fragment itself, so that every piece fits the MTU. Identification, type of
// service and TTL stay; options with the copied flag go into every piece, the others into the first, with "no
// operation" in their place behind it. "Don't fragment" is for the caller to respect.
class Ipv4Fragmenter {
  public:
    // The MTU is at least kIpv4MinMtu. A datagram that came in `fragments`, the largest of them a packet of
    // `largest` bytes, is cut where it was cut before if those fit, and never into larger ones. As Linux
    // does, a TCP header that was cut is not cut again.
    Ipv4Fragmenter(wire::Ipv4View datagram, size_t mtu, std::span<const table::FragmentSpan> fragments = {},
                   size_t largest = 0);

    std::optional<FragmentPiece> next();
    [[nodiscard]] size_t header_size(const FragmentPiece& piece) const;
    // Bytes written, header_size(piece); 0 if they do not fit.
    size_t emit_header(const FragmentPiece& piece, wire::MutableBytes to) const;
    [[nodiscard]] wire::Bytes payload(const FragmentPiece& piece) const {
        return datagram_.payload().subspan(piece.offset, piece.length);
    }

  private:
    wire::Ipv4View datagram_;
    wire::Ipv4Header first_;   // header of the piece at offset 0
    wire::Ipv4Header others_;  // of the rest: copied options only
    size_t mtu_;
    std::span<const table::FragmentSpan> fragments_;  // empty: cut by the MTU
    size_t at_ = 0;                                   // bytes; of `fragments_` the next
};

// Cuts a packet the box itself made or put together, which has no fragment header. As in Linux hop-by-hop,
// routing and destination options headers are repeated in every piece, but for destination options behind a
// routing header.
class Ipv6Fragmenter {
  public:
    // The MTU is at least 1280 and leaves room for eight bytes behind the repeated headers. `id` must not
    // repeat for the same addresses within the life of a packet.. A packet that came in `fragments`, the
    // largest of them a packet of `largest` bytes, is cut where it was cut before if those fit.
    Ipv6Fragmenter(wire::Ipv6View packet, size_t mtu, uint32_t id,
                   std::span<const table::FragmentSpan> fragments = {}, size_t largest = 0);

    // False: the headers to repeat did not all come in the first fragment (R7112). The packet cannot leave.
    [[nodiscard]] bool can_cut() const { return can_cut_; }
    std::optional<FragmentPiece> next();
    [[nodiscard]] size_t header_size() const { return repeated_ + 8; }
    // Bytes written, header_size(); 0 if they do not fit.
    size_t emit_header(const FragmentPiece& piece, wire::MutableBytes to) const;
    [[nodiscard]] wire::Bytes payload(const FragmentPiece& piece) const {
        return packet_.bytes().subspan(repeated_ + piece.offset, piece.length);
    }

  private:
    void find_repeated(size_t end);

    wire::Ipv6View packet_;
    size_t mtu_;
    uint32_t id_;
    size_t repeated_ = wire::kIpv6HeaderSize;  // bytes repeated in front of the fragment header
    size_t named_at_ = 6;                      // their last next-header field
    bool can_cut_ = true;
    std::span<const table::FragmentSpan> fragments_;  // empty: cut by the MTU
    size_t at_ = 0;                                   // bytes; of `fragments_` the next
};

}  // namespace sluice::routing
