// The resolver at work: takes packets from the workers, performs what the resolver wants, gives packets back.
// Runs on the control thread, and in replay on the only one.
#pragma once

#include <bitset>
#include <functional>
#include <span>
#include <vector>

#include "base/random.hh"
#include "dpdk/packet.hh"
#include "dpdk/packet_pool.hh"
#include "pipeline/interfaces.hh"
#include "pipeline/worker.hh"
#include "routing/config.hh"
#include "routing/neighbour_resolver.hh"
#include "telemetry/packet_counters.hh"

namespace sluice::routing {

class NeighbourService {
  public:
    // Gives a packet with its note to its worker; false if that cannot take it, and the packet stays the
    // caller's.
    using Send = std::function<bool(dpdk::Packet*)>;
    // Told of an address conflict, for the log.
    using Conflict = std::function<void(const AddressConflict&)>;

    NeighbourService(GracePeriod& grace, NeighbourMode mode, const dpdk::PacketPool& pool,
                     telemetry::PacketCounters& counters, uint64_t seed, Send send, Conflict conflict);

    // What a new configuration says; call before its FIB is built. What it asks for is done by perform(),
    // which is for when the workers may know the new interfaces.
    void configure(const pipeline::Interfaces& interfaces, std::span<const StaticNeighbour> neighbours,
                   Instant now);

    // A packet from a worker: an ARP or ND frame, or one that wants its next hop resolved. Takes it.
    void handle(dpdk::Packet* packet, Instant now);
    void set_link(InterfaceId interface, bool up, Instant now);
    void tick(Instant now);

    // Is told of packets that end here.
    void set_watch(pipeline::Watch* watch) { watch_ = watch; }

    [[nodiscard]] const NeighbourTable& table() const { return table_; }
    [[nodiscard]] NeighbourResolver& resolver() { return resolver_; }
    [[nodiscard]] const NeighbourResolver& resolver() const { return resolver_; }
    // Performs what the resolver has come to want. All calls but configure() do so themselves.
    void perform();

  private:
    void input(dpdk::Packet* packet, Instant now);
    void drop(dpdk::Packet* packet, InterfaceId interface, telemetry::DropReason reason);
    void send_frame(const NeighbourFrame& frame);
    void release(ReleasedPacket released);
    void give_up(DroppedPacket dropped);

    const dpdk::PacketPool& pool_;
    telemetry::PacketCounters& counters_;
    Send send_;
    Conflict conflict_;
    Random random_;
    NeighbourTable table_;
    NeighbourResolver resolver_;
    GracePeriod& grace_;
    pipeline::Watch* watch_ = nullptr;
    std::vector<std::pair<MacAddress, uint16_t>> links_;  // by interface: its MAC and VLAN
    std::bitset<kMaxInterfaces> down_;                    // by interface: told so by set_link()
};

}  // namespace sluice::routing
