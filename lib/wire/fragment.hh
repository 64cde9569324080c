// The IPv6 fragment header (RFC 8200 4.5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

#include "wire/bytes.hh"
#include "wire/protocol.hh"

namespace sluice::wire {

inline constexpr size_t kIpv6FragmentHeaderSize = 8;

enum class Ipv6FragmentError : uint8_t { too_short };

class Ipv6FragmentView {
  public:
    static std::expected<Ipv6FragmentView, Ipv6FragmentError> checked(Bytes bytes) {
        if (bytes.size() < kIpv6FragmentHeaderSize) {
            return std::unexpected(Ipv6FragmentError::too_short);
        }
        return Ipv6FragmentView(bytes.data());
    }
    // The caller knows that eight bytes are there.
    static Ipv6FragmentView unchecked(const uint8_t* data) { return Ipv6FragmentView(data); }

    [[nodiscard]] IpProtocol next_header() const { return IpProtocol{data_[0]}; }
    // In bytes, a multiple of 8.
    [[nodiscard]] uint32_t offset() const { return read16(data_ + 2) & 0xfff8U; }
    [[nodiscard]] bool more() const { return (data_[3] & 1) != 0; }
    [[nodiscard]] uint32_t id() const { return read32(data_ + 4); }
    // A whole packet with a fragment header (RFC 6946).
    [[nodiscard]] bool is_atomic() const { return offset() == 0 && !more(); }

  private:
    explicit Ipv6FragmentView(const uint8_t* data) : data_(data) {}
    const uint8_t* data_;
};

struct Ipv6FragmentHeader {
    IpProtocol next_header{};
    uint32_t offset = 0;  // bytes, a multiple of 8 below 65536
    bool more = false;
    uint32_t id = 0;

    static constexpr size_t size() { return kIpv6FragmentHeaderSize; }
    static Ipv6FragmentHeader parse(Ipv6FragmentView view) {
        return {view.next_header(), view.offset(), view.more(), view.id()};
    }
    // Bytes written; 0 if they do not fit.
    size_t emit(MutableBytes to) const {
        if (to.size() < size()) {
            return 0;
        }
        to[0] = static_cast<uint8_t>(next_header);
        to[1] = 0;
        write16(to.data() + 2, static_cast<uint16_t>((offset & 0xfff8U) | (more ? 1U : 0U)));
        write32(to.data() + 4, id);
        return size();
    }
    bool operator==(const Ipv6FragmentHeader&) const = default;
};

}  // namespace sluice::wire
