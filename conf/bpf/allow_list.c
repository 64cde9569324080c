/* To ports of administration only hosts of the set `admins` come; all else passes.
 *     sets: {admins: {type: net, elements: [192.0.2.0/28]}, guarded: {type: port, elements: [22, 8443]}}
 *     early: [{name: guard, in: wan, program: allow_list.o}]
 */
#include "sluice_bpf.h"

SLUICE_SET(admins, "admins");
SLUICE_SET(guarded, "guarded");

SLUICE_PROGRAM int allow_list(struct sluice_packet *packet) {
    if (packet->protocol != 6 || packet->l4 == 0 || packet->fragment)
        return XDP_PASS;
    if (!sluice_set_contains_port(packet, &guarded, sluice_load(packet, packet->l4 + 2, 2)))
        return XDP_PASS;
    return sluice_set_contains_source(packet, &admins) ? XDP_PASS : XDP_DROP;
}
