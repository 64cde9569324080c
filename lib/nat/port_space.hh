// The ports of one external address and protocol: which are in use, which are free.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/prefetch.hh"
#include "nat/rule.hh"
#include "nat/settings.hh"

namespace sluice::nat {

// The class of ports that a port is kept in: 0-1023 or 1024-65535 (R4787-3a). Port 0 is never given out, the
// identifier 0 of ICMP queries is.
constexpr PortRange port_class(uint16_t port) {
    return port < 1024 ? PortRange{1, 1023} : PortRange{1024, 65535};
}

// Which ports will do (R4787-4).
enum class Parity : uint8_t { any, even, odd };

// 8 KB; nothing is allocated later but the counts of sharers, at the first share(). One owner.
class PortSpace {
  public:
    explicit PortSpace(const PortShare& share);

    // Ports of other workers are never free.
    [[nodiscard]] bool is_free(uint16_t port) const { return (busy_[port >> 6] >> (port & 63) & 1) == 0; }
    // Asks memory for what is_free(), take() and give_back() read.
    void prefetch(uint16_t port) const { prefetch_line_to_write(&busy_[port >> 6]); }
    // The first free port of the range from `from` on, which is in it, going on at its beginning. Reads the
    // range's words at most, 64 full ones with one look.
    [[nodiscard]] std::optional<uint16_t> next_free(const PortRange& within, uint16_t from,
                                                    Parity parity = Parity::any) const;

    // A free port becomes one in use.
    void take(uint16_t port);
    // One in use becomes free.
    void give_back(uint16_t port);
    // One in use, which its owner remembers, is held: not in use and not free either (R6888-8).
    void hold();
    void end_hold(uint16_t port);

    // For mappings that overlap: a port in use by several. False if it cannot be: it is taken, held or of
    // another worker.
    [[nodiscard]] bool share(uint16_t port);
    void unshare(uint16_t port);
    [[nodiscard]] bool is_shared() const { return sharers_ != nullptr; }  // any port ever was
    [[nodiscard]] bool is_shared(uint16_t port) const {
        return sharers_ != nullptr && (*sharers_)[port] != 0;
    }

    // From this range ports are given out; share as it was made with.
    void offer(const PortRange& range, const PortShare& share) {
        if (range.size() > offered_) [[unlikely]]
            widen(range, share);
    }
    // How many ports the widest range offered has, without those of other workers; 0 before the first.
    [[nodiscard]] uint32_t limit() const { return limit_; }

    // Of `size()` ports; each in use counts once, however many share it.
    [[nodiscard]] uint32_t size() const { return size_; }
    [[nodiscard]] uint32_t in_use() const { return in_use_; }
    [[nodiscard]] uint32_t held() const { return held_; }
    // Times a port was asked for and none would do, so far.
    void count_refused() { ++refused_; }
    [[nodiscard]] uint64_t refused() const { return refused_; }
    [[nodiscard]] bool is_idle() const { return in_use_ == 0 && held_ == 0; }

  private:
    static constexpr size_t kWords = 65536 / 64;
    void set_busy(uint16_t port);
    void set_free(uint16_t port);
    void widen(const PortRange& range, const PortShare& share);
    [[nodiscard]] std::optional<uint16_t> search(uint32_t first, uint32_t last, uint64_t allowed) const;

    uint32_t size_ = 0;
    uint32_t in_use_ = 0;
    uint32_t held_ = 0;
    uint32_t offered_ = 0;  // size of the widest range, other workers' ports included
    uint32_t limit_ = 0;
    uint64_t refused_ = 0;
    std::unique_ptr<std::array<uint32_t, 65536>> sharers_;
    std::array<uint64_t, kWords / 64> full_{};  // a bit for each word of busy_ that is all ones
    std::array<uint64_t, kWords> busy_{};
};

}  // namespace sluice::nat
