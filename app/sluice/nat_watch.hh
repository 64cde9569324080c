// Looks at the workers' NAT now and then: for the metrics, and to say in the log that an address runs out of
// ports before it has none left. Control thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "base/address.hh"
#include "nat/nat_use.hh"
#include "nat/nat_walk.hh"
#include "telemetry/log.hh"
#include "wire/protocol.hh"

namespace sluice {

class NatWatch {
  public:
    static constexpr double kNearlyAll = 0.8;   // of an address's ports: worth a warning
    static constexpr double kAmpleAgain = 0.7;  // below: the next time is worth one again

    // `translates`: whether there is any NAT to look at.
    NatWatch(nat::NatAccess access, std::function<bool()> translates, telemetry::Log& log)
        : access_(std::move(access)), translates_(std::move(translates)), log_(log) {}
    NatWatch(const NatWatch&) = delete;
    NatWatch& operator=(const NatWatch&) = delete;

    // To be called several times a second. Asks the workers, or takes what they have answered since.
    void look();
    // As of the last answer of all workers; empty where nothing was ever translated.
    [[nodiscard]] const nat::NatUse& use() const { return use_; }

  private:
    void warn();

    // What was said about the ports of an address.
    struct Said {
        bool nearly_all = false;
        uint64_t refused = 0;
    };

    nat::NatAccess access_;
    std::function<bool()> translates_;
    telemetry::Log& log_;
    nat::NatUse use_;
    std::optional<nat::UseWalk> walk_;
    std::map<std::pair<IpAddress, wire::IpProtocol>, Said> said_;
};

}  // namespace sluice
