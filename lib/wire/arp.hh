// ARP for IPv4 over Ethernet (RFC 826).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

#include "base/address.hh"
#include "wire/bytes.hh"

namespace sluice::wire {

enum class ArpOperation : uint16_t { request = 1, reply = 2 };

enum class ArpError : uint8_t {
    too_short,
    bad_hardware,   // not Ethernet with 6-byte addresses
    bad_protocol,   // not IPv4 with 4-byte addresses
    bad_operation,  // neither request nor reply
};

inline constexpr size_t kArpSize = 28;

class ArpView {
  public:
    static std::expected<ArpView, ArpError> checked(Bytes bytes) {
        if (bytes.size() < kArpSize) {
            return std::unexpected(ArpError::too_short);
        }
        if (read16(bytes.data()) != 1 || bytes[4] != 6) {
            return std::unexpected(ArpError::bad_hardware);
        }
        if (read16(bytes.data() + 2) != 0x0800 || bytes[5] != 4) {
            return std::unexpected(ArpError::bad_protocol);
        }
        const uint16_t operation = read16(bytes.data() + 6);
        if (operation != 1 && operation != 2) {
            return std::unexpected(ArpError::bad_operation);
        }
        return ArpView(bytes.data());
    }
    static ArpView unchecked(Bytes bytes) { return ArpView(bytes.data()); }

    [[nodiscard]] ArpOperation operation() const { return ArpOperation{read16(data_ + 6)}; }
    [[nodiscard]] MacAddress sender_mac() const { return MacAddress::load(data_ + 8); }
    [[nodiscard]] Ip4Address sender_ip() const { return Ip4Address::load(data_ + 14); }
    [[nodiscard]] MacAddress target_mac() const { return MacAddress::load(data_ + 18); }
    [[nodiscard]] Ip4Address target_ip() const { return Ip4Address::load(data_ + 24); }

  private:
    explicit ArpView(const uint8_t* data) : data_(data) {}
    const uint8_t* data_;
};

struct ArpPacket {
    ArpOperation operation = ArpOperation::request;
    MacAddress sender_mac = {};
    Ip4Address sender_ip = {};
    MacAddress target_mac = {};
    Ip4Address target_ip = {};

    static constexpr size_t size() { return kArpSize; }
    static ArpPacket parse(ArpView view) {
        return {view.operation(), view.sender_mac(), view.sender_ip(), view.target_mac(), view.target_ip()};
    }
    // Bytes written; 0 if they do not fit.
    size_t emit(MutableBytes to) const {
        if (to.size() < size()) {
            return 0;
        }
        uint8_t* data = to.data();
        write16(data, 1);
        write16(data + 2, 0x0800);
        data[4] = 6;
        data[5] = 4;
        write16(data + 6, static_cast<uint16_t>(operation));
        sender_mac.store(data + 8);
        sender_ip.store(data + 14);
        target_mac.store(data + 18);
        target_ip.store(data + 24);
        return size();
    }
    bool operator==(const ArpPacket&) const = default;
};

}  // namespace sluice::wire
