#include "dpdk/device.hh"

#include <net/if.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <set>
#include <utility>

#include "dpdk/fanout.hh"
#include "dpdk/offloads.hh"

namespace sluice::dpdk {
namespace {

// Any key of equal 16-bit halves gives both directions of a flow the same hash.
constexpr auto kSymmetricKey = [] {
    std::array<uint8_t, 64> key{};
    for (size_t i = 0; i < key.size(); ++i)
        key[i] = i % 2 == 0 ? 0x6d : 0x5a;
    return key;
}();

std::set<int> open_descriptors() {
    std::set<int> descriptors;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
        const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
        if (target.starts_with("socket:") || target == "/dev/net/tun")
            descriptors.insert(std::stoi(entry.path().filename().string()));
    }
    return descriptors;
}

// Those that are open now and were not before.
std::vector<int> opened_since(const std::set<int>& before) {
    std::vector<int> result;
    std::ranges::set_difference(open_descriptors(), before, std::back_inserter(result));
    return result;
}

Expected<void> plug(const DeviceRequest& request) {
    const std::string where = "interfaces." + request.name + ".device: '" + request.device + "'";
    int result = 0;
    if (const auto address = pci_address(request.device)) {
        // A device in EAL's allow list is probed at start already.
        uint16_t port = 0;
        if (rte_eth_dev_get_port_by_name(address->c_str(), &port) == 0)
            return {};
        result = rte_eal_hotplug_add("pci", address->c_str(), "");
    } else {
        const size_t comma = request.device.find(',');
        const std::string name = request.device.substr(0, comma);
        const std::string args = comma == std::string::npos ? "" : request.device.substr(comma + 1);
        result = rte_eal_hotplug_add("vdev", name.c_str(), args.c_str());
    }
    if (result == 0)
        return {};
    return fail(
        where + " cannot be opened: " + rte_strerror(-result),
        "check that the device exists, that its arguments are right, and that this process may use it");
}

std::string port_name(const std::string& device) {
    return device.substr(0, device.find(','));
}

}  // namespace

std::optional<std::string> pci_address(const std::string& device) {
    std::string address = device.substr(0, device.find(','));
    const auto is_hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
    // DDDD:BB:DD.F or BB:DD.F
    const bool full = address.size() == 12 && address[4] == ':' && address[7] == ':' && address[10] == '.';
    const bool brief = address.size() == 7 && address[2] == ':' && address[5] == '.';
    if ((full || brief) && is_hex(address.front()) && is_hex(address.back()))
        return address;
    return std::nullopt;
}

Device::Device(Device&& other) noexcept
    : port_(std::exchange(other.port_, RTE_MAX_ETHPORTS)),
      queues_(other.queues_),
      transmit_batch_(other.transmit_batch_),
      large_receive_(other.large_receive_),
      shared_queues_(std::move(other.shared_queues_)),
      driver_(std::move(other.driver_)),
      profile_name_(std::move(other.profile_name_)),
      kernel_interface_(std::move(other.kernel_interface_)),
      profile_(std::move(other.profile_)),
      mac_(other.mac_),
      offloads_(std::move(other.offloads_)),
      refused_(std::move(other.refused_)),
      descriptors_(std::move(other.descriptors_)),
      has_interrupts_(other.has_interrupts_),
      large_send_(other.large_send_),
      ip4_checksum_(other.ip4_checksum_),
      brings_flows_home_(other.brings_flows_home_) {}

Device::~Device() {
    if (port_ == RTE_MAX_ETHPORTS)
        return;
    rte_eth_dev_info info{};
    rte_device* device = rte_eth_dev_info_get(port_, &info) == 0 ? info.device : nullptr;
    rte_eth_dev_stop(port_);
    rte_eth_dev_close(port_);
    if (device != nullptr)
        rte_dev_remove(device);
}

Expected<Device> Device::open(const DeviceRequest& request, const PacketPool& pool) {
    const auto before = open_descriptors();
    const FanoutWithoutDefrag whole_fragments;
    if (auto plugged = plug(request); !plugged)
        return std::unexpected(plugged.error());
    Device device;
    if (rte_eth_dev_get_port_by_name(port_name(request.device).c_str(), &device.port_) != 0)
        return fail(
            "interfaces." + request.name + ".device: '" + request.device + "' is not a network device",
            "name a DPDK net_ driver or the PCI address of a NIC");
    const auto plugged_in = opened_since(before);
    if (auto configured = device.configure(request, pool); !configured)
        return std::unexpected(configured.error());
    device.find_descriptors(before, plugged_in);
    return device;
}

