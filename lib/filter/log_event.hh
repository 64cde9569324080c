// What `log` tells: an event with the head of the packet, put into a bounded ring by the worker, made into a
// line by the control thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "base/time.hh"
#include "filter/counters.hh"
#include "filter/hook.hh"
#include "filter/packet.hh"

namespace sluice::filter {

inline constexpr size_t kMaxLogPrefix = 127;  // as nftables'

struct LogEvent {
    static constexpr size_t kHead = 128;
    RuleId rule = kNoRule;
    bool early = false;
    Hook hook{};
    Instant time;
    InterfaceId in = kNoInterface;
    InterfaceId out = kNoInterface;
    uint32_t mark = 0;
    std::optional<MacAddress> mac_saddr;
    uint32_t length = 0;  // of the IP packet
    uint16_t head_size = 0;
    uint8_t prefix_size = 0;
    std::array<char, kMaxLogPrefix> prefix_bytes{};
    std::array<uint8_t, kHead> head{};  // the packet's first bytes

    static LogEvent of(const RulePacket& packet, RuleId rule, std::string_view prefix);
    [[nodiscard]] std::string_view prefix() const { return {prefix_bytes.data(), prefix_size}; }
};

// `PREFIXIN=wan OUT= MAC=… SRC=192.0.2.1 DST=… LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=1 DPT=2
// WINDOW=… RES=0x00 SYN URGP=0 MARK=0x1`: nf_log_syslog's words in its order.
std::string log_text(const LogEvent& event, const std::function<std::string(InterfaceId)>& interface_name);

// One worker writes, one thread reads. Full: the event is lost and counted.
class LogRing {
  public:
    explicit LogRing(size_t events = 256);  // rounded up to a power of two
    bool push(const LogEvent& event);
    std::optional<LogEvent> pop();
    [[nodiscard]] uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

  private:
    size_t mask_;
    std::unique_ptr<LogEvent[]> events_;
    alignas(64) std::atomic<size_t> head_{0};  // next to be written
    alignas(64) std::atomic<size_t> tail_{0};  // next to be read
    std::atomic<uint64_t> lost_{0};
};

}  // namespace sluice::filter
