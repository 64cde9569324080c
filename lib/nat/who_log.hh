// Who had which external endpoint, and when: mappings that have ended, the newest of them, in bounded memory.
// Remotes are never recorded (R6888-12).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "base/address.hh"
#include "base/time.hh"
#include "nat/endpoint.hh"
#include "nat/mapping.hh"
#include "nat/mapping_table.hh"
#include "wire/protocol.hh"

namespace sluice::nat {

struct WhoRecord {
    Endpoint external;
    Endpoint inside;
    wire::IpProtocol protocol{};
    Instant began{};
    std::optional<Instant> ended;  // nothing: it lives

    [[nodiscard]] bool covers(Instant at) const { return began <= at && (!ended || at <= *ended); }
    bool operator==(const WhoRecord&) const = default;
};

// Where a search stands: mappings that live, then the log from its newest record back.
struct WhoCursor {
    MappingCursor living;
    std::optional<uint64_t> record;  // the next, plus one; nothing: not begun
    bool done = false;
};

// 56 bytes a record. One owner. Time goes forward, so that records are in the order of their ends.
class WhoLog {
  public:
    explicit WhoLog(size_t capacity) : records_(capacity) {}

    void add(const Mapping& mapping, Instant ended);
    void add(const Ip4Endpoint& inside, const Ip4Endpoint& external, wire::IpProtocol protocol, Instant began,
             Instant ended) {
        if (records_.empty())
            return;
        Record& record = take_place();
        record.began = began;
        record.ended = ended;
        record.external = {};
        std::memcpy(record.external.data(), &external.address, sizeof external.address);
        record.inside = {};
        std::memcpy(record.inside.data(), &inside.address, sizeof inside.address);
        record.external_port = external.port;
        record.inside_port = inside.port;
        record.protocol = protocol;
        record.family = Family::ip4;
    }

    // Gives matching records, newest first, to give(const WhoRecord&). Looks at `budget` records from the
    // cursor on and moves it; records that ended before `at` are not looked at.
    template <typename Give>
    void search(const Endpoint& external, wire::IpProtocol protocol, std::optional<Instant> at,
                WhoCursor& cursor, size_t budget, Give&& give) const {
        uint64_t next = cursor.record.value_or(written_);
        for (; budget > 0 && next > oldest() && !cursor.done; --budget) {
            const Record& record = records_[--next % records_.size()];
            if (at && record.ended < *at)
                cursor.done = true;
            else if (record.is_of(external, protocol) && (!at || record.began <= *at))
                give(record.told());
        }
        cursor.record = next;
        cursor.done = cursor.done || next <= oldest();
    }

    [[nodiscard]] size_t size() const { return written_ - oldest(); }
    [[nodiscard]] uint64_t written() const { return written_; }

  private:
    struct Record {
        Instant began;
        Instant ended;
        std::array<uint8_t, 16> external{};  // wire order; four bytes for IPv4
        std::array<uint8_t, 16> inside{};
        uint16_t external_port = 0;
        uint16_t inside_port = 0;
        wire::IpProtocol protocol{};
        Family family{};
        [[nodiscard]] bool is_of(const Endpoint& endpoint, wire::IpProtocol of) const;
        [[nodiscard]] WhoRecord told() const;
    };
    static_assert(sizeof(Record) == 56);
    [[nodiscard]] uint64_t oldest() const {
        return written_ > records_.size() ? written_ - records_.size() : 0;
    }

    // That of the oldest, once all are in use.
    [[nodiscard]] Record& take_place() {
        Record& record = records_[next_];
        if (++next_ == records_.size())
            next_ = 0;
        ++written_;
        return record;
    }

    std::vector<Record> records_;
    uint64_t written_ = 0;
    size_t next_ = 0;  // written_, modulo their number
};

}  // namespace sluice::nat
