#include "pipeline/transmit.hh"

#include "pipeline/drops.hh"

namespace sluice::pipeline {
namespace {

void count(Worker& worker, InterfaceId id, uint64_t packets, uint64_t bytes) {
    auto& counters = worker.counters.interface(id);
    counters.tx_packets.add(packets);
    counters.tx_bytes.add(bytes);
}

}  // namespace

void settle(Worker& worker, const Interfaces& interfaces, PortId port, size_t sent) {
    Egress& egress = worker.egress[index(port)];
    const auto packets = egress.packets();
    const InterfaceId device = interfaces.of_port(port);
    uint64_t bytes = egress.bytes();
    for (size_t i = sent; i < packets.size(); ++i)
        bytes -= egress.length(i);
    if (interfaces.has_vlans(port)) {
        for (size_t i = 0; i < sent; ++i) {
            if (egress.out(i) != device)
                count(worker, egress.out(i), 1, egress.length(i));
        }
    }
    count(worker, device, sent, bytes);
    worker.counters.sent.add(sent);
    for (size_t i = sent; i < packets.size(); ++i)
        finish(worker, packets[i], egress.out(i), Verdict::drop(drops::egress_full));
    egress.clear();
}

void flush(Worker& worker, const Interfaces& interfaces, std::span<const dpdk::Device> devices) {
    for (size_t port = 0; port < devices.size(); ++port) {
        Egress& egress = worker.egress[port];
        if (egress.empty())
            continue;
        const auto packets = egress.packets();
        // Some drivers take at most a batch of their own at once.
        size_t sent = 0;
        while (sent < packets.size()) {
            const auto left = static_cast<uint16_t>(packets.size() - sent);
            const uint16_t taken = devices[port].transmit(index(worker.id), packets.data() + sent, left);
            if (taken == 0)
                break;
            sent += taken;
        }
        settle(worker, interfaces, static_cast<PortId>(port), sent);
    }
}

}  // namespace sluice::pipeline
