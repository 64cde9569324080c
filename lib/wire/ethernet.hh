// Ethernet headers and VLAN tags (IEEE 802.3, 802.1Q).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

#include "base/address.hh"
#include "wire/bytes.hh"

namespace sluice::wire {

enum class EtherType : uint16_t {
    ipv4 = 0x0800,
    arp = 0x0806,
    vlan = 0x8100,  // 802.1Q customer tag
    ipv6 = 0x86dd,
    slow_protocols = 0x8809,
    service_vlan = 0x88a8,  // 802.1ad service tag
    lldp = 0x88cc,
};

constexpr bool is_vlan(EtherType type) {
    return type == EtherType::vlan || type == EtherType::service_vlan;
}
// Below 0x600 the field is the length of an 802.3 frame.
constexpr bool is_length(EtherType type) {
    return static_cast<uint16_t>(type) < 0x600;
}

inline constexpr size_t kEthernetHeaderSize = 14;
inline constexpr size_t kVlanTagSize = 4;

enum class EthernetError : uint8_t { too_short };

// A frame from its destination address on, without the trailing check sequence.
class EthernetView {
  public:
    static std::expected<EthernetView, EthernetError> checked(Bytes frame) {
        if (frame.size() < kEthernetHeaderSize) {
            return std::unexpected(EthernetError::too_short);
        }
        return EthernetView(frame);
    }
    // The caller knows that checked() would succeed.
    static EthernetView unchecked(Bytes frame) { return EthernetView(frame); }

    [[nodiscard]] MacAddress destination() const { return MacAddress::load(frame_.data()); }
    [[nodiscard]] MacAddress source() const { return MacAddress::load(frame_.data() + 6); }
    [[nodiscard]] EtherType ether_type() const { return EtherType{read16(frame_.data() + 12)}; }
    [[nodiscard]] Bytes payload() const { return frame_.subspan(kEthernetHeaderSize); }

  private:
    explicit EthernetView(Bytes frame) : frame_(frame) {}
    Bytes frame_;
};

// What follows a VLAN EtherType: tag control information and the next EtherType.
class VlanView {
  public:
    static std::expected<VlanView, EthernetError> checked(Bytes after_type) {
        if (after_type.size() < kVlanTagSize) {
            return std::unexpected(EthernetError::too_short);
        }
        return VlanView(after_type);
    }
    static VlanView unchecked(Bytes after_type) { return VlanView(after_type); }

    [[nodiscard]] uint16_t id() const { return control() & 0x0fff; }  // 0: priority tag only
    [[nodiscard]] uint8_t priority() const { return static_cast<uint8_t>(control() >> 13); }
    [[nodiscard]] bool drop_eligible() const { return (control() & 0x1000) != 0; }
    [[nodiscard]] uint16_t control() const { return read16(bytes_.data()); }
    [[nodiscard]] EtherType ether_type() const { return EtherType{read16(bytes_.data() + 2)}; }
    [[nodiscard]] Bytes payload() const { return bytes_.subspan(kVlanTagSize); }

  private:
    explicit VlanView(Bytes bytes) : bytes_(bytes) {}
    Bytes bytes_;
};

struct EthernetHeader {
    MacAddress destination = {};
    MacAddress source = {};
    EtherType ether_type{};

    static constexpr size_t size() { return kEthernetHeaderSize; }
    static EthernetHeader parse(EthernetView view) {
        return {view.destination(), view.source(), view.ether_type()};
    }
    // Bytes written; 0 if they do not fit.
    size_t emit(MutableBytes to) const {
        if (to.size() < size()) {
            return 0;
        }
        destination.store(to.data());
        source.store(to.data() + 6);
        write16(to.data() + 12, static_cast<uint16_t>(ether_type));
        return size();
    }
    bool operator==(const EthernetHeader&) const = default;
};

// A tag as it stands behind a VLAN EtherType.
struct VlanTag {
    uint16_t id = 0;       // 12 bits
    uint8_t priority = 0;  // 3 bits
    bool drop_eligible = false;
    EtherType ether_type{};  // of what follows

    static constexpr size_t size() { return kVlanTagSize; }
    static VlanTag parse(VlanView view) {
        return {view.id(), view.priority(), view.drop_eligible(), view.ether_type()};
    }
    // Bytes written; 0 if they do not fit.
    size_t emit(MutableBytes to) const {
        if (to.size() < size()) {
            return 0;
        }
        write16(to.data(),
                static_cast<uint16_t>((priority & 7) << 13 | (drop_eligible ? 0x1000 : 0) | (id & 0x0fff)));
        write16(to.data() + 2, static_cast<uint16_t>(ether_type));
        return size();
    }
    bool operator==(const VlanTag&) const = default;
};

}  // namespace sluice::wire
