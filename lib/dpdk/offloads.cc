#include "dpdk/offloads.hh"

#include <rte_ethdev.h>

#include <algorithm>
#include <span>
#include <string_view>

namespace sluice::dpdk {
namespace {

struct Named {
    std::string_view name;
    uint64_t bit;
};

constexpr Named kRx[] = {
    {"vlan_strip", RTE_ETH_RX_OFFLOAD_VLAN_STRIP}, {"ipv4_cksum", RTE_ETH_RX_OFFLOAD_IPV4_CKSUM},
    {"udp_cksum", RTE_ETH_RX_OFFLOAD_UDP_CKSUM},   {"tcp_cksum", RTE_ETH_RX_OFFLOAD_TCP_CKSUM},
    {"tcp_lro", RTE_ETH_RX_OFFLOAD_TCP_LRO},       {"scatter", RTE_ETH_RX_OFFLOAD_SCATTER},
    {"rss_hash", RTE_ETH_RX_OFFLOAD_RSS_HASH},
};

constexpr Named kTx[] = {
    {"vlan_insert", RTE_ETH_TX_OFFLOAD_VLAN_INSERT},
    {"ipv4_cksum", RTE_ETH_TX_OFFLOAD_IPV4_CKSUM},
    {"udp_cksum", RTE_ETH_TX_OFFLOAD_UDP_CKSUM},
    {"tcp_cksum", RTE_ETH_TX_OFFLOAD_TCP_CKSUM},
    {"tcp_tso", RTE_ETH_TX_OFFLOAD_TCP_TSO},
    {"multi_segs", RTE_ETH_TX_OFFLOAD_MULTI_SEGS},
    {"mbuf_fast_free", RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE},
};

constexpr Named kRss[] = {
    {"ipv4", RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER},
    {"ipv4-tcp", RTE_ETH_RSS_NONFRAG_IPV4_TCP},
    {"ipv4-udp", RTE_ETH_RSS_NONFRAG_IPV4_UDP},
    {"ipv6", RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_OTHER},
    {"ipv6-tcp", RTE_ETH_RSS_NONFRAG_IPV6_TCP},
    {"ipv6-udp", RTE_ETH_RSS_NONFRAG_IPV6_UDP},
};

OffloadChoice choose(const std::vector<std::string>& asked, std::span<const Named> known,
                     uint64_t capabilities) {
    OffloadChoice choice;
    for (const auto& name : asked) {
        const auto found = std::ranges::find(known, std::string_view(name), &Named::name);
        const uint64_t bits = found == known.end() ? 0 : found->bit & capabilities;
        choice.bits |= bits;
        (bits != 0 ? choice.used : choice.refused).push_back(name);
    }
    return choice;
}

}  // namespace

OffloadChoice choose_rx_offloads(const std::vector<std::string>& asked, uint64_t capabilities) {
    return choose(asked, kRx, capabilities);
}

OffloadChoice choose_tx_offloads(const std::vector<std::string>& asked, uint64_t capabilities) {
    return choose(asked, kTx, capabilities);
}

OffloadChoice choose_rss(const std::vector<std::string>& asked, uint64_t capabilities) {
    return choose(asked, kRss, capabilities);
}

}  // namespace sluice::dpdk
