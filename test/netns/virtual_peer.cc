// The other end of a virtual link: a vhost-user or virtio-user port that gives and takes frames as a virtual
// machine would, also large ones and such that lack their checksum. What to send comes line by line,
//
//   SEGMENT LINK IP TRANSPORT FRAME
//
// FRAME in hexadecimal digits; SEGMENT: data in each TCP segment of a large frame, 0 for an ordinary one;
// LINK, IP, TRANSPORT: bytes of these headers where the checksum is left to the receiver (always so with
// large frames), or 0. Frames that come are told the same way, as `SEGMENT FRAME`. Ends with its input.
//
//   virtual_peer DEVICE
#include <fcntl.h>
#include <poll.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_net.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

namespace {

[[noreturn]] void give_up(const std::string& what) {
    std::fprintf(stderr, "virtual_peer: %s\n", what.c_str());
    std::exit(1);
}

rte_mempool* start(const std::string& device) {
    std::vector<std::string> words = {
        "virtual_peer",    "--no-huge", "--no-shconf", "--no-pci",      "--no-telemetry",
        "--lcores=0",      "-m",        "128",         "--log-level=4", "--single-file-segments",
        "--vdev=" + device};
    std::vector<char*> arguments;
    for (auto& word : words)
        arguments.push_back(word.data());
    if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0)
        give_up("EAL does not start");
    rte_mempool* pool =
        rte_pktmbuf_pool_create("packets", 4096, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    rte_eth_dev_info info{};
    rte_eth_conf conf{};
    if (pool == nullptr || rte_eth_dev_info_get(0, &info) != 0)
        give_up("no port");
    conf.txmode.offloads = info.tx_offload_capa;
    conf.rxmode.offloads = info.rx_offload_capa & ~uint64_t{RTE_ETH_RX_OFFLOAD_VLAN_STRIP};
    if (rte_eth_dev_configure(0, 1, 1, &conf) != 0 ||
        rte_eth_rx_queue_setup(0, 0, 256, SOCKET_ID_ANY, nullptr, pool) != 0 ||
        rte_eth_tx_queue_setup(0, 0, 256, SOCKET_ID_ANY, nullptr) != 0 || rte_eth_dev_start(0) != 0)
        give_up("the port does not start");
    return pool;
}

std::vector<uint8_t> from_hex(const std::string& digits) {
    std::vector<uint8_t> bytes;
    for (size_t at = 0; at + 2 <= digits.size(); at += 2)
        bytes.push_back(static_cast<uint8_t>(std::stoul(digits.substr(at, 2), nullptr, 16)));
    return bytes;
}

// In as many buffers as it needs.
rte_mbuf* packet_of(rte_mempool* pool, const std::vector<uint8_t>& bytes) {
    rte_mbuf* packet = nullptr;
    size_t at = 0;
    while (at < bytes.size()) {
        rte_mbuf* buffer = rte_pktmbuf_alloc(pool);
        if (buffer == nullptr)
            give_up("no buffer");
        const size_t size = std::min<size_t>(bytes.size() - at, rte_pktmbuf_tailroom(buffer));
        std::memcpy(rte_pktmbuf_append(buffer, static_cast<uint16_t>(size)), bytes.data() + at, size);
        at += size;
        if (packet == nullptr)
            packet = buffer;
        else if (rte_pktmbuf_chain(packet, buffer) != 0)
            give_up("too many buffers");
    }
    return packet;
}

void send(rte_mempool* pool, const std::string& line) {
    std::istringstream words(line);
    unsigned segment = 0, link = 0, ip = 0, transport = 0;
    std::string digits;
    if (!(words >> segment >> link >> ip >> transport >> digits))
        give_up("not a frame: " + line.substr(0, 80));
    const auto bytes = from_hex(digits);
    rte_mbuf* packet = packet_of(pool, bytes);
    if (transport != 0) {
        const bool is_ip4 = bytes[link] >> 4 == 4;
        const uint8_t protocol = bytes[link + (is_ip4 ? 9U : 6U)];
        packet->ol_flags |= (is_ip4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6) |
                            (protocol == IPPROTO_UDP ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM) |
                            (segment != 0 ? RTE_MBUF_F_TX_TCP_SEG : 0);
        packet->tx_offload = rte_mbuf_tx_offload(link, ip, transport, segment, 0, 0, 0);
    }
    while (rte_eth_tx_burst(0, 0, &packet, 1) == 0)
        ;
}

void tell(rte_mbuf* packet) {
    const bool large = (packet->ol_flags & RTE_MBUF_F_RX_LRO) != 0;
    std::string line = std::to_string(large ? packet->tso_segsz : 0) + " ";
    for (const rte_mbuf* buffer = packet; buffer != nullptr; buffer = buffer->next) {
        for (unsigned at = 0; at < buffer->data_len; ++at) {
            std::array<char, 3> digits{};
            std::snprintf(digits.data(), digits.size(), "%02x", rte_pktmbuf_mtod(buffer, const uint8_t*)[at]);
            line += digits.data();
        }
    }
    std::puts(line.c_str());
    std::fflush(stdout);
    rte_pktmbuf_free(packet);
}

}  // namespace

int main(int count, char** words) {
    if (count != 2)
        give_up("usage: virtual_peer DEVICE");
    rte_mempool* pool = start(words[1]);
    std::puts("ready");
    std::fflush(stdout);
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    std::string waiting;
    std::array<char, 65536> input{};
    while (true) {
        const ssize_t got = read(STDIN_FILENO, input.data(), input.size());
        if (got == 0)
            break;
        if (got > 0)
            waiting.append(input.data(), static_cast<size_t>(got));
        for (size_t end; (end = waiting.find('\n')) != std::string::npos; waiting.erase(0, end + 1))
            send(pool, waiting.substr(0, end));
        std::array<rte_mbuf*, 32> packets;
        const uint16_t received = rte_eth_rx_burst(0, 0, packets.data(), packets.size());
        for (uint16_t i = 0; i < received; ++i)
            tell(packets[i]);
        // The device has nothing to wait for; what is asked for has.
        if (got < 0 && received == 0) {
            pollfd input_ready{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
            poll(&input_ready, 1, 1);
        }
    }
    rte_eth_dev_stop(0);
    rte_eth_dev_close(0);
    return 0;
}
