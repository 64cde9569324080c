// Elements as text, both ways.
#include <algorithm>
#include <charconv>
#include <iterator>

#include "base/prefix.hh"
#include "sets/element.hh"
#include "sets/wide.hh"

namespace sluice::sets {
namespace {

struct ProtocolName {
    std::string_view name;
    uint8_t number;
};
constexpr auto kProtocols = std::to_array<ProtocolName>({{"icmp", 1},
                                                         {"tcp", 6},
                                                         {"udp", 17},
                                                         {"gre", 47},
                                                         {"esp", 50},
                                                         {"ah", 51},
                                                         {"icmpv6", 58},
                                                         {"sctp", 132},
                                                         {"udplite", 136}});

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

// Shown in messages: bounded and without control characters.
std::string quoted(std::string_view text) {
    std::string result = "'";
    for (const char c : text.substr(0, 64))
        result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return result + (text.size() > 64 ? "...'" : "'");
}

// A decimal number up to max at the front, without leading zeros; taken off the text.
bool take_number(std::string_view& text, uint32_t max, uint32_t& value) {
    size_t length = 0;
    uint64_t sum = 0;
    while (length < text.size() && length < 10 && is_digit(text[length]))
        sum = sum * 10 + static_cast<uint64_t>(text[length++] - '0');
    if (length == 0 || sum > max || (length > 1 && text[0] == '0'))
        return false;
    value = static_cast<uint32_t>(sum);
    text.remove_prefix(length);
    return true;
}

// A dotted quad at the front, the ordinary case by far.
bool take_ip4(std::string_view& text, uint32_t& address) {
    std::string_view rest = text;
    uint32_t sum = 0;
    for (int part = 0; part < 4; ++part) {
        uint32_t octet = 0;
        if (part > 0) {
            if (!rest.starts_with('.'))
                return false;
            rest.remove_prefix(1);
        }
        if (!take_number(rest, 255, octet))
            return false;
        sum = sum << 8 | octet;
    }
    text = rest;
    address = sum;
    return true;
}

// A span of one field as it is read.
struct Span {
    uint8_t* low;
    uint8_t* high;
    void set(Wide from, Wide to, size_t width) const {
        store_wide(from, low, width);
        store_wide(to, high, width);
    }
};

struct AddressSpan {
    Family family = Family::ip4;
    Wide low = 0;
    Wide high = 0;
};

Expected<IpAddress> parse_address(std::string_view text) {
    auto address = IpAddress::parse(text);
    if (!address)
        return fail(quoted(text) + " is no address", "expected as in 192.0.2.1 or 2001:db8::1");
    return *address;
}

Wide number_of(const IpAddress& address) {
    return address.is_ip4() ? Wide{address.ip4().host()} : load_wide(address.ip6().bytes().data(), 16);
}

Expected<AddressSpan> parse_net(std::string_view text) {
    const size_t slash = text.find('/');
    const size_t dash = slash == std::string_view::npos ? text.find('-') : std::string_view::npos;
    const auto first = parse_address(trimmed(text.substr(0, std::min(slash, dash))));
    if (!first)
        return fail(quoted(text) + " is no network",
                    "expected as in 10.0.0.0/8, 2001:db8::/32 or 192.0.2.1-192.0.2.9");
    AddressSpan span{first->family(), number_of(*first), number_of(*first)};
    const unsigned bits = address_bits(span.family);
    if (slash != std::string_view::npos) {
        std::string_view rest = text.substr(slash + 1);
        uint32_t length = 0;
        if (!take_number(rest, bits, length) || !rest.empty())
            return fail(quoted(text) + " has no length of a prefix behind the /",
                        "expected 0 to " + std::to_string(bits));
        const Wide hosts = ones(bits - length);
        if ((span.low & hosts) != 0)
            return fail(quoted(text) + " has bits set behind the prefix",
                        "did you mean " + IpPrefix(*first, static_cast<uint8_t>(length)).to_string() + "?");
        span.high = span.low | hosts;
    } else if (dash != std::string_view::npos) {
        const auto last = parse_address(trimmed(text.substr(dash + 1)));
        if (!last)
            return std::unexpected(last.error());
        if (last->family() != span.family)
            return fail(quoted(text) + " begins in one family and ends in the other");
        span.high = number_of(*last);
        if (span.high < span.low)
            return fail(quoted(text) + " ends before it begins");
    }
    return span;
}

Expected<AddressSpan> parse_address_field(FieldKind kind, std::string_view text) {
    std::string_view rest = text;
    uint32_t quad = 0;
    if (take_ip4(rest, quad)) {
        if (rest.empty())
            return AddressSpan{Family::ip4, quad, quad};
        uint32_t length = 0;
        if (kind == FieldKind::net && rest.starts_with('/')) {
            rest.remove_prefix(1);
            if (take_number(rest, 32, length) && rest.empty()) {
                const auto hosts = static_cast<uint32_t>(ones(32 - length));
                if ((quad & hosts) == 0)
                    return AddressSpan{Family::ip4, quad, quad | hosts};
            }
        }
    }
    if (kind == FieldKind::net)
        return parse_net(text);
    const auto address = parse_address(text);
    if (!address) {
        if (parse_net(text))
            return fail(quoted(text) + " is more than one address",
                        "a set of type net holds prefixes and ranges");
        return std::unexpected(address.error());
    }
    return AddressSpan{address->family(), number_of(*address), number_of(*address)};
}

Expected<void> parse_port(std::string_view text, const Span& into) {
    std::string_view rest = text;
    uint32_t low = 0;
    if (take_number(rest, 65535, low)) {
        uint32_t high = low;
        bool good = true;
        if (rest.starts_with('-')) {
            rest.remove_prefix(1);
            good = take_number(rest, 65535, high);
        }
        if (good && rest.empty()) {
            if (high < low)
                return fail(quoted(text) + " ends before it begins");
            into.set(low, high, 2);
            return {};
        }
    }
    return fail(quoted(text) + " is no port", "expected 0 to 65535, or a range such as 1000-2000");
}

Expected<void> parse_proto(std::string_view text, const Span& into) {
    uint32_t number = 0;
    const auto named = std::ranges::find(kProtocols, text, &ProtocolName::name);
    if (named != kProtocols.end()) {
        number = named->number;
    } else {
        std::string_view rest = text;
        if (!take_number(rest, 255, number) || !rest.empty())
            return fail(quoted(text) + " is no protocol", "expected a name such as tcp or udp, or 0 to 255");
    }
    into.set(number, number, 1);
    return {};
}

Expected<void> parse_mark(std::string_view text, const Span& into) {
    uint32_t number = 0;
    bool good = false;
    if (text.starts_with("0x") && text.size() > 2) {
        const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), number, 16);
        good = error == std::errc{} && end == text.data() + text.size();
    } else {
        std::string_view rest = text;
        good = take_number(rest, UINT32_MAX, number) && rest.empty();
    }
    if (!good)
        return fail(quoted(text) + " is no mark", "expected a number such as 10 or 0xff");
    into.set(number, number, 4);
    return {};
}

