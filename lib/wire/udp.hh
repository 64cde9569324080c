// UDP headers (RFC 768).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

#include "wire/bytes.hh"
#include "wire/checksum.hh"

namespace sluice::wire {

inline constexpr size_t kUdpHeaderSize = 8;

enum class UdpError : uint8_t {
    too_short,   // less than 8 bytes
    bad_length,  // length field less than 8
    truncated,   // length field beyond the data
};

// A datagram; bytes behind its length field are cut off.
class UdpView {
  public:
    static std::expected<UdpView, UdpError> checked(Bytes bytes) {
        if (bytes.size() < kUdpHeaderSize) [[unlikely]] {
            return std::unexpected(UdpError::too_short);
        }
        const size_t length = read16(bytes.data() + 4);
        if (length < kUdpHeaderSize) [[unlikely]] {
            return std::unexpected(UdpError::bad_length);
        }
        if (length > bytes.size()) [[unlikely]] {
            return std::unexpected(UdpError::truncated);
        }
        return UdpView(bytes.data());
    }
    // The caller knows that eight bytes are there; payload() and bytes() trust the length field.
    static UdpView unchecked(const uint8_t* data) { return UdpView(data); }

    [[nodiscard]] uint16_t source_port() const { return read16(data_); }
    [[nodiscard]] uint16_t destination_port() const { return read16(data_ + 2); }
    [[nodiscard]] uint16_t length() const { return read16(data_ + 4); }
    [[nodiscard]] Be16 checksum() const { return Be16::load(data_ + 6); }
    [[nodiscard]] bool has_checksum() const { return checksum().wire() != 0; }
    [[nodiscard]] Bytes bytes() const { return {data_, length()}; }
    [[nodiscard]] Bytes payload() const { return bytes().subspan(kUdpHeaderSize); }
    // `pseudo` comes from pseudo_header() with length(). A zero checksum is right over IPv4 only (RFC
    // 8200 8.1).
    [[nodiscard]] bool checksum_verifies(Checksum pseudo, Family family) const {
        return has_checksum() ? pseudo.add(bytes()).verifies() : family == Family::ip4;
    }

  private:
    explicit UdpView(const uint8_t* data) : data_(data) {}
    const uint8_t* data_;
};

struct UdpHeader {
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    uint16_t length = kUdpHeaderSize;  // header and data
    Be16 checksum = {};                // zero: none

    static constexpr size_t size() { return kUdpHeaderSize; }
    static UdpHeader parse(UdpView view) {
        return {view.source_port(), view.destination_port(), view.length(), view.checksum()};
    }
    // Bytes written; 0 if they do not fit.
    size_t emit(MutableBytes to) const {
        if (to.size() < size()) {
            return 0;
        }
        write16(to.data(), source_port);
        write16(to.data() + 2, destination_port);
        write16(to.data() + 4, length);
        checksum.store(to.data() + 6);
        return size();
    }
    bool operator==(const UdpHeader&) const = default;
};

// Fills the checksum of a whole datagram. `pseudo` comes from pseudo_header().
inline void set_udp_checksum(MutableBytes datagram, Checksum pseudo) {
    write16(datagram.data() + 6, 0);
    pseudo.add(datagram).finish_udp().store(datagram.data() + 6);
}

}  // namespace sluice::wire
