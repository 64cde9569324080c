#include "telemetry/packet_counters.hh"

namespace sluice::telemetry {

PacketTotals& PacketTotals::operator+=(const PacketTotals& other) {
    received += other.received;
    originated += other.originated;
    sent += other.sent;
    dropped += other.dropped;
    consumed += other.consumed;
    held += other.held;
    return *this;
}

PacketTotals PacketCounters::totals() const {
    return {.received = received.read(),
            .originated = originated.read(),
            .sent = sent.read(),
            .dropped = dropped.read(),
            .consumed = consumed.read(),
            .held = held_in.read() - held_out.read()};
}

}  // namespace sluice::telemetry
