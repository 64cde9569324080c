// IPv4 headers (RFC 791), checked as RFC 1812 5.2.2 demands.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>

#include "base/address.hh"
#include "wire/bytes.hh"
#include "wire/checksum.hh"
#include "wire/protocol.hh"

namespace sluice::wire {

inline constexpr size_t kIpv4HeaderSize = 20;  // without options
inline constexpr size_t kIpv4MaxHeaderSize = 60;

// One value for each clause of R1812-5.2.2. Such packets are dropped in silence: nothing in them can be
// trusted.
enum class Ipv4Error : uint8_t {
    too_short,          // less than 20 bytes
    bad_version,        // not 4
    bad_header_length,  // less than 5 words
    bad_total_length,   // less than the header
    truncated,          // total length beyond the data
    bad_checksum,
};

// A datagram; bytes behind the total length (link padding) are cut off.
class Ipv4View {
  public:
    static std::expected<Ipv4View, Ipv4Error> checked(Bytes bytes) {
        auto view = checked_shape(bytes);
        if (view && !view->checksum_verifies()) [[unlikely]] {
            return std::unexpected(Ipv4Error::bad_checksum);
        }
        return view;
    }
    // All but the checksum: for packets whose checksum a device has verified, and for quotations.
    static std::expected<Ipv4View, Ipv4Error> checked_shape(Bytes bytes) {
        if (bytes.size() < kIpv4HeaderSize) [[unlikely]] {
            return std::unexpected(Ipv4Error::too_short);
        }
        const uint8_t* data = bytes.data();
        if (data[0] >> 4 != 4) [[unlikely]] {
            return std::unexpected(Ipv4Error::bad_version);
        }
        const size_t header = (data[0] & 0x0fU) * size_t{4};
        if (header < kIpv4HeaderSize) [[unlikely]] {
            return std::unexpected(Ipv4Error::bad_header_length);
        }
        const size_t total = read16(data + 2);
        if (total < header) [[unlikely]] {
            return std::unexpected(Ipv4Error::bad_total_length);
        }
        if (total > bytes.size()) [[unlikely]] {
            return std::unexpected(Ipv4Error::truncated);
        }
        return Ipv4View(data);
    }
    // The caller knows that checked() would succeed.
    static Ipv4View unchecked(const uint8_t* data) { return Ipv4View(data); }

    [[nodiscard]] size_t header_length() const { return (data_[0] & 0x0fU) * size_t{4}; }
    [[nodiscard]] bool has_options() const { return header_length() > kIpv4HeaderSize; }
    [[nodiscard]] uint8_t tos() const { return data_[1]; }  // DSCP and ECN
    [[nodiscard]] uint8_t dscp() const { return static_cast<uint8_t>(data_[1] >> 2); }
    [[nodiscard]] uint8_t ecn() const { return data_[1] & 3; }
    [[nodiscard]] uint16_t total_length() const { return read16(data_ + 2); }
    [[nodiscard]] uint16_t id() const { return read16(data_ + 4); }
    [[nodiscard]] bool dont_fragment() const { return (data_[6] & 0x40) != 0; }
    [[nodiscard]] bool more_fragments() const { return (data_[6] & 0x20) != 0; }
    // In bytes.
    [[nodiscard]] uint32_t fragment_offset() const { return (read16(data_ + 6) & 0x1fffU) * 8; }
    [[nodiscard]] bool is_fragment() const { return (read16(data_ + 6) & 0x3fff) != 0; }
    [[nodiscard]] bool is_first_fragment() const { return fragment_offset() == 0; }  // unfragmented ones too
    [[nodiscard]] uint8_t ttl() const { return data_[8]; }
    [[nodiscard]] IpProtocol protocol() const { return IpProtocol{data_[9]}; }
    [[nodiscard]] Be16 checksum() const { return Be16::load(data_ + 10); }
    [[nodiscard]] Ip4Address source() const { return Ip4Address::load(data_ + 12); }
    [[nodiscard]] Ip4Address destination() const { return Ip4Address::load(data_ + 16); }
    [[nodiscard]] Bytes header() const { return {data_, header_length()}; }
    [[nodiscard]] Bytes options() const { return header().subspan(kIpv4HeaderSize); }
    [[nodiscard]] Bytes payload() const {
        return {data_ + header_length(), total_length() - header_length()};
    }
    [[nodiscard]] Bytes bytes() const { return {data_, total_length()}; }
    [[nodiscard]] bool checksum_verifies() const {
        // The usual size is written out as a constant, for which the compiler unrolls the sum.
        return header_length() == kIpv4HeaderSize ? wire::checksum_verifies({data_, kIpv4HeaderSize})
                                                  : wire::checksum_verifies(header());
    }

