// The stage that brings packets to the workers that own them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/random.hh"
#include "pipeline/burst.hh"
#include "pipeline/hand_over.hh"
#include "pipeline/worker.hh"
#include "steering/datagram_owners.hh"
#include "steering/flow_directory.hh"
#include "steering/plan.hh"

namespace sluice::steering {

// One worker's.
class Steerer {
  public:
    Steerer(pipeline::HandOver& hand_over, const FlowDirectory& directory, Random& random);

    // A parsed burst from a device: what others own is handed to them and leaves the burst, as does what
    // ended before.
    void steer(pipeline::Worker& worker, const Plan& plan, pipeline::Burst& burst);
    // A burst that was handed over, with its meta: fragments whose owner was to be found out go on.
    void take(pipeline::Worker& worker, const Plan& plan, pipeline::Burst& burst);
    // Between bursts: fragments that waited in vain are dropped.
    void expire(pipeline::Worker& worker);

  private:
    struct Waiting {
        dpdk::Packet* packet = nullptr;
        pipeline::PacketMeta meta{};
    };
    [[nodiscard]] std::optional<WorkerId> find(const Plan& plan, const conntrack::Tuple& tuple,
                                               FlowDirectory::Hash hash) const;
    [[nodiscard]] WorkerId owner_of(const Plan& plan, const wire::IpPacket& packet) const;
    // Of the packets that have a bit in `which`.
    void find_owners(pipeline::Worker& worker, const Plan& plan, pipeline::Burst& burst, uint64_t which,
                     std::span<WorkerId> owners);
    void steer_fragment(pipeline::Worker& worker, const Plan& plan, dpdk::Packet* packet,
                        pipeline::PacketMeta& meta, const wire::IpPacket& fragment);
    void give(pipeline::Worker& worker, dpdk::Packet* packet, pipeline::PacketMeta& meta, WorkerId to);
    static void drop(pipeline::Worker& worker, const Waiting& waiting);
    void collect(pipeline::Worker& worker, const Plan& plan, dpdk::Packet* packet,
                 pipeline::PacketMeta& meta);

    pipeline::HandOver& hand_over_;
    const FlowDirectory& directory_;
    DatagramOwners<Waiting> datagrams_;
};

}  // namespace sluice::steering
