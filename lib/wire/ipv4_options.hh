// IPv4 options (RFC 791 3.1, RFC 1812 4.2.2.1, 5.2.4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "wire/bytes.hh"
#include "wire/ipv4.hh"

namespace sluice::wire {

enum class Ipv4OptionType : uint8_t {
    end = 0,
    no_operation = 1,
    record_route = 7,
    timestamp = 68,
    security = 130,
    loose_source_route = 131,
    strict_source_route = 137,
    router_alert = 148,
};

struct Ipv4Option {
    Ipv4OptionType type{};
    uint8_t offset = 0;  // from the start of the IPv4 header
    Bytes bytes;         // the whole option with type and length

    // Is it to be repeated in every fragment?
    [[nodiscard]] bool copied() const { return (static_cast<uint8_t>(type) & 0x80) != 0; }
    [[nodiscard]] bool is_source_route() const {
        return type == Ipv4OptionType::loose_source_route || type == Ipv4OptionType::strict_source_route;
    }
};

// Walks the options of a checked header; "no operation" and "end" are not reported.
class Ipv4OptionWalk {
  public:
    explicit Ipv4OptionWalk(Ipv4View view) : options_(view.options()) {}
    // The next option; none at the end, and at a malformed one, where malformed() becomes true.
    std::optional<Ipv4Option> next() {
        while (at_ < options_.size()) {
            const auto type = Ipv4OptionType{options_[at_]};
            if (type == Ipv4OptionType::end) {
                break;
            }
            if (type == Ipv4OptionType::no_operation) {
                ++at_;
                continue;
            }
            if (options_.size() - at_ < 2 || options_[at_ + 1] < 2 ||
                options_[at_ + 1] > options_.size() - at_) {
                malformed_ = true;
                return std::nullopt;
            }
            const Ipv4Option option{type, static_cast<uint8_t>(kIpv4HeaderSize + at_),
                                    options_.subspan(at_, options_[at_ + 1])};
            at_ += option.bytes.size();
            return option;
        }
        at_ = options_.size();
        return std::nullopt;
    }
    [[nodiscard]] bool malformed() const { return malformed_; }
    // Offset of the malformed option from the start of the IPv4 header: a parameter problem's pointer.
    [[nodiscard]] uint8_t malformed_offset() const { return static_cast<uint8_t>(kIpv4HeaderSize + at_); }

  private:
    Bytes options_;
    size_t at_ = 0;
    bool malformed_ = false;
};

// What matters of a header's options to a router.
struct Ipv4OptionSummary {
    bool source_route = false;  // strict or loose
    bool record_route = false;
    bool timestamp = false;
    bool router_alert = false;
    bool malformed = false;
    uint8_t pointer = 0;  // offset of the malformed option from the start of the IPv4 header
    bool operator==(const Ipv4OptionSummary&) const = default;
};

inline Ipv4OptionSummary summarize_options(Ipv4View view) {
    Ipv4OptionSummary result;
    Ipv4OptionWalk walk(view);
    while (const auto option = walk.next()) {
        result.source_route |= option->is_source_route();
        result.record_route |= option->type == Ipv4OptionType::record_route;
        result.timestamp |= option->type == Ipv4OptionType::timestamp;
        result.router_alert |= option->type == Ipv4OptionType::router_alert;
    }
    result.malformed = walk.malformed();
    result.pointer = walk.malformed() ? walk.malformed_offset() : uint8_t{0};
    return result;
}

}  // namespace sluice::wire