  protected:
    explicit Ipv4View(const uint8_t* data) : data_(data) {}

  private:
    const uint8_t* data_;
};

// A header to be rewritten in place. Setters keep a right checksum right, and a wrong one wrong (RFC 1624).
class MutableIpv4View : public Ipv4View {
  public:
    // The caller has checked the same bytes through Ipv4View.
    static MutableIpv4View unchecked(uint8_t* data) { return MutableIpv4View(data); }

    // The TTL must not be 0. What set_ttl() does in fewer steps: taking 1 from the TTL adds 1 to the
    // checksum, with the carry of one's complement, when both are read with their first byte lowest (RFC
    // 1624).
    void decrement_ttl() {
        // TTL, protocol and checksum at once: one less, and one more with the carry around.
        uint32_t word;
        std::memcpy(&word, data_ + 8, sizeof word);
        word += 0xffff + (word >= 0xfffe'0000 ? 0x1'0000 : 0);
        std::memcpy(data_ + 8, &word, sizeof word);
    }
    void set_ttl(uint8_t ttl) { replace16(8, static_cast<uint16_t>(ttl << 8 | data_[9])); }
    void set_tos(uint8_t tos) { replace16(0, static_cast<uint16_t>(data_[0] << 8 | tos)); }
    void set_source(Ip4Address address) {
        update(ChecksumDelta{}.add(source(), address));
        address.store(data_ + 12);
    }
    void set_destination(Ip4Address address) {
        update(ChecksumDelta{}.add(destination(), address));
        address.store(data_ + 16);
    }
    // Computes the checksum anew.
    void refresh_checksum() {
        Be16{}.store(data_ + 10);
        wire::checksum(header()).store(data_ + 10);
    }

  private:
    explicit MutableIpv4View(uint8_t* data) : Ipv4View(data), data_(data) {}
    // Writes whole words: a byte written and then read as part of a word would stall the processor.
    void replace16(size_t at, uint16_t value) {
        const Be16 after = Be16::from_host(value);
        update(ChecksumDelta{}.add(Be16::load(data_ + at), after));
        after.store(data_ + at);
    }
    void update(ChecksumDelta delta) { delta.apply(checksum()).store(data_ + 10); }
    uint8_t* data_;
};

// A header as a value.
struct Ipv4Header {
    uint8_t tos = 0;
    uint16_t id = 0;
    bool dont_fragment = false;
    bool more_fragments = false;
    uint32_t fragment_offset = 0;  // bytes, a multiple of 8 below 65536
    uint8_t ttl = 64;
    IpProtocol protocol{};
    Ip4Address source = {};
    Ip4Address destination = {};
    uint16_t payload_length = 0;           // at most 65535 - header_size()
    uint8_t options_length = 0;            // bytes of options, a multiple of 4, at most 40
    std::array<uint8_t, 40> options = {};  // bytes behind options_length are zero

    [[nodiscard]] size_t header_size() const { return kIpv4HeaderSize + options_length; }
    static Ipv4Header parse(Ipv4View view) {
        Ipv4Header result{.tos = view.tos(),
                          .id = view.id(),
                          .dont_fragment = view.dont_fragment(),
                          .more_fragments = view.more_fragments(),
                          .fragment_offset = view.fragment_offset(),
                          .ttl = view.ttl(),
                          .protocol = view.protocol(),
                          .source = view.source(),
                          .destination = view.destination(),
                          .payload_length = static_cast<uint16_t>(view.total_length() - view.header_length()),
                          .options_length = static_cast<uint8_t>(view.options().size())};
        copy_bytes(result.options.data(), view.options());
        return result;
    }
    // Writes the header with its checksum. Bytes written; 0 if they do not fit.
    size_t emit(MutableBytes to) const {
        if (to.size() < header_size()) {
            return 0;
        }
        uint8_t* data = to.data();
        data[0] = static_cast<uint8_t>(0x40 | header_size() / 4);
        data[1] = tos;
        write16(data + 2, static_cast<uint16_t>(header_size() + payload_length));
        write16(data + 4, id);
        write16(data + 6, static_cast<uint16_t>((dont_fragment ? 0x4000 : 0) | (more_fragments ? 0x2000 : 0) |
                                                fragment_offset / 8));
        data[8] = ttl;
        data[9] = static_cast<uint8_t>(protocol);
        source.store(data + 12);
        destination.store(data + 16);
        copy_bytes(data + kIpv4HeaderSize, Bytes(options.data(), options_length));
        MutableIpv4View::unchecked(data).refresh_checksum();
        return header_size();
    }
    bool operator==(const Ipv4Header&) const = default;
};

}  // namespace sluice::wire
