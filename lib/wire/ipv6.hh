// The fixed IPv6 header (RFC 8200 3). Extension headers are in wire/ipv6_extensions.hh.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

#include "base/address.hh"
#include "wire/bytes.hh"
#include "wire/protocol.hh"

namespace sluice::wire {

inline constexpr size_t kIpv6HeaderSize = 40;
inline constexpr size_t kIpv6MinMtu = 1280;

enum class Ipv6Error : uint8_t {
    too_short,    // less than 40 bytes
    bad_version,  // not 6
    truncated,    // payload length beyond the data
};

// A packet; bytes behind the payload length (link padding) are cut off. Jumbograms (RFC 2675) are not known:
// a payload length of 0 means no payload.
class Ipv6View {
  public:
    static std::expected<Ipv6View, Ipv6Error> checked(Bytes bytes) {
        if (bytes.size() < kIpv6HeaderSize) [[unlikely]] {
            return std::unexpected(Ipv6Error::too_short);
        }
        if (bytes[0] >> 4 != 6) [[unlikely]] {
            return std::unexpected(Ipv6Error::bad_version);
        }
        if (kIpv6HeaderSize + read16(bytes.data() + 4) > bytes.size()) [[unlikely]] {
            return std::unexpected(Ipv6Error::truncated);
        }
        return Ipv6View(bytes.data());
    }
    // The caller knows that checked() would succeed.
    static Ipv6View unchecked(const uint8_t* data) { return Ipv6View(data); }

    [[nodiscard]] uint8_t traffic_class() const { return static_cast<uint8_t>(read16(data_) >> 4); }
    [[nodiscard]] uint8_t ecn() const { return traffic_class() & 3; }
    [[nodiscard]] uint32_t flow_label() const { return read32(data_) & 0xfffff; }
    [[nodiscard]] uint16_t payload_length() const { return read16(data_ + 4); }
    [[nodiscard]] size_t total_length() const { return kIpv6HeaderSize + payload_length(); }
    [[nodiscard]] IpProtocol next_header() const { return IpProtocol{data_[6]}; }
    [[nodiscard]] uint8_t hop_limit() const { return data_[7]; }
    [[nodiscard]] Ip6Address source() const { return Ip6Address::load(data_ + 8); }
    [[nodiscard]] Ip6Address destination() const { return Ip6Address::load(data_ + 24); }
    [[nodiscard]] Bytes header() const { return {data_, kIpv6HeaderSize}; }
    [[nodiscard]] Bytes payload() const { return {data_ + kIpv6HeaderSize, payload_length()}; }
    [[nodiscard]] Bytes bytes() const { return {data_, total_length()}; }

  protected:
    explicit Ipv6View(const uint8_t* data) : data_(data) {}

  private:
    const uint8_t* data_;
};

// A header to be rewritten in place. Transport checksums are the caller's concern.
class MutableIpv6View : public Ipv6View {
  public:
    // The caller has checked the same bytes through Ipv6View.
    static MutableIpv6View unchecked(uint8_t* data) { return MutableIpv6View(data); }

    // The hop limit must not be 0.
    void decrement_hop_limit() { --data_[7]; }
    void set_hop_limit(uint8_t hop_limit) { data_[7] = hop_limit; }
    void set_traffic_class(uint8_t value) {
        data_[0] = static_cast<uint8_t>(0x60 | value >> 4);
        data_[1] = static_cast<uint8_t>(value << 4 | (data_[1] & 0x0f));
    }
    void set_payload_length(uint16_t length) { write16(data_ + 4, length); }
    void set_next_header(IpProtocol protocol) { data_[6] = static_cast<uint8_t>(protocol); }
    void set_source(const Ip6Address& address) { address.store(data_ + 8); }
    void set_destination(const Ip6Address& address) { address.store(data_ + 24); }

  private:
    explicit MutableIpv6View(uint8_t* data) : Ipv6View(data), data_(data) {}
    uint8_t* data_;
};

// A header as a value.
struct Ipv6Header {
    uint8_t traffic_class = 0;
    uint32_t flow_label = 0;  // 20 bits
    uint16_t payload_length = 0;
    IpProtocol next_header = IpProtocol::none;
    uint8_t hop_limit = 64;
    Ip6Address source = {};
    Ip6Address destination = {};

    static constexpr size_t size() { return kIpv6HeaderSize; }
    static Ipv6Header parse(Ipv6View view) {
        return {view.traffic_class(), view.flow_label(), view.payload_length(), view.next_header(),
                view.hop_limit(),     view.source(),     view.destination()};
    }
    // Bytes written; 0 if they do not fit.
    size_t emit(MutableBytes to) const {
        if (to.size() < size()) {
            return 0;
        }
        uint8_t* data = to.data();
        write32(data, 6U << 28 | uint32_t{traffic_class} << 20 | (flow_label & 0xfffff));
        write16(data + 4, payload_length);
        data[6] = static_cast<uint8_t>(next_header);
        data[7] = hop_limit;
        source.store(data + 8);
        destination.store(data + 24);
        return size();
    }
    bool operator==(const Ipv6Header&) const = default;
};

}  // namespace sluice::wire
