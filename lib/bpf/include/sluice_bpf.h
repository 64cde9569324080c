/* SPDX-License-Identifier: BSD-3-Clause
 * What a program in the section `early` of Sluice's configuration sees and may call. Compile with
 *     clang -O2 -target bpf -mcpu=v2 -c edge.c -o edge.o
 * docs/bpf.md explains it; conf/bpf has examples.
 */
#ifndef SLUICE_BPF_H
#define SLUICE_BPF_H

/* Without a C library for the target: the compiler's own names. */
typedef __UINT8_TYPE__ sluice_u8;
typedef __UINT16_TYPE__ sluice_u16;
typedef __UINT32_TYPE__ sluice_u32;
typedef __UINT64_TYPE__ sluice_u64;

/* What becomes of the packet; the numbers are XDP's. Any other is XDP_ABORTED. */
enum sluice_verdict {
    XDP_ABORTED = 0,  /* dropped, counted as the program's mistake */
    XDP_DROP = 1,     /* dropped */
    XDP_PASS = 2,     /* on to the next early rule */
    XDP_TX = 3,       /* sent back by the interface it came in by */
    XDP_REDIRECT = 4, /* sent by the interface that sluice_redirect() named */
};

#define SLUICE_FRAME_BYTES 256

struct sluice_packet {
    sluice_u64 now;      /* nanoseconds of a clock that never goes back */
    sluice_u32 length;   /* of the frame, Ethernet header included, checksum and padding not */
    sluice_u16 l3;       /* where the IP header begins in the frame: 14, or 18 behind a VLAN tag */
    sluice_u16 l4;       /* where the transport header begins; 0: there is none in this packet */
    sluice_u8 family;    /* 4 or 6 */
    sluice_u8 protocol;  /* of the transport, behind IPv6 extension headers; 0 if not known */
    sluice_u8 fragment;  /* 1: any fragment but the first */
    sluice_u8 reserved[5];
    sluice_u8 frame[SLUICE_FRAME_BYTES]; /* its first bytes, zero behind its end; may be written */
};

/* The section a program is in if its rule does not name one. */
#define SLUICE_PROGRAM __attribute__((section("xdp"), used))

/* Things outside the program. The names in quotes are those of the configuration.
 *     SLUICE_SET(blocklist, "blocklist");            a set of `sets`
 *     SLUICE_INTERFACE(wan, "wan");                  an interface
 *     SLUICE_COUNTER(seen, "seen");                  counted for the rule, shown by sluicectl rules
 *     SLUICE_LIMIT(flood, "flood", "100/second", 20) a token bucket for each key: rate and burst
 * They are only handed to the functions below, by their address: sluice_count(packet, &seen).
 */
struct sluice_set;
struct sluice_interface;
struct sluice_counter;
struct sluice_limit;
#define SLUICE_SET(symbol, name) extern const struct sluice_set symbol __asm__("sluice_set:" name)
#define SLUICE_INTERFACE(symbol, name) \
    extern const struct sluice_interface symbol __asm__("sluice_interface:" name)
#define SLUICE_COUNTER(symbol, name) \
    extern const struct sluice_counter symbol __asm__("sluice_counter:" name)
#define SLUICE_LIMIT(symbol, name, rate, burst) \
    extern const struct sluice_limit symbol __asm__("sluice_limit:" name ":" rate ":" #burst)

/* The first argument of every function is the program's own. Truth is 1, else 0. */

/* Whether the packet's source, or destination, is in a set of type ip or net. */
sluice_u64 sluice_set_contains_source(struct sluice_packet *packet, const struct sluice_set *set);
sluice_u64 sluice_set_contains_destination(struct sluice_packet *packet, const struct sluice_set *set);
/* Whether an IPv4 address is, as a number: 192.0.2.1 is 0xc0000201. */
sluice_u64 sluice_set_contains_ip4(struct sluice_packet *packet, const struct sluice_set *set,
                                   sluice_u64 address);
/* Whether an IPv6 address is, as two numbers of 64 bits. */
sluice_u64 sluice_set_contains_ip6(struct sluice_packet *packet, const struct sluice_set *set,
                                   sluice_u64 high, sluice_u64 low);
/* Whether a port is in a set of type port. */
sluice_u64 sluice_set_contains_port(struct sluice_packet *packet, const struct sluice_set *set,
                                    sluice_u64 port);

/* Counts the packet. */
sluice_u64 sluice_count(struct sluice_packet *packet, const struct sluice_counter *counter);

/* Whether the packet is within the rate, of which it then has taken its share: a bucket for each source
 * address, or for each key. Without room for another key the answer is 1. */
sluice_u64 sluice_limit_source(struct sluice_packet *packet, const struct sluice_limit *limit);
sluice_u64 sluice_limit_key(struct sluice_packet *packet, const struct sluice_limit *limit, sluice_u64 key);

/* The 1, 2, 4 or 8 bytes at an offset in the frame, however long it is, as a number in network order;
 * 0 if they are not all within the frame: compare with packet->length first. */
sluice_u64 sluice_load(struct sluice_packet *packet, sluice_u64 offset, sluice_u64 size);
/* Writes them; 0 if they are not all within the frame, which is then as it was. */
sluice_u64 sluice_store(struct sluice_packet *packet, sluice_u64 offset, sluice_u64 size, sluice_u64 value);

/* Names the interface for XDP_REDIRECT, which it returns: return sluice_redirect(packet, &wan). */
sluice_u64 sluice_redirect(struct sluice_packet *packet, const struct sluice_interface *interface);

/* Numbers in network order, at a constant place of the frame or one with known bounds. */
static inline __attribute__((always_inline)) sluice_u16 sluice_read16(const sluice_u8 *at) {
    return (sluice_u16)(at[0] << 8 | at[1]);
}
static inline __attribute__((always_inline)) sluice_u32 sluice_read32(const sluice_u8 *at) {
    return (sluice_u32)at[0] << 24 | (sluice_u32)at[1] << 16 | (sluice_u32)at[2] << 8 | at[3];
}

#endif
