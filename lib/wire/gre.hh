// GRE headers (RFC 2784, RFC 2890) and PPTP's enhanced ones (RFC 2637 4.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

#include "wire/bytes.hh"

namespace sluice::wire {

inline constexpr size_t kGreHeaderSize = 4;      // without optional fields
inline constexpr size_t kGrePptpHeaderSize = 8;  // up to the call identifier

inline constexpr uint8_t kGreVersionPlain = 0;
inline constexpr uint8_t kGreVersionPptp = 1;
inline constexpr uint16_t kGreProtocolPpp = 0x880b;

enum class GreError : uint8_t { too_short };

class GreView {
  public:
    static std::expected<GreView, GreError> checked(Bytes bytes) {
        if (bytes.size() < kGreHeaderSize) {
            return std::unexpected(GreError::too_short);
        }
        return GreView(bytes);
    }

    [[nodiscard]] bool has_checksum() const { return (bytes_[0] & 0x80) != 0; }
    [[nodiscard]] bool has_key() const { return (bytes_[0] & 0x20) != 0; }
    [[nodiscard]] bool has_sequence() const { return (bytes_[0] & 0x10) != 0; }
    [[nodiscard]] uint8_t version() const { return bytes_[1] & 7; }
    [[nodiscard]] uint16_t protocol() const { return read16(bytes_.data() + 2); }  // an EtherType
    // Version 1 only: whether the fields up to the call identifier are there, and they.
    [[nodiscard]] bool has_call_id() const { return bytes_.size() >= kGrePptpHeaderSize; }
    [[nodiscard]] uint16_t payload_length() const { return read16(bytes_.data() + 4); }
    [[nodiscard]] uint16_t call_id() const { return read16(bytes_.data() + 6); }

  private:
    explicit GreView(Bytes bytes) : bytes_(bytes) {}
    Bytes bytes_;
};

// A header of version 1 as a value, without its optional numbers.
struct GrePptpHeader {
    uint16_t protocol = kGreProtocolPpp;
    uint16_t payload_length = 0;
    uint16_t call_id = 0;

    static constexpr size_t size() { return kGrePptpHeaderSize; }
    // The view must have a call identifier.
    static GrePptpHeader parse(GreView view) {
        return {view.protocol(), view.payload_length(), view.call_id()};
    }
    // Bytes written; 0 if they do not fit.
    size_t emit(MutableBytes to) const {
        if (to.size() < size()) {
            return 0;
        }
        to[0] = 0x20;
        to[1] = kGreVersionPptp;
        write16(to.data() + 2, protocol);
        write16(to.data() + 4, payload_length);
        write16(to.data() + 6, call_id);
        return size();
    }
    bool operator==(const GrePptpHeader&) const = default;
};

}  // namespace sluice::wire
