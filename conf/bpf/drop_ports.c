/* Drops what reflectors send: UDP from ports of services that answer with more than they were asked.
 *     early: [{name: reflected, in: wan, program: drop_ports.o}]
 */
#include "sluice_bpf.h"

SLUICE_COUNTER(reflected, "reflected");

SLUICE_PROGRAM int drop_ports(struct sluice_packet *packet) {
    if (packet->protocol != 17 || packet->l4 == 0 || packet->fragment)
        return XDP_PASS;
    sluice_u64 port = sluice_load(packet, packet->l4, 2);
    switch (port) {
        case 19:    /* chargen */
        case 389:   /* connectionless LDAP */
        case 1900:  /* SSDP */
        case 11211: /* memcached */
            sluice_count(packet, &reflected);
            return XDP_DROP;
        default:
            return XDP_PASS;
    }
}