Expected<void> Device::configure(const DeviceRequest& request, const PacketPool& pool) {
    const std::string where = "interfaces." + request.name + ": ";
    rte_eth_dev_info info{};
    if (const int error = rte_eth_dev_info_get(port_, &info); error != 0)
        return fail(where + "the device does not answer: " + rte_strerror(-error));
    driver_ = info.driver_name;
    const auto named = request.profile ? Expected<std::string>(*request.profile) : profile_name(driver_);
    if (!named)
        return fail(where + named.error().message, named.error().hint);
    profile_name_ = *named;
    auto profile = load_profile(profile_name_);
    if (!profile)
        return fail(where + profile.error().message, profile.error().hint);
    profile_ = std::move(*profile);
    transmit_batch_ = profile_.tx_batch;
    char name[IF_NAMESIZE];
    // A tap's kernel side is the peer's interface, and is often moved to another namespace.
    if (info.if_index != 0 && driver_ != "net_tap" && if_indextoname(info.if_index, name) != nullptr)
        kernel_interface_ = name;

    const auto* most = std::get_if<uint16_t>(&profile_.queues);
    queues_ = std::min({static_cast<uint16_t>(request.workers), info.max_rx_queues, info.max_tx_queues,
                        most != nullptr ? *most : uint16_t{UINT16_MAX}});
    if (request.steering == Steering::software)
        queues_ = 1;
    if (request.steering == Steering::rss && queues_ < request.workers)
        return fail(where + driver_ + " gives " + std::to_string(queues_) + " queue(s) for " +
                        std::to_string(request.workers) + " workers",
                    "set engine.steering: auto, lower engine.workers, or give the device as many queues");
    // Its sockets divide what comes among themselves, also what nobody reads.
    if (driver_ == "net_af_packet" && queues_ < info.max_rx_queues)
        return fail(
            where + "qpairs=" + std::to_string(info.max_rx_queues) + ", but " + std::to_string(queues_) +
                " queue(s) would be read: what comes to the others would be lost",
            "set qpairs=" + std::to_string(queues_) + ", or engine.workers, or engine.steering: auto");
    if (queues_ < request.workers)
        shared_queues_ = std::make_unique<std::mutex[]>(queues_);

    rte_eth_conf conf{};
    negotiate(info, conf);
    conf.rxmode.mtu = request.mtu;
    conf.intr_conf.rxq = profile_.poll.sleep == Sleep::interrupt ? 1 : 0;
    auto done = start(where, conf, pool);
    if (!done && conf.intr_conf.rxq == 1) {
        // The driver has interrupts, but not as the device is bound or made.
        conf.intr_conf.rxq = 0;
        done = start(where, conf, pool);
    }
    if (!done)
        return done;
    return set_addresses(request, info);
}

Expected<void> Device::start(const std::string& where, const rte_eth_conf& conf, const PacketPool& pool) {
    descriptors_.assign(queues_, {});
    if (const int error = rte_eth_dev_configure(port_, queues_, queues_, &conf); error != 0)
        return fail(where + "the device refuses its configuration: " + rte_strerror(-error),
                    "check mtu and the profile '" + profile_name_ + "'");
    uint16_t rx_descriptors = profile_.rx_descriptors;
    uint16_t tx_descriptors = profile_.tx_descriptors;
    rte_eth_dev_adjust_nb_rx_tx_desc(port_, &rx_descriptors, &tx_descriptors);
    for (uint16_t queue = 0; queue < queues_; ++queue) {
        const auto before = open_descriptors();
        int error = rte_eth_rx_queue_setup(port_, queue, rx_descriptors, SOCKET_ID_ANY, nullptr, pool.raw());
        if (error == 0)
            error = rte_eth_tx_queue_setup(port_, queue, tx_descriptors, SOCKET_ID_ANY, nullptr);
        if (error != 0)
            return fail(
                where + "queue " + std::to_string(queue) + " cannot be set up: " + rte_strerror(-error),
                "check the device's arguments, engine.mbufs, and the profile '" + profile_name_ + "'");
        descriptors_[queue] = opened_since(before);
    }
    if (const int error = rte_eth_dev_start(port_); error != 0)
        return fail(where + "the device does not start: " + rte_strerror(-error));
    has_interrupts_ = conf.intr_conf.rxq == 1;
    for (uint16_t queue = 0; queue < queues_; ++queue)
        has_interrupts_ = has_interrupts_ && interrupt_descriptor(queue) >= 0;
    return {};
}

