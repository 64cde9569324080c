// TCP headers (RFC 9293 3.1) and their usual options (RFC 7323, RFC 2018).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "wire/bytes.hh"
#include "wire/checksum.hh"

namespace sluice::wire {

inline constexpr size_t kTcpHeaderSize = 20;  // without options
inline constexpr size_t kTcpMaxHeaderSize = 60;

// A set of header flags.
class TcpFlags {
  public:
    constexpr TcpFlags() = default;
    explicit constexpr TcpFlags(uint8_t bits) : bits_(bits) {}
    [[nodiscard]] constexpr uint8_t bits() const { return bits_; }
    // Are all of these set?
    [[nodiscard]] constexpr bool has(TcpFlags flags) const { return (bits_ & flags.bits_) == flags.bits_; }
    [[nodiscard]] constexpr bool has_any(TcpFlags flags) const { return (bits_ & flags.bits_) != 0; }
    constexpr TcpFlags operator|(TcpFlags other) const {
        return TcpFlags(static_cast<uint8_t>(bits_ | other.bits_));
    }
    constexpr TcpFlags operator&(TcpFlags other) const {
        return TcpFlags(static_cast<uint8_t>(bits_ & other.bits_));
    }
    constexpr bool operator==(const TcpFlags&) const = default;

  private:
    uint8_t bits_ = 0;
};

inline constexpr TcpFlags kTcpFin{0x01};
inline constexpr TcpFlags kTcpSyn{0x02};
inline constexpr TcpFlags kTcpRst{0x04};
inline constexpr TcpFlags kTcpPsh{0x08};
inline constexpr TcpFlags kTcpAck{0x10};
inline constexpr TcpFlags kTcpUrg{0x20};
inline constexpr TcpFlags kTcpEce{0x40};
inline constexpr TcpFlags kTcpCwr{0x80};

enum class TcpError : uint8_t {
    too_short,        // less than 20 bytes
    bad_data_offset,  // less than 5 words
    truncated,        // header beyond the data
};

// A segment.
class TcpView {
  public:
    static std::expected<TcpView, TcpError> checked(Bytes bytes) {
        if (bytes.size() < kTcpHeaderSize) [[unlikely]] {
            return std::unexpected(TcpError::too_short);
        }
        const size_t header = (bytes[12] >> 4) * size_t{4};
        if (header < kTcpHeaderSize) [[unlikely]] {
            return std::unexpected(TcpError::bad_data_offset);
        }
        if (header > bytes.size()) [[unlikely]] {
            return std::unexpected(TcpError::truncated);
        }
        return TcpView(bytes);
    }
    static TcpView unchecked(Bytes bytes) { return TcpView(bytes); }

    [[nodiscard]] uint16_t source_port() const { return read16(bytes_.data()); }
    [[nodiscard]] uint16_t destination_port() const { return read16(bytes_.data() + 2); }
    [[nodiscard]] uint32_t sequence() const { return read32(bytes_.data() + 4); }
    [[nodiscard]] uint32_t acknowledgment() const { return read32(bytes_.data() + 8); }
    [[nodiscard]] size_t header_length() const { return (bytes_[12] >> 4) * size_t{4}; }
    [[nodiscard]] uint8_t reserved() const { return bytes_[12] & 0x0f; }
    [[nodiscard]] TcpFlags flags() const { return TcpFlags(bytes_[13]); }
    [[nodiscard]] uint16_t window() const { return read16(bytes_.data() + 14); }
    [[nodiscard]] Be16 checksum() const { return Be16::load(bytes_.data() + 16); }
    [[nodiscard]] uint16_t urgent_pointer() const { return read16(bytes_.data() + 18); }
    [[nodiscard]] Bytes options() const {
        return bytes_.subspan(kTcpHeaderSize, header_length() - kTcpHeaderSize);
    }
    [[nodiscard]] Bytes payload() const { return bytes_.subspan(header_length()); }
    [[nodiscard]] Bytes bytes() const { return bytes_; }
    // `pseudo` comes from pseudo_header() with the length of the segment.
    [[nodiscard]] bool checksum_verifies(Checksum pseudo) const { return pseudo.add(bytes_).verifies(); }

  private:
    explicit TcpView(Bytes bytes) : bytes_(bytes) {}
    Bytes bytes_;
};

enum class TcpOptionType : uint8_t {
    end = 0,
    no_operation = 1,
    mss = 2,
    window_scale = 3,
    sack_permitted = 4,
    sack = 5,
    timestamps = 8,
};

struct TcpOption {
    TcpOptionType type{};
    Bytes bytes = {};  // the whole option with type and length
};

// Walks options; "no operation" and "end" are not reported.
class TcpOptionWalk {
  public:
    explicit TcpOptionWalk(Bytes options) : options_(options) {}
    // The next option; none at the end, and at a malformed one, where malformed() becomes true.
    std::optional<TcpOption> next() {
        while (!options_.empty() && TcpOptionType{options_[0]} == TcpOptionType::no_operation) {
            options_ = options_.subspan(1);
        }
        if (options_.empty() || TcpOptionType{options_[0]} == TcpOptionType::end || malformed_) {
            return std::nullopt;
        }
        if (options_.size() < 2 || options_[1] < 2 || options_[1] > options_.size()) {
            malformed_ = true;
            return std::nullopt;
        }
        const TcpOption option{TcpOptionType{options_[0]}, options_.first(options_[1])};
        options_ = options_.subspan(option.bytes.size());
        return option;
    }
    [[nodiscard]] bool malformed() const { return malformed_; }

  private:
    Bytes options_;
    bool malformed_ = false;
};

struct TcpTimestamps {
    uint32_t value = 0;
    uint32_t echo = 0;
    bool operator==(const TcpTimestamps&) const = default;
};

struct TcpSackBlock {
    uint32_t left = 0;
    uint32_t right = 0;
    bool operator==(const TcpSackBlock&) const = default;
};

// The options Sluice knows, as values. Unknown ones, and known ones of a wrong length, are left out.
struct TcpOptions {
    std::optional<uint16_t> mss = {};
    std::optional<uint8_t> window_scale = {};
    bool sack_permitted = false;
    std::optional<TcpTimestamps> timestamps = {};
    uint8_t sack_count = 0;
    std::array<TcpSackBlock, 4> sack{};

    static TcpOptions parse(Bytes options);
    // Bytes with padding, a multiple of 4. May exceed the 40 there is room for if everything is set.
    [[nodiscard]] size_t size() const;
    // Writes them padded. Bytes written; 0 if they do not fit.
    size_t emit(MutableBytes to) const;
    bool operator==(const TcpOptions&) const = default;
};

struct TcpHeader {
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    uint32_t sequence = 0;
    uint32_t acknowledgment = 0;
    TcpFlags flags = {};
    uint16_t window = 0;
    Be16 checksum = {};
    uint16_t urgent_pointer = 0;
    TcpOptions options = {};

    [[nodiscard]] size_t size() const { return kTcpHeaderSize + options.size(); }
    static TcpHeader parse(TcpView view);
    // Writes the header with the checksum it has. Bytes written; 0 if they do not fit or make no header.
    size_t emit(MutableBytes to) const;
    bool operator==(const TcpHeader&) const = default;
};

// Fills the checksum of a whole segment. `pseudo` comes from pseudo_header().
inline void set_tcp_checksum(MutableBytes segment, Checksum pseudo) {
    write16(segment.data() + 16, 0);
    pseudo.add(segment).finish().store(segment.data() + 16);
}

}  // namespace sluice::wire
