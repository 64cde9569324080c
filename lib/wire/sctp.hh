// SCTP packets (RFC 9260 3): the common header and the chunks behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "base/byte_order.hh"
#include "wire/bytes.hh"

namespace sluice::wire {

inline constexpr size_t kSctpHeaderSize = 12;
inline constexpr size_t kSctpChunkHeaderSize = 4;
inline constexpr size_t kSctpInitHeaderSize = 16;  // behind the chunk header of INIT and INIT ACK

enum class SctpChunkType : uint8_t {
    data = 0,
    init = 1,
    init_ack = 2,
    sack = 3,
    heartbeat = 4,
    heartbeat_ack = 5,
    abort = 6,
    shutdown = 7,
    shutdown_ack = 8,
    error = 9,
    cookie_echo = 10,
    cookie_ack = 11,
    shutdown_complete = 14,
};

inline constexpr uint8_t kSctpReflectedTag = 0x01;  // T flag of ABORT and SHUTDOWN COMPLETE

struct SctpChunk {
    SctpChunkType type{};
    uint8_t flags = 0;
    uint16_t length = 0;  // as it says itself, header included, padding not; may lie
    Bytes body;           // all of the packet behind the chunk's header
    // INIT and INIT ACK: the tag their sender wants to see; none if cut short.
    [[nodiscard]] std::optional<Be32> initiate_tag() const {
        if (body.size() < kSctpInitHeaderSize) {
            return std::nullopt;
        }
        return Be32::load(body.data());
    }
};

// Walks the chunks as far as their headers are there.
class SctpChunkWalk {
  public:
    explicit SctpChunkWalk(Bytes chunks) : rest_(chunks) {}
    // None at the end; a chunk of length zero is the last one.
    std::optional<SctpChunk> next() {
        if (rest_.size() < kSctpChunkHeaderSize) {
            return std::nullopt;
        }
        const SctpChunk chunk{SctpChunkType{rest_[0]}, rest_[1], read16(rest_.data() + 2),
                              rest_.subspan(kSctpChunkHeaderSize)};
        const size_t padded = (size_t{chunk.length} + 3) & ~size_t{3};
        rest_ = padded == 0 || padded > rest_.size() ? Bytes{} : rest_.subspan(padded);
        return chunk;
    }

  private:
    Bytes rest_;
};

enum class SctpError : uint8_t { too_short };

class SctpView {
  public:
    static std::expected<SctpView, SctpError> checked(Bytes bytes) {
        if (bytes.size() < kSctpHeaderSize) {
            return std::unexpected(SctpError::too_short);
        }
        return SctpView(bytes);
    }
    static SctpView unchecked(Bytes bytes) { return SctpView(bytes); }

    [[nodiscard]] uint16_t source_port() const { return read16(bytes_.data()); }
    [[nodiscard]] uint16_t destination_port() const { return read16(bytes_.data() + 2); }
    [[nodiscard]] Be32 verification_tag() const { return Be32::load(bytes_.data() + 4); }
    // A number in little-endian order, unlike all others (RFC 9260 appendix A).
    [[nodiscard]] uint32_t checksum() const {
        uint32_t value;
        std::memcpy(&value, bytes_.data() + 8, sizeof value);
        return value;
    }
    [[nodiscard]] SctpChunkWalk chunks() const { return SctpChunkWalk(bytes_.subspan(kSctpHeaderSize)); }
    [[nodiscard]] bool checksum_verifies() const;

  private:
    explicit SctpView(Bytes bytes) : bytes_(bytes) {}
    Bytes bytes_;
};

// CRC32c of a packet whose checksum field counts as zero; at least a common header.
uint32_t sctp_checksum(Bytes packet);

struct SctpHeader {
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    Be32 verification_tag;
    uint32_t checksum = 0;

    static constexpr size_t size() { return kSctpHeaderSize; }
    static SctpHeader parse(SctpView view) {
        return {view.source_port(), view.destination_port(), view.verification_tag(), view.checksum()};
    }
    // Bytes written; 0 if they do not fit.
    size_t emit(MutableBytes to) const {
        if (to.size() < size()) {
            return 0;
        }
        write16(to.data(), source_port);
        write16(to.data() + 2, destination_port);
        verification_tag.store(to.data() + 4);
        std::memcpy(to.data() + 8, &checksum, sizeof checksum);
        return size();
    }
    bool operator==(const SctpHeader&) const = default;
};

}  // namespace sluice::wire
