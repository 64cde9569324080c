#include "pipeline/worker.hh"

#include "pipeline/drops.hh"

namespace sluice::pipeline {

void finish(Worker& worker, dpdk::Packet* packet, InterfaceId in, Verdict verdict) {
    switch (verdict.kind()) {
        case Verdict::Kind::drop:
            worker.watch.tell(packet, verdict);
            worker.counters.drop(in, verdict.reason(), dpdk::total_length(packet));
            rte_pktmbuf_free(packet);
            return;
        case Verdict::Kind::consumed:
            worker.watch.tell(packet, verdict);
            worker.counters.consumed.add(1);
            rte_pktmbuf_free(packet);
            return;
        case Verdict::Kind::next:
        case Verdict::Kind::sent:
        case Verdict::Kind::held:
            return;
    }
}

void drop_egress(Worker& worker, InterfaceId out, dpdk::Packet* packet) {
    finish(worker, packet, out, Verdict::drop(drops::egress_full));
}

void send_to_control(Worker& worker, dpdk::Packet* packet, InterfaceId in) {
    if (!worker.to_control.push(packet)) {
        finish(worker, packet, in, Verdict::drop(drops::control_queue_full));
        return;
    }
    worker.counters.held_in.add(1);
    worker.control_has_work = true;
}

}  // namespace sluice::pipeline
