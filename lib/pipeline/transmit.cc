#include "pipeline/transmit.hh"

#include "pipeline/drops.hh"
#include "pipeline/large.hh"

namespace sluice::pipeline {
namespace {

void count(Worker& worker, InterfaceId id, uint64_t packets, uint64_t bytes) {
    auto& counters = worker.counters.interface(id);
    counters.tx_packets.add(packets);
    counters.tx_bytes.add(bytes);
}

void send(Worker& worker, const Interfaces& interfaces, PortId port, const dpdk::Device& device) {
    const auto packets = worker.egress[index(port)].packets();
    // Some drivers take at most a batch of their own at once.
    size_t sent = 0;
    while (sent < packets.size()) {
        const auto left = static_cast<uint16_t>(packets.size() - sent);
        const uint16_t taken = device.transmit(index(worker.id), packets.data() + sent, left);
        if (taken == 0)
            break;
        sent += taken;
    }
    settle(worker, interfaces, port, sent);
}

// Puts the segments of large frames in their places, where the device does not make them itself.
void send_with_large(Worker& worker, const Interfaces& interfaces, PortId port, const dpdk::Device& device) {
    Egress& egress = worker.egress[index(port)];
    Egress waiting = egress;
    egress.clear();
    const auto queue = [&](dpdk::Packet* packet, InterfaceId out, uint16_t bytes) {
        if (egress.full())
            send(worker, interfaces, port, device);
        if (!egress.push(packet, bytes, out))
            drop_egress(worker, out, packet);
    };
    for (size_t i = 0; i < waiting.packets().size(); ++i) {
        dpdk::Packet* packet = waiting.packets()[i];
        const InterfaceId out = waiting.out(i);
        if (!dpdk::is_large(packet)) {
            queue(packet, out, waiting.length(i));
            continue;
        }
        const uint16_t ip = interfaces[out].link_header();
        const auto parts = LargeFrame::of(packet, ip);
        if (dpdk::total_length(packet) <= UINT16_MAX && parts.segments() > 1 &&
            device.takes_large(index(worker.id), packet,
                               {.link = parts.ip,
                                .ip = static_cast<uint16_t>(parts.tcp - parts.ip),
                                .tcp = static_cast<uint16_t>(parts.headers - parts.tcp)})) {
            queue(packet, out, static_cast<uint16_t>(dpdk::total_length(packet)));
            continue;
        }
        LargeFrameCutter cutter(worker, dpdk::PacketOwner(packet), ip, out);
        while (dpdk::Packet* segment = cutter.next())
            queue(segment, out, dpdk::length(segment));
    }
    send(worker, interfaces, port, device);
}

}  // namespace

void settle(Worker& worker, const Interfaces& interfaces, PortId port, size_t sent) {
    Egress& egress = worker.egress[index(port)];
    const auto packets = egress.packets();
    const InterfaceId device = interfaces.of_port(port);
    uint64_t bytes = egress.bytes();
    for (size_t i = sent; i < packets.size(); ++i)
        bytes -= egress.length(i);
    if (egress.is_mixed()) {
        for (size_t i = 0; i < sent; ++i) {
            if (egress.out(i) != device)
                count(worker, egress.out(i), 1, egress.length(i));
        }
    } else if (egress.out(0) != device) {
        count(worker, egress.out(0), sent, bytes);
    }
    count(worker, device, sent, bytes);
    worker.counters.sent.add(sent);
    for (size_t i = sent; i < packets.size(); ++i)
        finish(worker, packets[i], egress.out(i), Verdict::drop(drops::egress_full));
    egress.clear();
}

void flush(Worker& worker, const Interfaces& interfaces, std::span<const dpdk::Device> devices) {
    worker.frames_wait = false;
    for (size_t port = 0; port < devices.size(); ++port) {
        Egress& egress = worker.egress[port];
        if (egress.empty())
            continue;
        if (worker.more_comes && egress.waits_for(devices[port].transmit_batch())) {
            worker.frames_wait = true;
            continue;
        }
        if (egress.has_large()) [[unlikely]]
            send_with_large(worker, interfaces, static_cast<PortId>(port), devices[port]);
        else
            send(worker, interfaces, static_cast<PortId>(port), devices[port]);
    }
}

}  // namespace sluice::pipeline
