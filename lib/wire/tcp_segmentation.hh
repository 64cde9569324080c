// Cuts a large TCP packet, which stands for several segments of one connection, into the segments that its
// sender would have sent by itself (RFC 9293 3.7.1): what "TSO" and "GSO" promise.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "wire/bytes.hh"
#include "wire/checksum.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"
#include "wire/tcp.hh"

namespace sluice::wire {

// Borrows the headers of the large packet, which must stay in place: what is in front of the IP header (a
// link header, or nothing), then IPv4 or IPv6 with its options or extension headers, then TCP with its
// options. They have been checked, but for the TCP checksum, which is not read.
class TcpSegmentation {
  public:
    // `ip` and `tcp`: where those headers begin. `payload`: bytes of data in all; `segment_size`: in each
    // segment but the last. Neither is 0.
    TcpSegmentation(Bytes headers, size_t ip, size_t tcp, uint32_t payload, uint16_t segment_size)
        : headers_(headers), ip_(ip), tcp_(tcp), payload_(payload), segment_size_(segment_size) {}

    [[nodiscard]] uint32_t count() const { return (payload_ + segment_size_ - 1) / segment_size_; }
    // Of the segment's data in that of the large packet.
    [[nodiscard]] uint32_t offset(uint32_t segment) const { return segment * segment_size_; }
    [[nodiscard]] uint32_t size(uint32_t segment) const {
        return std::min<uint32_t>(segment_size_, payload_ - offset(segment));
    }

    // Writes the headers of a segment in front of its data, which stands at headers.size() of `frame`
    // already. What was in front of the IP header is copied, its total length is the new one; every segment
    // has the identification after that of the one before; all checksums are right. FIN and PSH are the last
    // segment's, CWR is the first one's (RFC 3168 6.1.2).
    void emit(uint32_t segment, MutableBytes frame) const {
        copy_bytes(frame.data(), headers_);
        uint8_t* const ip = frame.data() + ip_;
        const MutableBytes tcp = frame.subspan(tcp_);
        write32(tcp.data() + 4, read32(tcp.data() + 4) + offset(segment));
        auto flags = TcpFlags(tcp[13]).bits();
        if (segment != 0)
            flags &= static_cast<uint8_t>(~kTcpCwr.bits());
        if (segment + 1 != count())
            flags &= static_cast<uint8_t>(~(kTcpFin | kTcpPsh).bits());
        tcp[13] = flags;
        const size_t length = frame.size() - ip_;
        if (ip[0] >> 4 == 4) {
            write16(ip + 2, static_cast<uint16_t>(length));
            write16(ip + 4, static_cast<uint16_t>(read16(ip + 4) + segment));
            auto view = MutableIpv4View::unchecked(ip);
            view.refresh_checksum();
            set_tcp_checksum(tcp, pseudo_header(view.source(), view.destination(), IpProtocol::tcp,
                                                static_cast<uint16_t>(tcp.size())));
            return;
        }
        write16(ip + 4, static_cast<uint16_t>(length - kIpv6HeaderSize));
        const auto view = Ipv6View::unchecked(ip);
        set_tcp_checksum(tcp, pseudo_header(view.source(), view.destination(), IpProtocol::tcp,
                                            static_cast<uint32_t>(tcp.size())));
    }

  private:
    Bytes headers_;
    size_t ip_;
    size_t tcp_;
    uint32_t payload_;
    uint16_t segment_size_;
};

}  // namespace sluice::wire