void Device::find_descriptors(const std::set<int>& before, const std::vector<int>& plugged_in) {
    std::set<int> known = before;
    for (const auto& of_queue : descriptors_)
        known.insert(of_queue.begin(), of_queue.end());
    const auto others = opened_since(known);
    rte_eth_dev_info info{};
    // net_af_packet opens one for each queue as it is plugged in, and numbers are given out in order. What
    // else there is may tell of any queue.
    const bool in_order = others == plugged_in && rte_eth_dev_info_get(port_, &info) == 0 &&
                          others.size() == info.max_rx_queues;
    for (size_t queue = 0; queue < queues_; ++queue) {
        if (in_order)
            descriptors_[queue].push_back(others[queue]);
        else
            descriptors_[queue].insert(descriptors_[queue].end(), others.begin(), others.end());
    }
    if (profile_.poll.sleep != sleep(0))
        refused_.push_back("sleep_" + std::string(config::name_of(profile_.poll.sleep)));
}

uint16_t Device::transmit_shared(uint16_t queue, Packet** packets, uint16_t count) const {
    const std::scoped_lock alone(shared_queues_[queue]);
    return rte_eth_tx_burst(port_, queue, packets, count);
}

bool Device::takes_large(size_t worker, Packet* packet, const HeaderLengths& headers) const {
    if (!large_send_)
        return false;
    const bool is_ip4 = data(packet)[headers.link] >> 4 == 4;
    const uint64_t before = packet->ol_flags;
    packet->ol_flags = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM |
                       (is_ip4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6) |
                       (is_ip4 && ip4_checksum_ ? RTE_MBUF_F_TX_IP_CKSUM : 0);
    packet->tx_offload =
        rte_mbuf_tx_offload(headers.link, headers.ip, headers.tcp, packet->tso_segsz, 0, 0, 0);
    if (rte_eth_tx_prepare(port_, static_cast<uint16_t>(worker % queues_), &packet, 1) == 1)
        return true;
    packet->ol_flags = before;
    return false;
}

void Device::negotiate(const rte_eth_dev_info& info, rte_eth_conf& conf) {
    const auto rx = choose_rx_offloads(profile_.offloads.rx, info.rx_offload_capa);
    const auto tx = choose_tx_offloads(profile_.offloads.tx, info.tx_offload_capa);
    conf.rxmode.offloads = rx.bits;
    conf.txmode.offloads = tx.bits;
    constexpr uint64_t kLargeSend =
        RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    // What checks checksums on receive may leave them undone (net_vhost, which gives large frames unasked
    // too).
    constexpr uint64_t kLargeReceive =
        RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
    large_receive_ = (rx.bits & kLargeReceive) != 0;
    large_send_ = (tx.bits & kLargeSend) == kLargeSend;
    ip4_checksum_ = (tx.bits & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0;
    offloads_ = rx.used;
    offloads_.insert(offloads_.end(), tx.used.begin(), tx.used.end());
    refused_ = rx.refused;
    refused_.insert(refused_.end(), tx.refused.begin(), tx.refused.end());

    const auto rss = choose_rss(profile_.rss.hash, info.flow_type_rss_offloads);
    if (queues_ > 1 && rss.bits != 0) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = rss.bits;
        if (profile_.rss.key == RssKey::symmetric && info.hash_key_size <= kSymmetricKey.size()) {
            conf.rx_adv_conf.rss_conf.rss_key = const_cast<uint8_t*>(kSymmetricKey.data());
            conf.rx_adv_conf.rss_conf.rss_key_len = info.hash_key_size;
            brings_flows_home_ = true;
        }
        offloads_.insert(offloads_.end(), rss.used.begin(), rss.used.end());
    }
    if (queues_ > 1)
        refused_.insert(refused_.end(), rss.refused.begin(), rss.refused.end());
}