Expected<void> parse_mac(std::string_view text, const Span& into) {
    const auto address = MacAddress::parse(text);
    if (!address)
        return fail(quoted(text) + " is no Ethernet address", "expected as in 02:00:00:00:01:01");
    address->store(into.low);
    address->store(into.high);
    return {};
}

Expected<void> parse_plain(FieldKind kind, std::string_view text, const Span& into) {
    switch (kind) {
        case FieldKind::port:
            return parse_port(text, into);
        case FieldKind::mac:
            return parse_mac(text, into);
        case FieldKind::proto:
            return parse_proto(text, into);
        default:
            return parse_mark(text, into);
    }
}

// Takes the text of the next field: up to a comma, or a dot between spaces.
std::string_view take_field(std::string_view& rest, bool& more) {
    const size_t comma = rest.find(',');
    const size_t dot = rest.find(" . ");
    const size_t end = std::min(comma, dot);
    const std::string_view field = rest.substr(0, end);
    more = end != std::string_view::npos;
    rest.remove_prefix(more ? end + (comma < dot ? 1 : 3) : rest.size());
    return trimmed(field);
}

void append_number(std::string& to, uint64_t number) {
    char digits[20];
    const auto [end, error] = std::to_chars(digits, std::end(digits), number);
    to.append(digits, end);
}

IpAddress address_at(const uint8_t* from, Family family) {
    return family == Family::ip4 ? IpAddress(Ip4Address::load(from)) : IpAddress(Ip6Address::load(from));
}

void format_address(std::string& to, const uint8_t* low, const uint8_t* high, Family family) {
    const size_t width = family == Family::ip4 ? 4 : 16;
    to += address_at(low, family).to_string();
    const Wide first = load_wide(low, width);
    const Wide last = load_wide(high, width);
    if (first == last)
        return;
    const Wide differing = first ^ last;
    if ((first & differing) == 0 && (differing & (differing + 1)) == 0) {
        to += '/';
        append_number(to, width * 8 - bit_width(differing));
    } else {
        to += '-' + address_at(high, family).to_string();
    }
}

