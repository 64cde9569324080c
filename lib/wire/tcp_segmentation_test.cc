#include "wire/tcp_segmentation.hh"

#include <gtest/gtest.h>

#include "base/random.hh"
#include "wire/ethernet.hh"
#include "wire/test_bytes.hh"

namespace sluice::wire {
namespace {

// What a sender has to say in a connection: its numbers, its options, and what its stack sends it with.
struct Sender {
    Family family = Family::ip4;
    size_t link = 14;
    Buffer ip_options = {};  // or extension headers, the first named by `first_extension`
    IpProtocol first_extension = IpProtocol::tcp;
    Buffer tcp_options = {};
    uint32_t sequence = 0;
    uint16_t identification = 0;
};

// One packet of this sender, as a stack without any offload builds it: header by header.
Buffer packet_of(const Sender& sender, Bytes data, uint32_t sequence, uint16_t identification,
                 TcpFlags flags) {
    const Ip4Address from4 = Ip4Address::from_host(0xc0a80102);
    const Ip4Address to4 = Ip4Address::from_host(0xcb007105);
    const Ip6Address from6 = *Ip6Address::parse("2001:db8::1");
    const Ip6Address to6 = *Ip6Address::parse("2001:db8:1::2");
    Buffer tcp(kTcpHeaderSize);
    TcpHeader{.source_port = 40000,
              .destination_port = 443,
              .sequence = sequence,
              .acknowledgment = 77,
              .flags = flags,
              .window = 501}
        .emit(tcp);
    tcp.insert(tcp.end(), sender.tcp_options.begin(), sender.tcp_options.end());
    tcp[12] = static_cast<uint8_t>(tcp.size() / 4 << 4);
    tcp.insert(tcp.end(), data.begin(), data.end());
    const auto length = static_cast<uint16_t>(tcp.size());
    set_tcp_checksum(tcp, sender.family == Family::ip4 ? pseudo_header(from4, to4, IpProtocol::tcp, length)
                                                       : pseudo_header(from6, to6, IpProtocol::tcp, length));
    Buffer packet(sender.link, 0xee);
    if (sender.family == Family::ip4) {
        Buffer ip(kIpv4HeaderSize);
        ip[0] = static_cast<uint8_t>(0x40 | (kIpv4HeaderSize + sender.ip_options.size()) / 4);
        write16(ip.data() + 2, static_cast<uint16_t>(ip.size() + sender.ip_options.size() + tcp.size()));
        write16(ip.data() + 4, identification);
        ip[8] = 64;
        ip[9] = static_cast<uint8_t>(IpProtocol::tcp);
        from4.store(ip.data() + 12);
        to4.store(ip.data() + 16);
        ip.insert(ip.end(), sender.ip_options.begin(), sender.ip_options.end());
        checksum(ip).store(ip.data() + 10);
        packet.insert(packet.end(), ip.begin(), ip.end());
    } else {
        Buffer ip(kIpv6HeaderSize);
        Ipv6Header{.traffic_class = 2,
                   .flow_label = 0x12345,
                   .payload_length = static_cast<uint16_t>(sender.ip_options.size() + tcp.size()),
                   .next_header = sender.first_extension,
                   .source = from6,
                   .destination = to6}
            .emit(ip);
        packet.insert(packet.end(), ip.begin(), ip.end());
        packet.insert(packet.end(), sender.ip_options.begin(), sender.ip_options.end());
    }
    packet.insert(packet.end(), tcp.begin(), tcp.end());
    return packet;
}

Buffer random_bytes(Random& random, size_t size) {
    Buffer bytes(size);
    for (auto& byte : bytes)
        byte = static_cast<uint8_t>(random.next());
    return bytes;
}

// The segments of a large packet against those that the sender would have made by itself.
void expect_same(const Sender& sender, Bytes data, uint16_t segment_size, TcpFlags flags) {
    const Buffer large = packet_of(sender, data, sender.sequence, sender.identification, flags);
    const size_t headers = large.size() - data.size();
    const size_t ip_header =
        (sender.family == Family::ip4 ? kIpv4HeaderSize : kIpv6HeaderSize) + sender.ip_options.size();
    const TcpSegmentation segmentation(Bytes(large).first(headers), sender.link, sender.link + ip_header,
                                       static_cast<uint32_t>(data.size()), segment_size);
    size_t covered = 0;
    for (uint32_t i = 0; i < segmentation.count(); ++i) {
        ASSERT_EQ(segmentation.offset(i), covered);
        const auto its = data.subspan(covered, segmentation.size(i));
        covered += its.size();
        Buffer frame(headers, 0x55);  // what stood in the buffer before
        frame.insert(frame.end(), its.begin(), its.end());
        segmentation.emit(i, frame);
        uint8_t bits = flags.bits();
        if (i != 0)
            bits &= static_cast<uint8_t>(~kTcpCwr.bits());
        if (covered != data.size())
            bits &= static_cast<uint8_t>(~(kTcpPsh | kTcpFin).bits());
        ASSERT_EQ(frame, packet_of(sender, its, sender.sequence + segmentation.offset(i),
                                   static_cast<uint16_t>(sender.identification + i), TcpFlags(bits)))
            << "segment " << i << " of " << segmentation.count() << ", size " << segment_size;
    }
    ASSERT_EQ(covered, data.size());
}

const Buffer kTimestamps = from_hex("0101080a0000000100000002");
const Buffer kHopByHop = from_hex("0600010400000000");  // names TCP; one padding option

TEST(TcpSegmentation, CutsAsTheSenderWould) {
    Random random(7);
    const Buffer data = random_bytes(random, 10000);
    for (const auto family : {Family::ip4, Family::ip6}) {
        expect_same({.family = family, .tcp_options = kTimestamps, .sequence = 1000, .identification = 5},
                    data, 1448, kTcpAck | kTcpPsh);
        expect_same({.family = family}, Bytes(data).first(1), 1460, kTcpAck);
        expect_same({.family = family}, Bytes(data).first(1460), 1460, kTcpAck | kTcpFin);
        expect_same({.family = family}, Bytes(data).first(2920), 1460, kTcpAck | kTcpFin | kTcpPsh);
        expect_same({.family = family}, Bytes(data).first(2921), 1460, kTcpAck | kTcpCwr | kTcpEce);
    }
}

TEST(TcpSegmentation, NumbersWrapAround) {
    const Buffer data(5000, 0xff);
    expect_same({.sequence = 0xfffffff0, .identification = 0xfffe}, data, 1000, kTcpAck);
    expect_same({.family = Family::ip6, .sequence = 0xfffffc18}, data, 1000, kTcpAck);
}

TEST(TcpSegmentation, KeepsOptionsAndExtensionHeaders) {
    const Buffer data(3000, 1);
    expect_same({.ip_options = from_hex("94040000"), .tcp_options = kTimestamps}, data, 700, kTcpAck);
    expect_same({.family = Family::ip6,
                 .link = 18,
                 .ip_options = kHopByHop,
                 .first_extension = IpProtocol::hop_by_hop,
                 .tcp_options = kTimestamps},
                data, 700, kTcpAck);
}

TEST(TcpSegmentation, AnySizesAnyFlags) {
    Random random(20);
    for (int round = 0; round < 3000; ++round) {
        const auto data = random_bytes(random, 1 + random.below(6000));
        const Sender sender{.family = random.below(2) == 0 ? Family::ip4 : Family::ip6,
                            .link = random.below(2) == 0 ? size_t{14} : size_t{18},
                            .tcp_options = random.below(2) == 0 ? Buffer() : kTimestamps,
                            .sequence = static_cast<uint32_t>(random.next()),
                            .identification = static_cast<uint16_t>(random.next())};
        const auto flags = TcpFlags(static_cast<uint8_t>(random.next())) & TcpFlags(0xf9);  // no SYN, no RST
        expect_same(sender, data, static_cast<uint16_t>(30 + random.below(1500)), flags);
        if (HasFatalFailure())
            return;
    }
}

}  // namespace
}  // namespace sluice::wire
