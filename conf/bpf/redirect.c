/* Hands TCP to the set `scrubbed` over to a machine that cleans it, behind the interface `scrubber`: the frame
 * goes there as it is, to that machine's MAC address.
 *     sets: {scrubbed: {type: ip, elements: [192.0.2.80]}}
 *     early: [{name: scrub, in: wan, program: redirect.o}]
 */
#include "sluice_bpf.h"

SLUICE_SET(scrubbed, "scrubbed");
SLUICE_INTERFACE(scrubber, "scrubber");

SLUICE_PROGRAM int redirect(struct sluice_packet *packet) {
    if (packet->protocol != 6 || !sluice_set_contains_destination(packet, &scrubbed))
        return XDP_PASS;
    static const sluice_u64 machine = 0x020000005c0bull; /* 02:00:00:00:5c:0b */
#pragma unroll
    for (int i = 0; i < 6; ++i)
        packet->frame[i] = (sluice_u8)(machine >> (40 - 8 * i));
    return (int)sluice_redirect(packet, &scrubber);
}
