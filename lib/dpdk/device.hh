// A network device: a PCI address or a DPDK vdev, its queues, its link, its counters. Configured and asked by
// the control thread; receive() and transmit() belong to one worker a queue.
#pragma once

#include <rte_ethdev.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/address.hh"
#include "base/error.hh"
#include "dpdk/config.hh"
#include "dpdk/packet.hh"
#include "dpdk/packet_pool.hh"
#include "dpdk/profile.hh"

namespace sluice::dpdk {

struct DeviceRequest {
    std::string name;    // the interface's, for messages
    std::string device;  // "net_tap0,iface=lan0" or "0000:03:00.0"
    std::optional<std::string> profile;
    std::optional<MacAddress> mac;
    uint16_t mtu = 1500;
    size_t workers = 1;
    Steering steering = Steering::automatic;
};

// Bytes of the headers of a TCP packet, link header first.
struct HeaderLengths {
    uint16_t link;
    uint16_t ip;
    uint16_t tcp;
};

struct NicCounter {
    std::string name;
    uint64_t value;
};

struct Link {
    bool up = false;
    uint32_t speed_mbps = 0;  // 0 where the device does not know
};

class alignas(64) Device {
  public:
    // Probes, configures and starts the device. What the profile asks and the device cannot is in refused().
    static Expected<Device> open(const DeviceRequest& request, const PacketPool& pool);
    Device(Device&& other) noexcept;
    Device& operator=(Device&&) = delete;
    Device(const Device&) = delete;
    ~Device();  // stops and removes the device

    // A worker's side. Queue numbers are below queues(), and of a queue one worker receives.
    uint16_t receive(uint16_t queue, Packet** packets, uint16_t most) const {
        return rte_eth_rx_burst(port_, queue, packets, most);
    }
    // How many the device took; those are no longer the caller's. Workers share queues where there are fewer,
    // and then one waits for the other.
    uint16_t transmit(size_t worker, Packet** packets, uint16_t count) const {
        if (shared_queues_ == nullptr) [[likely]]
            return rte_eth_tx_burst(port_, static_cast<uint16_t>(worker), packets, count);
        return transmit_shared(static_cast<uint16_t>(worker % queues_), packets, count);
    }

    // So many frames are worth to be waited for while more come.
    [[nodiscard]] uint16_t transmit_batch() const { return transmit_batch_; }

    // Asks the device to cut a large frame into segments by itself. False: it cannot, and nothing was changed
    // but possibly the TCP checksum. To be transmitted by the same worker then.
    bool takes_large(size_t worker, Packet* packet, const HeaderLengths& headers) const;
    // Whether it may give large frames, and packets that lack their transport checksum.
    [[nodiscard]] bool large_receive() const { return large_receive_; }

    [[nodiscard]] uint16_t queues() const { return queues_; }
    // Whether it spreads packets over queues by the symmetric hash, so that both directions of a flow come by
    // one.
    [[nodiscard]] bool brings_flows_home() const { return brings_flows_home_; }
    [[nodiscard]] const std::string& driver() const { return driver_; }
    [[nodiscard]] const std::string& profile_used() const { return profile_name_; }
    [[nodiscard]] const DeviceProfile& profile() const { return profile_; }
    [[nodiscard]] MacAddress mac() const { return mac_; }
    [[nodiscard]] const std::vector<std::string>& offloads() const { return offloads_; }
    [[nodiscard]] const std::vector<std::string>& refused() const { return refused_; }
    // How the worker of a queue sleeps: as the profile asks, or as far as the device can.
    [[nodiscard]] Sleep sleep(uint16_t queue) const;
    // For Sleep::descriptor: those that the driver opened, readable while packets of the queue wait.
    [[nodiscard]] const std::vector<int>& descriptors(uint16_t queue) const { return descriptors_[queue]; }
    // For Sleep::interrupt. An epoll descriptor of the worker's own gets the queue's interrupts under this
    // number, also where the driver's descriptor becomes another one, or does so no more.
    void tell_interrupts(uint16_t queue, int epoll, size_t number, bool on) const;
    // Those that have come, as far as there is room. Some drivers want them accepted.
    static std::span<const size_t> take_interrupts(int epoll, std::span<size_t> numbers);
    // False if the interrupt is always on. What came before it was switched on need not cause one.
    bool switch_interrupt(uint16_t queue, bool on) const;
    [[nodiscard]] int interrupt_descriptor(uint16_t queue) const;  // at present; below 0: there is none

    // Control thread. For devices on a kernel interface the carrier is asked from the kernel, since their
    // drivers always say up.
    [[nodiscard]] Link link() const;
    [[nodiscard]] std::vector<NicCounter> nic_counters() const;

  private:
    Device() = default;
    uint16_t transmit_shared(uint16_t queue, Packet** packets, uint16_t count) const;
    Expected<void> configure(const DeviceRequest& request, const PacketPool& pool);
    Expected<void> start(const std::string& where, const rte_eth_conf& conf, const PacketPool& pool);
    void find_descriptors(const std::set<int>& before, const std::vector<int>& plugged_in);
    void negotiate(const rte_eth_dev_info& info, rte_eth_conf& conf);
    Expected<void> set_addresses(const DeviceRequest& request, const rte_eth_dev_info& info);

    // What every burst asks for comes first.
    uint16_t port_ = RTE_MAX_ETHPORTS;
    uint16_t queues_ = 1;
    uint16_t transmit_batch_ = 1;
    bool large_receive_ = false;
    std::unique_ptr<std::mutex[]> shared_queues_;  // by transmit queue; null: each worker has its own
    std::string driver_;
    std::string profile_name_;
    std::string kernel_interface_;  // empty where there is none in this network namespace
    DeviceProfile profile_;
    MacAddress mac_;
    std::vector<std::string> offloads_;
    std::vector<std::string> refused_;
    std::vector<std::vector<int>> descriptors_;  // by queue
    bool has_interrupts_ = false;
    bool large_send_ = false;
    bool ip4_checksum_ = false;  // in what it sends
    bool brings_flows_home_ = false;
};

// The address when the device string is a PCI address, which EAL must be told at start.
std::optional<std::string> pci_address(const std::string& device);

}  // namespace sluice::dpdk