Expected<void> Device::set_addresses(const DeviceRequest& request, const rte_eth_dev_info& info) {
    // Most virtual devices take the MTU at configuration or have none to set; the packet path enforces it
    // anyway.
    if (request.mtu >= info.min_mtu && request.mtu <= info.max_mtu)
        rte_eth_dev_set_mtu(port_, request.mtu);
    if (profile_.promiscuous)
        rte_eth_promiscuous_enable(port_);
    rte_eth_allmulticast_enable(port_);
    rte_ether_addr own{};
    if (request.mac) {
        mac_ = *request.mac;
        request.mac->store(own.addr_bytes);
        // A device that cannot change its address sees foreign ones only in promiscuous mode.
        if (rte_eth_dev_default_mac_addr_set(port_, &own) != 0)
            rte_eth_promiscuous_enable(port_);
    } else {
        rte_eth_macaddr_get(port_, &own);
        mac_ = MacAddress::load(own.addr_bytes);
        if (!mac_.is_unicast())
            mac_ = MacAddress{
                {0x02, 0x51, 0x1c, 0xe0, static_cast<uint8_t>(port_ >> 8), static_cast<uint8_t>(port_)}};
    }
    return {};
}

Sleep Device::sleep(uint16_t queue) const {
    if (has_interrupts_)
        return Sleep::interrupt;
    return profile_.poll.sleep != Sleep::nap && !descriptors_[queue].empty() ? Sleep::descriptor : Sleep::nap;
}

bool Device::switch_interrupt(uint16_t queue, bool on) const {
    const int error =
        on ? rte_eth_dev_rx_intr_enable(port_, queue) : rte_eth_dev_rx_intr_disable(port_, queue);
    return error != -ENOTSUP;
}

int Device::interrupt_descriptor(uint16_t queue) const {
    return rte_eth_dev_rx_intr_ctl_q_get_fd(port_, queue);
}

void Device::tell_interrupts(uint16_t queue, int epoll, size_t number, bool on) const {
    void* const told = reinterpret_cast<void*>(number);  // NOLINT(performance-no-int-to-ptr): it comes back
    rte_eth_dev_rx_intr_ctl_q(port_, queue, epoll, on ? RTE_INTR_EVENT_ADD : RTE_INTR_EVENT_DEL, told);
}

std::span<const size_t> Device::take_interrupts(int epoll, std::span<size_t> numbers) {
    std::array<rte_epoll_event, 16> events;
    const auto most = static_cast<int>(std::min(events.size(), numbers.size()));
    const int count = std::max(rte_epoll_wait(epoll, events.data(), most, 0), 0);
    for (size_t i = 0; i < static_cast<size_t>(count); ++i)
        numbers[i] = reinterpret_cast<size_t>(events[i].epdata.data);
    return numbers.first(static_cast<size_t>(count));
}

Link Device::link() const {
    // A tap's own side is up as long as it is open; its kernel side is the peer, in whatever namespace.
    if (driver_ == "net_tap")
        return {.up = true};
    rte_eth_link raw{};
    const bool known = rte_eth_link_get_nowait(port_, &raw) == 0;
    Link link{.up = known && raw.link_status == RTE_ETH_LINK_UP, .speed_mbps = raw.link_speed};
    if (raw.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN)
        link.speed_mbps = 0;
    if (!kernel_interface_.empty()) {
        ifreq query{};
        kernel_interface_.copy(query.ifr_name, IF_NAMESIZE - 1);
        const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        link.up = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &query) == 0 && (query.ifr_flags & IFF_UP) != 0 &&
                  (query.ifr_flags & IFF_RUNNING) != 0;
        if (fd >= 0)
            close(fd);
    }
    return link;
}

std::vector<NicCounter> Device::nic_counters() const {
    const int count = rte_eth_xstats_get(port_, nullptr, 0);
    if (count <= 0)
        return {};
    std::vector<rte_eth_xstat> values(static_cast<size_t>(count));
    std::vector<rte_eth_xstat_name> names(values.size());
    const auto most = static_cast<unsigned>(count);
    if (rte_eth_xstats_get(port_, values.data(), most) != count ||
        rte_eth_xstats_get_names(port_, names.data(), most) != count)
        return {};
    std::vector<NicCounter> counters;
    for (size_t i = 0; i < values.size(); ++i)
        counters.push_back({names[i].name, values[i].value});
    return counters;
}

}  // namespace sluice::dpdk
