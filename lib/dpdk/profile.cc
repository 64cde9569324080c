#include "dpdk/profile.hh"

#include <cstdlib>
#include <filesystem>

#include "config/document.hh"

namespace sluice {

const config::Mapping<dpdk::RssProfile>& config::Schema<dpdk::RssProfile>::get() {
    using dpdk::RssProfile;
    static const auto mapping =
        Mapping<RssProfile>("RSS settings")
            .optional("key", &RssProfile::key, "`symmetric` brings both directions of a flow to one queue")
            .optional("hash", &RssProfile::hash, "packets to hash: ipv4, ipv4-tcp …");
    return mapping;
}

const config::Mapping<dpdk::OffloadProfile>& config::Schema<dpdk::OffloadProfile>::get() {
    using dpdk::OffloadProfile;
    static const auto mapping = Mapping<OffloadProfile>("offloads")
                                    .optional("rx", &OffloadProfile::rx, "receive offloads to ask for")
                                    .optional("tx", &OffloadProfile::tx, "transmit offloads to ask for");
    return mapping;
}

const config::Mapping<dpdk::PollProfile>& config::Schema<dpdk::PollProfile>::get() {
    using dpdk::PollProfile;
    static const auto mapping =
        Mapping<PollProfile>("poll settings")
            .optional("sleep", &PollProfile::sleep, "what ends a sleep")
            .optional("idle_rounds", &PollProfile::idle_rounds, "empty polls before the first sleep")
            .optional("nap", &PollProfile::nap, "first sleeps where nothing ends them");
    return mapping;
}

const config::Mapping<dpdk::DeviceProfile>& config::Schema<dpdk::DeviceProfile>::get() {
    using dpdk::DeviceProfile;
    static const auto mapping =
        Mapping<DeviceProfile>("a device profile")
            .required("description", &DeviceProfile::description, "the kind of device")
            .required("driver", &DeviceProfile::driver, "names of the DPDK drivers it is for")
            .optional("rx_descriptors", &DeviceProfile::rx_descriptors, "length of a receive queue")
            .optional("tx_descriptors", &DeviceProfile::tx_descriptors, "length of a transmit queue")
            .optional("tx_batch", &DeviceProfile::tx_batch, "frames that wait for each other while more come")
            .range<uint16_t, uint16_t>(1, 256)
            .optional("queues", &DeviceProfile::queues, "queue pairs to use at most, or `max`")
            .optional("rss", &DeviceProfile::rss, "how the device spreads flows")
            .optional("offloads", &DeviceProfile::offloads, "what the device may do for us")
            .optional("link_wait", &DeviceProfile::link_wait, "how long to wait for the link at start")
            .optional("poll", &DeviceProfile::poll, "how an idle worker sleeps")
            .optional("promiscuous", &DeviceProfile::promiscuous, "take frames for other MAC addresses")
            .optional("notes", &DeviceProfile::notes, "for the operator: binding, arguments, limits");
    return mapping;
}

namespace dpdk {
namespace {

std::string profile_folder() {
    const char* chosen = std::getenv("SLUICE_DRIVERS_CONFIG");
    return chosen != nullptr ? chosen : SLUICE_DRIVERS_CONFIG;
}

}  // namespace

Expected<DeviceProfile> load_profile(std::string_view name) {
    const std::string path = profile_folder() + "/" + std::string(name) + ".yaml";
    if (name.find('/') != std::string_view::npos || !std::filesystem::exists(path))
        return fail("there is no device profile '" + std::string(name) + "'",
                    "name a file of " + profile_folder() + " without its .yaml");
    auto profile = config::read_file<DeviceProfile>(path);
    if (!profile)
        return std::unexpected(profile.error().first());
    return *std::move(profile);
}

Expected<std::string> profile_name(std::string_view driver_name) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(profile_folder(), error)) {
        auto stem = entry.path().stem().string();
        if (entry.path().extension() != ".yaml")
            continue;
        const auto profile = load_profile(stem);
        if (!profile)
            return std::unexpected(profile.error());
        for (const auto& driver : profile->driver) {
            if (driver == driver_name)
                return stem;
        }
    }
    return fail("no device profile is for the driver '" + std::string(driver_name) + "'",
                "write one in " + profile_folder() + ", or set `profile` of the interface");
}

}  // namespace dpdk
}  // namespace sluice
