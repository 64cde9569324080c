/* Answers IPv4 pings before anything else sees them, by turning the request around in its own frame.
 *     early: [{name: pong, in: lan, family: ip4, proto: icmp, program: echo_reply.o}]
 */
#include "sluice_bpf.h"

#define ETHERNET 14

static __attribute__((always_inline)) void swap(sluice_u8 *left, sluice_u8 *right) {
    sluice_u8 kept = *left;
    *left = *right;
    *right = kept;
}

SLUICE_PROGRAM int echo_reply(struct sluice_packet *packet) {
    sluice_u8 *ip = packet->frame + ETHERNET;
    sluice_u8 *icmp = ip + 20;
    /* Untagged, without options, no fragment, an echo request. */
    if (packet->l3 != ETHERNET || ip[0] != 0x45 || (sluice_read16(ip + 6) & 0x3fff) != 0)
        return XDP_PASS;
    if (ip[9] != 1 || packet->length < ETHERNET + 20 + 8 || icmp[0] != 8)
        return XDP_PASS;
#pragma unroll
    for (int i = 0; i < 6; ++i)
        swap(packet->frame + i, packet->frame + 6 + i);
#pragma unroll
    for (int i = 0; i < 4; ++i)
        swap(ip + 12 + i, ip + 16 + i); /* the header's checksum stays right */
    icmp[0] = 0;
    /* The type fell from 8 to 0, so that the checksum rises by 0x0800 (RFC 1624). */
    sluice_u32 sum = sluice_read16(icmp + 2) + 0x0800u;
    sum = (sum & 0xffff) + (sum >> 16);
    icmp[2] = (sluice_u8)(sum >> 8);
    icmp[3] = (sluice_u8)sum;
    return XDP_TX;
}
