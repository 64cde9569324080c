// Device profiles: what depends on the kind of device. A profile asks, the device's capabilities decide.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.hh"
#include "base/time.hh"
#include "config/compound.hh"
#include "config/enum_names.hh"
#include "config/mapping.hh"

namespace sluice::dpdk {

// How a worker sleeps when the device has nothing: on an rx interrupt, on the file descriptors that the
// driver opened, or by short naps.
enum class Sleep : uint8_t { interrupt, descriptor, nap };
enum class RssKey : uint8_t { symmetric, default_ };

enum class AllQueues : uint8_t { max };  // as many as there are workers
using QueueCount = std::variant<AllQueues, uint16_t>;

struct RssProfile {
    RssKey key = RssKey::symmetric;
    std::vector<std::string> hash;  // ipv4, ipv4-tcp, ipv4-udp, ipv6, ipv6-tcp, ipv6-udp
    bool operator==(const RssProfile&) const = default;
};

struct OffloadProfile {
    std::vector<std::string> rx;  // DPDK's RTE_ETH_RX_OFFLOAD_ names in lower case
    std::vector<std::string> tx;
    bool operator==(const OffloadProfile&) const = default;
};

struct PollProfile {
    Sleep sleep = Sleep::nap;
    uint32_t idle_rounds = 50;                      // empty rounds before the first sleep
    Duration nap = std::chrono::microseconds(100);  // first sleeps without a wake-up source
    bool operator==(const PollProfile&) const = default;
};

struct DeviceProfile {
    std::string description;
    std::vector<std::string> driver;  // DPDK driver names it is for
    uint16_t rx_descriptors = 1024;
    uint16_t tx_descriptors = 1024;
    uint16_t tx_batch = 1;               // frames that wait for each other while queues give full bursts
    QueueCount queues = AllQueues::max;  // at most
    RssProfile rss;
    OffloadProfile offloads;
    Duration link_wait = {};
    PollProfile poll;
    bool promiscuous = true;
    std::string notes;
    bool operator==(const DeviceProfile&) const = default;
};

// The profile of that name from the folder $SLUICE_DRIVERS_CONFIG, or drivers-config/ of the installation.
// Start-up only.
Expected<DeviceProfile> load_profile(std::string_view name);

// The name of the profile that lists this DPDK driver.
Expected<std::string> profile_name(std::string_view driver_name);

}  // namespace sluice::dpdk

namespace sluice {

template <>
struct config::EnumNames<dpdk::Sleep> {
    static constexpr auto names =
        std::to_array<EnumName<dpdk::Sleep>>({{dpdk::Sleep::interrupt, "interrupt"},
                                              {dpdk::Sleep::descriptor, "descriptor"},
                                              {dpdk::Sleep::nap, "nap"}});
};
template <>
struct config::EnumNames<dpdk::RssKey> {
    static constexpr auto names = std::to_array<EnumName<dpdk::RssKey>>(
        {{dpdk::RssKey::symmetric, "symmetric"}, {dpdk::RssKey::default_, "default"}});
};
template <>
struct config::EnumNames<dpdk::AllQueues> {
    static constexpr auto names = std::to_array<EnumName<dpdk::AllQueues>>({{dpdk::AllQueues::max, "max"}});
};
template <>
struct config::Schema<dpdk::RssProfile> {
    static const Mapping<dpdk::RssProfile>& get();
};
template <>
struct config::Schema<dpdk::OffloadProfile> {
    static const Mapping<dpdk::OffloadProfile>& get();
};
template <>
struct config::Schema<dpdk::PollProfile> {
    static const Mapping<dpdk::PollProfile>& get();
};
template <>
struct config::Schema<dpdk::DeviceProfile> {
    static const Mapping<dpdk::DeviceProfile>& get();
};

}  // namespace sluice
