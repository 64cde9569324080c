#include "routing/ip4_options.hh"

#include <algorithm>

#include "wire/ipv4_options.hh"

namespace sluice::routing {
namespace {

using wire::Ipv4OptionType;

// Places in both options; a pointer counts from 1.
constexpr size_t kPointer = 2;
constexpr size_t kFlags = 3;  // timestamp: overflow in the upper half
constexpr uint8_t kFirstRoute = 4;
constexpr uint8_t kFirstTimestamp = 5;
constexpr uint8_t kMaxOverflow = 15;

enum class TimestampFlag : uint8_t { time_only = 0, with_address = 1, prespecified = 3 };

TimestampFlag flag_of(wire::Bytes timestamp) {
    return TimestampFlag{static_cast<uint8_t>(timestamp[kFlags] & 0x0f)};
}

// Not those of timestamps with a flag that nobody has defined.
bool has_entries(Ipv4OptionType type, wire::Bytes option) {
    return type == Ipv4OptionType::record_route || flag_of(option) == TimestampFlag::time_only ||
           flag_of(option) == TimestampFlag::with_address || flag_of(option) == TimestampFlag::prespecified;
}

size_t entry_size(Ipv4OptionType type, wire::Bytes option) {
    const bool has_address =
        type == Ipv4OptionType::timestamp &&
        (flag_of(option) == TimestampFlag::with_address || flag_of(option) == TimestampFlag::prespecified);
    return has_address ? 8 : 4;
}

bool is_full(wire::Bytes option) {
    return option[kPointer] > option.size();
}

bool has_room(wire::Bytes option, size_t size) {
    return option[kPointer] - 1 + size <= option.size();
}

// The wrong octet of an option, from its start.
std::optional<size_t> fault_of(const wire::Ipv4Option& option) {
    const auto bytes = option.bytes;
    switch (option.type) {
        case Ipv4OptionType::record_route:
            if (bytes.size() <= kPointer)
                return 1;
            if (bytes[kPointer] < kFirstRoute || (!is_full(bytes) && !has_room(bytes, 4)))
                return kPointer;
            return std::nullopt;
        case Ipv4OptionType::timestamp: {
            if (bytes.size() <= kFlags)
                return 1;
            if (bytes[kPointer] < kFirstTimestamp)
                return kPointer;
            const auto flag = flag_of(bytes);
            if (is_full(bytes)) {
                return flag != TimestampFlag::prespecified && bytes[kFlags] >> 4 == kMaxOverflow
                           ? std::optional(kFlags)
                           : std::nullopt;
            }
            return has_room(bytes, entry_size(option.type, bytes)) ? std::nullopt : std::optional(kPointer);
        }
        case Ipv4OptionType::router_alert:
            return bytes.size() < 4 ? std::optional<size_t>(1) : std::nullopt;
        default:
            return std::nullopt;
    }
}

// As Linux sees whose turn it is: an address that is not a host's leaves it to the box.
bool is_another_host(Ip4Address address, const SourceFilter& own) {
    return !own.contains(address) && !address.is_unspecified() && !address.is_loopback() &&
           !address.is_multicast() && !address.is_limited_broadcast();
}

// The box's entry in an option that has room for it.
void enter(Ipv4OptionType type, wire::MutableBytes option, const OptionStamp& stamp) {
    uint8_t* const entry = option.data() + option[kPointer] - 1;
    if (type == Ipv4OptionType::record_route) {
        stamp.out.store(entry);
        option[kPointer] += 4;
        return;
    }
    switch (flag_of(option)) {
        case TimestampFlag::time_only:
            wire::write32(entry, stamp.time);
            option[kPointer] += 4;
            return;
        case TimestampFlag::with_address:
            stamp.back.store(entry);
            wire::write32(entry + 4, stamp.time);
            option[kPointer] += 8;
            return;
        case TimestampFlag::prespecified:
            if (is_another_host(Ip4Address::load(entry), stamp.own))
                return;
            wire::write32(entry + 4, stamp.time);
            option[kPointer] += 8;
            return;
    }
}

// What becomes of an option on its way through the box.
void pass(Ipv4OptionType type, wire::MutableBytes option, const OptionStamp& stamp) {
    if (!is_full(option))
        enter(type, option, stamp);
    else if (type == Ipv4OptionType::timestamp && flag_of(option) != TimestampFlag::prespecified)
        option[kFlags] += 0x10;
}

bool takes_entries(Ipv4OptionType type) {
    return type == Ipv4OptionType::record_route || type == Ipv4OptionType::timestamp;
}

// Calls on_option(option) for each option up to the first that is wrong; where that is.
template <typename OnOption>
std::optional<uint8_t> walk_sound(wire::Ipv4View datagram, OnOption&& on_option) {
    wire::Ipv4OptionWalk walk(datagram);
    bool seen_route = false;
    bool seen_timestamp = false;
    while (const auto option = walk.next()) {
        bool& seen = option->type == Ipv4OptionType::record_route ? seen_route : seen_timestamp;
        if (takes_entries(option->type)) {
            if (seen)
                return option->offset;
            seen = true;
        }
        if (const auto fault = fault_of(*option))
            return static_cast<uint8_t>(option->offset + *fault);
        on_option(*option);
    }
    return walk.malformed() ? std::optional(walk.malformed_offset()) : std::nullopt;
}

// An option is repeated in an answer with the box's entry for the way back behind the one for the way here.
// False if the rest of its room is too small for an entry.
bool answer_option(Ipv4OptionType type, wire::MutableBytes option, const OptionStamp& stamp) {
    const bool was_full = is_full(option);
    pass(type, option, stamp);
    if (was_full || is_full(option) || !has_entries(type, option))
        return true;
    if (has_room(option, entry_size(type, option))) {
        enter(type, option, stamp);
        return true;
    }
    // Of a prespecified address without its time Linux takes no notice.
    return type == Ipv4OptionType::timestamp && flag_of(option) == TimestampFlag::prespecified &&
           has_room(option, 4);
}

}  // namespace

std::optional<uint8_t> option_fault(wire::Ipv4View datagram) {
    return walk_sound(datagram, [](const wire::Ipv4Option&) {});
}

bool has_source_route(wire::Ipv4View datagram) {
    wire::Ipv4OptionWalk walk(datagram);
    while (const auto option = walk.next()) {
        if (option->is_source_route())
            return true;
    }
    return false;
}

uint32_t option_time(Instant now) {
    constexpr uint32_t kNotUniversal = 0x80000000;
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
    return kNotUniversal | static_cast<uint32_t>(milliseconds.count());
}

void stamp_options(wire::MutableBytes datagram, const OptionStamp& stamp) {
    auto view = wire::MutableIpv4View::unchecked(datagram.data());
    size_t end = wire::kIpv4HeaderSize;
    wire::Ipv4OptionWalk walk(view);
    while (const auto option = walk.next()) {
        end = option->offset + option->bytes.size();
        if (takes_entries(option->type))
            pass(option->type, datagram.subspan(option->offset, option->bytes.size()), stamp);
    }
    // Behind the last option stand "no operation" and "end" alone.
    while (end < view.header_length() && datagram[end] != static_cast<uint8_t>(Ipv4OptionType::end))
        ++end;
    std::ranges::fill(datagram.subspan(end, view.header_length() - end),
                      static_cast<uint8_t>(Ipv4OptionType::end));
    view.refresh_checksum();
}

std::optional<Ip4Options> answer_options(wire::Ipv4View asked, const OptionStamp& stamp) {
    Ip4Options result;
    if (!asked.has_options())
        return result;
    wire::Bytes route;
    wire::Bytes timestamp;
    walk_sound(asked, [&](const wire::Ipv4Option& option) {
        if (option.type == Ipv4OptionType::record_route)
            route = option.bytes;
        else if (option.type == Ipv4OptionType::timestamp)
            timestamp = option.bytes;
    });
    size_t at = 0;
    const auto repeat = [&](Ipv4OptionType type, wire::Bytes option) {
        if (option.empty())
            return true;
        const auto copy = wire::MutableBytes(result.bytes).subspan(at, option.size());
        wire::copy_bytes(copy.data(), option);
        at += option.size();
        return answer_option(type, copy, stamp);
    };
    if (!repeat(Ipv4OptionType::record_route, route) || !repeat(Ipv4OptionType::timestamp, timestamp))
        return std::nullopt;
    result.length = static_cast<uint8_t>((at + 3) / 4 * 4);
    return result;
}

}  // namespace sluice::routing