void format_field(std::string& to, FieldKind kind, Family family, const uint8_t* low, const uint8_t* high) {
    switch (kind) {
        case FieldKind::ip:
        case FieldKind::net:
            format_address(to, low, high, family);
            break;
        case FieldKind::port:
            append_number(to, Be16::load(low).host());
            if (Be16::load(low) != Be16::load(high)) {
                to += '-';
                append_number(to, Be16::load(high).host());
            }
            break;
        case FieldKind::mac:
            to += MacAddress::load(low).to_string();
            break;
        case FieldKind::proto: {
            const auto named = std::ranges::find(kProtocols, *low, &ProtocolName::number);
            if (named != kProtocols.end())
                to += named->name;
            else
                append_number(to, *low);
            break;
        }
        case FieldKind::mark:
            append_number(to, Be32::load(low).host());
            break;
    }
}

}  // namespace

ElementValue ElementValue::of(const Fields& fields) {
    ElementValue value;
    value.family = fields.family();
    std::copy_n(fields.bytes(), kMaxKeyBytes, value.low.begin());
    value.high = value.low;
    return value;
}

Expected<ElementValue> parse_element(const SetType& type, std::string_view text) {
    ElementValue value;
    // Where an address has not been seen yet the family is not known, and with it where its bytes stand.
    bool family_known = false;
    std::string_view rest = trimmed(text);
    size_t at = 0;
    for (size_t field = 0; field < type.size(); ++field) {
        bool more = false;
        const std::string_view part = take_field(rest, more);
        if (part.empty() || more != (field + 1 < type.size()))
            return fail(quoted(text) + " is no element of a set of type " + type.to_string(),
                        "expected the fields " + type.to_string());
        const FieldKind kind = type[field];
        const Span span{value.low.data() + at, value.high.data() + at};
        if (is_address(kind)) {
            const auto addresses = parse_address_field(kind, part);
            if (!addresses)
                return std::unexpected(addresses.error());
            if (family_known && addresses->family != value.family)
                return fail(quoted(text) + " mixes IPv4 and IPv6", "expected addresses of one family");
            family_known = true;
            value.family = addresses->family;
            span.set(addresses->low, addresses->high, width_of(kind, value.family));
        } else if (auto good = parse_plain(kind, part, span); !good) {
            return std::unexpected(std::move(good.error()));
        }
        at += width_of(kind, value.family);
    }
    return value;
}

std::string format(const SetType& type, const ElementValue& value) {
    std::string result;
    size_t at = 0;
    for (const FieldKind kind : type) {
        if (at > 0)
            result += ',';
        format_field(result, kind, value.family, value.low.data() + at, value.high.data() + at);
        at += width_of(kind, value.family);
    }
    return result;
}

Expected<std::string> check_comment(std::string_view text) {
    const bool plain = std::ranges::none_of(
        text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '"'; });
    if (!plain || text.size() > kMaxCommentLength)
        return fail(
            quoted(text) + " is no comment",
            "expected one line of at most " + std::to_string(kMaxCommentLength) + " bytes without quotes");
    return std::string(text);
}

Expected<Duration> parse_timeout(std::string_view text) {
    struct Unit {
        std::string_view name;
        int64_t nanoseconds;
    };
    static constexpr std::array kUnits{Unit{"d", 86'400'000'000'000}, Unit{"h", 3'600'000'000'000},
                                       Unit{"m", 60'000'000'000}, Unit{"s", 1'000'000'000},
                                       Unit{"ms", 1'000'000}};
    const auto wrong = [text] {
        return fail(quoted(text) + " is no timeout",
                    "expected as in 30s, 10m or 1h30m; at least 1ms, at most 3650d");
    };
    std::string_view rest = text;
    int64_t total = 0;
    auto next = kUnits.begin();
    do {
        uint32_t amount = 0;
        if (!take_number(rest, UINT32_MAX, amount))
            return wrong();
        const auto letters = static_cast<size_t>(std::ranges::find_if(rest, is_digit) - rest.begin());
        const std::string_view name = rest.empty() && next == kUnits.begin() ? "s" : rest.substr(0, letters);
        const auto unit = std::find_if(next, kUnits.end(), [&](const Unit& u) { return u.name == name; });
        if (unit == kUnits.end())
            return wrong();
        next = unit + 1;
        rest.remove_prefix(letters);
        total += std::min<int64_t>(amount, kMaxTimeout.count() / unit->nanoseconds + 1) * unit->nanoseconds;
    } while (!rest.empty());
    if (Duration(total) > kMaxTimeout || total < 1'000'000)
        return wrong();
    return Duration(total);
}

}  // namespace sluice::sets
