#include "nat/port_space.hh"

#include <algorithm>
#include <bit>

namespace sluice::nat {

PortSpace::PortSpace(const PortShare& share) {
    for (uint32_t port = 0; port < 65536; port += kPortBlock) {
        if (share.owns(static_cast<uint16_t>(port))) {
            size_ += kPortBlock;
            continue;
        }
        static_assert(kPortBlock == 64, "a block is a word");
        busy_[port >> 6] = ~uint64_t{0};
        full_[port >> 12] |= uint64_t{1} << (port >> 6 & 63);
    }
}

void PortSpace::widen(const PortRange& range, const PortShare& share) {
    offered_ = range.size();
    limit_ = 0;
    for (uint32_t port = range.first; port <= range.last;) {
        const uint32_t next =
            std::min<uint32_t>((port / kPortBlock + 1) * kPortBlock, uint32_t{range.last} + 1);
        if (share.owns(static_cast<uint16_t>(port)))
            limit_ += next - port;
        port = next;
    }
}

void PortSpace::set_busy(uint16_t port) {
    const size_t word = port >> 6;
    busy_[word] |= uint64_t{1} << (port & 63);
    if (busy_[word] == ~uint64_t{0})
        full_[word >> 6] |= uint64_t{1} << (word & 63);
}

void PortSpace::set_free(uint16_t port) {
    const size_t word = port >> 6;
    busy_[word] &= ~(uint64_t{1} << (port & 63));
    full_[word >> 6] &= ~(uint64_t{1} << (word & 63));
}

std::optional<uint16_t> PortSpace::search(uint32_t first, uint32_t last, uint64_t allowed) const {
    for (uint32_t port = first; port <= last;) {
        const uint32_t word = port >> 6;
        const int full = std::countr_one(full_[word >> 6] >> (word & 63));
        if (full != 0) {
            port = (word + static_cast<uint32_t>(full)) << 6;
            continue;
        }
        uint64_t free = ~busy_[word] & allowed & ~uint64_t{0} << (port & 63);
        if (word == last >> 6)
            free &= ~uint64_t{0} >> (63 - (last & 63));
        if (free != 0)
            return static_cast<uint16_t>(word << 6 | static_cast<uint32_t>(std::countr_zero(free)));
        port = (word + 1) << 6;
    }
    return std::nullopt;
}

std::optional<uint16_t> PortSpace::next_free(const PortRange& within, uint16_t from, Parity parity) const {
    constexpr uint64_t kEven = 0x5555555555555555;
    const uint64_t allowed = parity == Parity::any ? ~uint64_t{0} : parity == Parity::even ? kEven : ~kEven;
    const auto behind = search(from, within.last, allowed);
    return behind || from == within.first ? behind : search(within.first, from - 1U, allowed);
}

void PortSpace::take(uint16_t port) {
    set_busy(port);
    ++in_use_;
}

void PortSpace::give_back(uint16_t port) {
    set_free(port);
    --in_use_;
}

void PortSpace::hold() {
    --in_use_;
    ++held_;
}

void PortSpace::end_hold(uint16_t port) {
    set_free(port);
    --held_;
}

bool PortSpace::share(uint16_t port) {
    if (sharers_ == nullptr)
        sharers_ = std::make_unique<std::array<uint32_t, 65536>>();
    if ((*sharers_)[port] == 0) {
        if (!is_free(port))
            return false;
        take(port);
    }
    ++(*sharers_)[port];
    return true;
}

void PortSpace::unshare(uint16_t port) {
    if (--(*sharers_)[port] == 0)
        give_back(port);
}

}  // namespace sluice::nat
