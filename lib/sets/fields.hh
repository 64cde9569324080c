// What a packet has to say to a set: its values for the fields of the set's type, as a key of bytes.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "base/address.hh"
#include "base/byte_order.hh"
#include "sets/type.hh"

namespace sluice::sets {

// Built on the stack for each lookup, field by field in the order of the set's type:
//     Fields probe;
//     probe.add(packet.source());
//     probe.add(ports.destination);
// The kinds must be those of the set's type (a rule is checked for that once, when it is compiled). All
// addresses of a probe are of one family.
class Fields {
  public:
    static constexpr size_t kWords = kMaxKeyBytes / 8;

    Fields() = default;
    template <typename... Field>
        requires(sizeof...(Field) > 0)
    explicit Fields(const Field&... fields) {
        (add(fields), ...);
    }

    // A key as a set keeps it.
    static Fields of_bytes(Family family, const uint8_t* bytes, size_t size) {
        Fields fields;
        fields.family_ = family;
        fields.size_ = static_cast<uint8_t>(size);
        std::memcpy(fields.words_.data(), bytes, size);
        return fields;
    }

    void add(Ip4Address address) { put(address.wire().wire()); }
    void add(const Ip6Address& address) {
        family_ = Family::ip6;
        put(address.bytes());
    }
    void add(const IpAddress& address) {
        if (address.is_ip4())
            add(address.ip4());
        else
            add(address.ip6());
    }
    void add(Be16 port) { put(port.wire()); }
    void add(const MacAddress& address) { put(address.bytes); }
    void add_proto(uint8_t protocol) { put(protocol); }
    void add_mark(uint32_t mark) { put(Be32::from_host(mark).wire()); }

    // IPv6 if an address of the probe is.
    [[nodiscard]] Family family() const { return family_; }
    [[nodiscard]] const uint8_t* bytes() const { return reinterpret_cast<const uint8_t*>(words_.data()); }
    [[nodiscard]] size_t size() const { return size_; }
    // The bytes as words of the machine; zero behind size().
    [[nodiscard]] const std::array<uint64_t, kWords>& words() const { return words_; }

  private:
    template <typename T>
    void put(const T& value) {
        std::memcpy(reinterpret_cast<uint8_t*>(words_.data()) + size_, &value, sizeof value);
        size_ = static_cast<uint8_t>(size_ + sizeof value);
    }
    std::array<uint64_t, kWords> words_{};
    uint8_t size_ = 0;
    Family family_ = Family::ip4;
};

}  // namespace sluice::sets
