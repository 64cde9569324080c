/* Lets each source have so many pings and DNS queries a second, one bucket for both, and drops the rest.
 *     early: [{name: limited, in: wan, program: source_limit.o}]
 */
#include "sluice_bpf.h"

SLUICE_LIMIT(asked, "asked", "20/second", 10);
SLUICE_COUNTER(beyond, "beyond");

static __attribute__((always_inline)) int is_limited(struct sluice_packet *packet) {
    if (packet->l4 == 0 || packet->fragment)
        return 0;
    if (packet->protocol == 1)
        return sluice_load(packet, packet->l4, 1) == 8;
    if (packet->protocol == 58)
        return sluice_load(packet, packet->l4, 1) == 128;
    return packet->protocol == 17 && sluice_load(packet, packet->l4 + 2, 2) == 53;
}

SLUICE_PROGRAM int source_limit(struct sluice_packet *packet) {
    if (!is_limited(packet) || sluice_limit_source(packet, &asked))
        return XDP_PASS;
    sluice_count(packet, &beyond);
    return XDP_DROP;
}
