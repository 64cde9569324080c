// How matches are written.
#include <algorithm>
#include <functional>
#include <limits>

#include "conntrack/state.hh"
#include "filter/config.hh"
#include "wire/tcp.hh"

namespace sluice {
namespace filter {

struct NumberName {
    std::string_view name;
    uint32_t number;
};

struct NumberWords {
    std::string_view noun;  // "a port"
    uint32_t largest = 0;
    std::span<const NumberName> names = {};
    bool names_only = false;  // numbers mean nothing to people
    bool sets = false;
};

namespace {

using config::Context;
using config::Node;
using config::Reference;

constexpr auto kFamilies = std::to_array<NumberName>({{"ip4", 4}, {"ip6", 6}});
constexpr auto kProtocols = std::to_array<NumberName>({{"tcp", 6},
                                                       {"udp", 17},
                                                       {"icmp", 1},
                                                       {"icmpv6", 58},
                                                       {"sctp", 132},
                                                       {"gre", 47},
                                                       {"esp", 50},
                                                       {"ah", 51},
                                                       {"udplite", 136},
                                                       {"dccp", 33}});
constexpr auto number_of_state(conntrack::CtState state) {
    return static_cast<uint32_t>(state);
}
constexpr auto kStates =
    std::to_array<NumberName>({{"new", number_of_state(conntrack::CtState::new_)},
                               {"established", number_of_state(conntrack::CtState::established)},
                               {"related", number_of_state(conntrack::CtState::related)},
                               {"invalid", number_of_state(conntrack::CtState::invalid)},
                               {"untracked", number_of_state(conntrack::CtState::untracked)}});
constexpr auto kDirections = std::to_array<NumberName>({{"original", 0}, {"reply", 1}});
constexpr auto kExtensions = std::to_array<NumberName>({{"hbh", 0}, {"rt", 43}, {"frag", 44}, {"dst", 60}});
constexpr auto kIcmpTypes = std::to_array<NumberName>({{"echo-reply", 0},
                                                       {"destination-unreachable", 3},
                                                       {"source-quench", 4},
                                                       {"redirect", 5},
                                                       {"echo-request", 8},
                                                       {"router-advertisement", 9},
                                                       {"router-solicitation", 10},
                                                       {"time-exceeded", 11},
                                                       {"parameter-problem", 12},
                                                       {"timestamp-request", 13},
                                                       {"timestamp-reply", 14},
                                                       {"info-request", 15},
                                                       {"info-reply", 16},
                                                       {"address-mask-request", 17},
                                                       {"address-mask-reply", 18}});
constexpr auto kIcmpv6Types = std::to_array<NumberName>({{"destination-unreachable", 1},
                                                         {"packet-too-big", 2},
                                                         {"time-exceeded", 3},
                                                         {"parameter-problem", 4},
                                                         {"echo-request", 128},
                                                         {"echo-reply", 129},
                                                         {"mld-listener-query", 130},
                                                         {"mld-listener-report", 131},
                                                         {"mld-listener-done", 132},
                                                         {"nd-router-solicit", 133},
                                                         {"nd-router-advert", 134},
                                                         {"nd-neighbor-solicit", 135},
                                                         {"nd-neighbor-advert", 136},
                                                         {"nd-redirect", 137},
                                                         {"router-renumbering", 138},
                                                         {"ind-neighbor-solicit", 141},
                                                         {"ind-neighbor-advert", 142},
                                                         {"mld2-listener-report", 143}});
constexpr auto kStatusBits = std::to_array<NumberName>({{"snat", conntrack::kSnat.bits()},
                                                        {"dnat", conntrack::kDnat.bits()},
                                                        {"assured", conntrack::kAssured.bits()},
                                                        {"seen_reply", conntrack::kSeenReply.bits()},
                                                        {"confirmed", conntrack::kConfirmed.bits()},
                                                        {"expected", conntrack::kExpected.bits()},
                                                        {"dying", conntrack::kDying.bits()}});
constexpr auto kTcpFlags = std::to_array<NumberName>({{"fin", wire::kTcpFin.bits()},
                                                      {"syn", wire::kTcpSyn.bits()},
                                                      {"rst", wire::kTcpRst.bits()},
                                                      {"psh", wire::kTcpPsh.bits()},
                                                      {"ack", wire::kTcpAck.bits()},
                                                      {"urg", wire::kTcpUrg.bits()},
                                                      {"ece", wire::kTcpEce.bits()},
                                                      {"cwr", wire::kTcpCwr.bits()}});

std::vector<std::string_view> names_of(std::span<const NumberName> names) {
    std::vector<std::string_view> result;
    for (const NumberName& each : names)
        result.push_back(each.name);
    return result;
}

std::optional<uint32_t> number_named(std::span<const NumberName> names, std::string_view name) {
    const auto found = std::ranges::find(names, name, &NumberName::name);
    if (found == names.end())
        return std::nullopt;
    return found->number;
}

// Gives every value of a match to `take`: of a scalar, of a list, of "!VALUE" or {not: ...}. False if one of
// them or the shape is wrong.
bool each_value(Context& context, const std::string& expected, bool& negated,
                const std::function<bool(Context&, std::string_view)>& take) {
    const Node& node = context.node();
    negated = false;
    if (node.is_mapping()) {
        if (node.entries.size() != 1 || node.entries[0].key != "not")
            return context.problem("this is no match", "expected " + expected);
        Context inside = context.inside("not", node.entries[0].value);
        if (inside.node().is_mapping() || !each_value(inside, expected, negated, take))
            return inside.node().is_mapping() ? inside.problem("this is no match", "expected " + expected)
                                              : false;
        if (negated)
            return inside.problem("this is negated twice", "expected either {not: ...} or a leading !");
        negated = true;
        return true;
    }
    if (node.is_sequence()) {
        if (node.items.empty())
            return context.problem("an empty list matches nothing", "expected " + expected);
        bool good = true;
        for (size_t i = 0; i < node.items.size(); ++i) {
            Context item = context.inside(i, node.items[i]);
            if (!item.node().is_scalar())
                good = item.problem("a list of lists is no match", "expected " + expected);
            else if (item.node().text.starts_with('!'))
                good = item.problem("one value of a list cannot be negated",
                                    "expected {not: [...]} around all of them");
            else
                good = take(item, item.node().text) && good;
        }
        return good;
    }
    if (!node.is_scalar())
        return context.problem("nothing is written here", "expected " + expected);
    std::string_view text = node.text;
    if (text.starts_with('!')) {
        negated = true;
        text.remove_prefix(1);
        while (text.starts_with(' '))
            text.remove_prefix(1);
    }
    return take(context, text);
}

// "@name"; nothing if it is something else.
std::optional<Reference> set_reference(const Context& context, std::string_view text) {
    if (!text.starts_with('@') || !config::is_name(text.substr(1)))
        return std::nullopt;
    return Reference{std::string(text.substr(1)), context.location()};
}

// One value alone, or a list; {not: ...} around it.
Node shaped(std::vector<Node> values, bool negated) {
    Node node;
    if (values.size() == 1) {
        node = std::move(values.front());
    } else {
        node = Node::sequence();
        for (Node& value : values)
            node.append(std::move(value));
    }
    if (!negated)
        return node;
    Node outer = Node::mapping();
    outer.append("not", std::move(node));
    return outer;
}

void print_sets(const std::vector<Reference>& sets, std::vector<Node>& into) {
    for (const Reference& set : sets)
        into.push_back(Node::string("@" + set.name));
}

// ── Numbers ──

Expected<uint32_t> parse_number(const NumberWords& words, std::string_view text) {
    if (const auto named = number_named(words.names, text))
        return *named;
    const auto wrong = [&] {
        const auto known = names_of(words.names);
        std::string hint =
            known.empty() ? "expected " + expected_numbers(words) : config::one_of(text, known);
        return fail(config::quote(text) + " is not " + std::string(words.noun), std::move(hint));
    };
    if (words.names_only)
        return wrong();
    const auto number = config::Scalar<uint32_t>::parse(text);
    if (!number)
        return wrong();
    if (*number > words.largest)
        return fail(config::quote(text) + " is more than " + std::string(words.noun) + " can be",
                    "expected at most " + std::to_string(words.largest));
    return *number;
}

Expected<NumberRange> parse_comparison(const NumberWords& words, std::string_view text) {
    const char sign = text.front();
    text.remove_prefix(1);
    const bool or_equal = text.starts_with('=');
    if (or_equal)
        text.remove_prefix(1);
    while (text.starts_with(' '))
        text.remove_prefix(1);
    const auto number = parse_number(words, text);
    if (!number)
        return std::unexpected(number.error());
    if (sign == '=')
        return NumberRange{*number, *number};
    const bool is_less = sign == '<';
    const bool never = !or_equal && *number == (is_less ? 0 : words.largest);
    if (never)
        return fail(
            "nothing is " + std::string(is_less ? "less" : "more") + " than " + std::to_string(*number),
            "expected another bound");
    if (is_less)
        return NumberRange{0, or_equal ? *number : *number - 1};
    return NumberRange{or_equal ? *number : *number + 1, words.largest};
}

Expected<NumberRange> parse_range(const NumberWords& words, std::string_view text) {
    if (text.starts_with('<') || text.starts_with('>') || text.starts_with('='))
        return parse_comparison(words, text);
    const size_t dash = text.find('-');
    if (number_named(words.names, text) || dash == std::string_view::npos || dash == 0 || words.names_only) {
        const auto number = parse_number(words, text);
        if (!number)
            return std::unexpected(number.error());
        return NumberRange{*number, *number};
    }
    const auto first = parse_number(words, text.substr(0, dash));
    const auto last = parse_number(words, text.substr(dash + 1));
    if (!first || !last)
        return fail(config::quote(text) + " is not " + std::string(words.noun),
                    "expected " + expected_numbers(words));
    if (*first > *last)
        return fail("the range " + std::string(text) + " ends before it begins",
                    "expected the smaller number first");
    return NumberRange{*first, *last};
}

std::string number_text(const NumberWords& words, uint32_t number) {
    const auto named = std::ranges::find(words.names, number, &NumberName::number);
    return named == words.names.end() ? std::to_string(number) : std::string(named->name);
}

// ── Addresses ──

Expected<AddressRange> parse_addresses(std::string_view text) {
    const size_t dash = text.find('-');
    if (dash == std::string_view::npos) {
        const auto prefix = IpPrefix::parse(text);
        if (!prefix)
            return std::unexpected(prefix.error());
        return AddressRange{prefix->address(), prefix->last()};
    }
    const auto first = IpAddress::parse(text.substr(0, dash));
    const auto last = IpAddress::parse(text.substr(dash + 1));
    if (!first || !last)
        return std::unexpected((first ? last : first).error());
    if (first->family() != last->family())
        return fail("the range " + std::string(text) + " begins and ends in different families",
                    "expected two addresses of one family");
    if (*last < *first)
        return fail("the range " + std::string(text) + " ends before it begins",
                    "expected the smaller address first");
    return AddressRange{*first, *last};
}

std::string address_text(const AddressRange& range) {
    for (int length = address_bits(range.first.family()); length >= 0; --length) {
        const IpPrefix prefix(range.first, static_cast<uint8_t>(length));
        if (prefix.address() != range.first)
            break;
        if (prefix.last() == range.last)
            return length == address_bits(range.first.family()) ? range.first.to_string()
                                                                : prefix.to_string();
    }
    return range.first.to_string() + "-" + range.last.to_string();
}

// ── TCP flags ──

std::optional<uint8_t> flag_bits(std::string_view text) {
    uint32_t bits = 0;
    while (true) {
        const size_t comma = text.find(',');
        std::string_view name = text.substr(0, comma);
        while (name.starts_with(' '))
            name.remove_prefix(1);
        while (name.ends_with(' '))
            name.remove_suffix(1);
        const auto bit = number_named(kTcpFlags, name);
        if (!bit)
            return std::nullopt;
        bits |= *bit;
        if (comma == std::string_view::npos)
            return static_cast<uint8_t>(bits);
        text.remove_prefix(comma + 1);
    }
}

std::string flags_text(uint8_t bits) {
    std::string text;
    for (const NumberName& flag : kTcpFlags) {
        if ((bits & flag.number) != 0)
            text += (text.empty() ? "" : ",") + std::string(flag.name);
    }
    return text.empty() ? "none" : text;
}

constexpr uint8_t kAllFlags = 0xff;

std::optional<TcpFlagsMatch::Pair> parse_flags(std::string_view text) {
    const size_t slash = text.find('/');
    const std::string_view value_text = text.substr(0, slash);
    const auto value = value_text == "none" ? std::optional<uint8_t>(uint8_t{0}) : flag_bits(value_text);
    if (!value)
        return std::nullopt;
    if (slash == std::string_view::npos)
        return TcpFlagsMatch::Pair{*value, *value == 0 ? kAllFlags : *value};
    const auto mask = flag_bits(text.substr(slash + 1));
    if (!mask)
        return std::nullopt;
    return TcpFlagsMatch::Pair{*value, *mask};
}

}  // namespace

const NumberWords& number_words(Field field) {
    static const NumberWords family{.noun = "a family", .largest = 6, .names = kFamilies, .names_only = true};
    static const NumberWords proto{
        .noun = "a protocol", .largest = UINT8_MAX, .names = kProtocols, .sets = true};
    static const NumberWords port{.noun = "a port", .largest = UINT16_MAX, .sets = true};
    static const NumberWords state{.noun = "a state", .largest = 4, .names = kStates, .names_only = true};
    static const NumberWords direction{
        .noun = "a direction", .largest = 1, .names = kDirections, .names_only = true};
    static const NumberWords mark{.noun = "a mark", .largest = UINT32_MAX, .sets = true};
    static const NumberWords icmp{.noun = "an ICMP type", .largest = UINT8_MAX, .names = kIcmpTypes};
    static const NumberWords icmpv6{.noun = "an ICMPv6 type", .largest = UINT8_MAX, .names = kIcmpv6Types};
    static const NumberWords length{.noun = "a length", .largest = UINT16_MAX + 40};
    static const NumberWords ttl{.noun = "a TTL", .largest = UINT8_MAX};
    static const NumberWords extension{
        .noun = "an extension header", .largest = UINT8_MAX, .names = kExtensions, .names_only = true};
    static const NumberWords none{.noun = "a number", .largest = UINT32_MAX};
    switch (field) {
        case Field::family:
            return family;
        case Field::proto:
            return proto;
        case Field::sport:
        case Field::dport:
            return port;
        case Field::ct:
            return state;
        case Field::ct_direction:
            return direction;
        case Field::mark:
            return mark;
        case Field::icmp_type:
            return icmp;
        case Field::icmpv6_type:
            return icmpv6;
        case Field::length:
            return length;
        case Field::ttl:
            return ttl;
        case Field::exthdr:
            return extension;
        default:
            return none;
    }
}

std::string expected_numbers(const NumberWords& words) {
    std::string result(words.noun);
    if (!words.names.empty()) {
        result += words.names_only ? " (" : " by its number or name (";
        const size_t shown = std::min<size_t>(words.names.size(), 5);
        for (size_t i = 0; i < shown; ++i)
            result += (i == 0 ? "" : ", ") + std::string(words.names[i].name);
        result += shown < words.names.size() ? " ...)" : ")";
    }
    if (!words.names_only)
        result += ", a range, a comparison such as \"<5\"";
    result += words.sets ? ", \"@set\", a list of these" : ", a list of these";
    return result + ", or any of it negated by ! or {not: ...}";
}

std::optional<NumberMatch> read_numbers(const NumberWords& words, Context& context) {
    NumberMatch match;
    const auto take = [&](Context& at, std::string_view text) {
        if (words.sets) {
            if (auto set = set_reference(at, text)) {
                match.sets.push_back(std::move(*set));
                return true;
            }
        }
        const auto range = text.empty() ? Expected<NumberRange>(fail("nothing is written here",
                                                                     "expected " + expected_numbers(words)))
                                        : parse_range(words, text);
        if (!range)
            return at.problem(range.error().message, range.error().hint);
        match.ranges.push_back(*range);
        return true;
    };
    if (!each_value(context, expected_numbers(words), match.negated, take))
        return std::nullopt;
    return match;
}

Node print_numbers(const NumberWords& words, const NumberMatch& value) {
    std::vector<Node> nodes;
    for (const NumberRange& range : value.ranges) {
        if (range.first == range.last) {
            std::string text = number_text(words, range.first);
            const bool is_number = text.find_first_not_of("0123456789") == std::string::npos;
            nodes.push_back(is_number ? Node::bare(std::move(text)) : Node::string(std::move(text)));
        } else {
            nodes.push_back(Node::string(std::to_string(range.first) + "-" + std::to_string(range.last)));
        }
    }
    print_sets(value.sets, nodes);
    return shaped(std::move(nodes), value.negated);
}

}  // namespace filter

namespace config {

using filter::each_value;
using filter::set_reference;

std::string Custom<filter::InterfaceMatch>::expected() {
    return "an interface or zone, a list of these, \"!NAME\" or {not: [NAME]}";
}

std::optional<filter::InterfaceMatch> Custom<filter::InterfaceMatch>::read(const Node&, Context& context) {
    filter::InterfaceMatch match;
    const auto take = [&](Context& at, std::string_view text) {
        if (!is_name(text))
            return at.problem(quote(text) + " is no name of an interface", "expected " + expected());
        match.names.push_back({std::string(text), at.location()});
        return true;
    };
    if (!each_value(context, expected(), match.negated, take))
        return std::nullopt;
    return match;
}

Node Custom<filter::InterfaceMatch>::print(const filter::InterfaceMatch& value) {
    std::vector<Node> nodes;
    for (const Reference& name : value.names)
        nodes.push_back(Node::string(name.name));
    return filter::shaped(std::move(nodes), value.negated);
}

std::string Custom<filter::AddressMatch>::expected() {
    return "an address, a network, a range of addresses, \"@set\", a list of these, or any of it negated by "
           "! or "
           "{not: ...}";
}

std::optional<filter::AddressMatch> Custom<filter::AddressMatch>::read(const Node&, Context& context) {
    filter::AddressMatch match;
    const auto take = [&](Context& at, std::string_view text) {
        if (auto set = set_reference(at, text)) {
            match.sets.push_back(std::move(*set));
            return true;
        }
        const auto range = filter::parse_addresses(text);
        if (!range)
            return at.problem(range.error().message,
                              range.error().hint.empty() ? "expected " + expected() : range.error().hint);
        match.ranges.push_back(*range);
        return true;
    };
    if (!each_value(context, expected(), match.negated, take))
        return std::nullopt;
    return match;
}

Node Custom<filter::AddressMatch>::print(const filter::AddressMatch& value) {
    std::vector<Node> nodes;
    for (const filter::AddressRange& range : value.ranges)
        nodes.push_back(Node::string(filter::address_text(range)));
    filter::print_sets(value.sets, nodes);
    return filter::shaped(std::move(nodes), value.negated);
}

std::string Custom<filter::MacMatch>::expected() {
    return "an Ethernet address, \"@set\", a list of these, or any of it negated by ! or {not: ...}";
}

std::optional<filter::MacMatch> Custom<filter::MacMatch>::read(const Node&, Context& context) {
    filter::MacMatch match;
    const auto take = [&](Context& at, std::string_view text) {
        if (auto set = set_reference(at, text)) {
            match.sets.push_back(std::move(*set));
            return true;
        }
        const auto address = MacAddress::parse(text);
        if (!address)
            return at.problem(address.error().message, "expected " + expected());
        match.addresses.push_back(*address);
        return true;
    };
    if (!each_value(context, expected(), match.negated, take))
        return std::nullopt;
    return match;
}

Node Custom<filter::MacMatch>::print(const filter::MacMatch& value) {
    std::vector<Node> nodes;
    for (const MacAddress& address : value.addresses)
        nodes.push_back(Node::string(address.to_string()));
    filter::print_sets(value.sets, nodes);
    return filter::shaped(std::move(nodes), value.negated);
}

std::string Custom<filter::StatusMatch>::expected() {
    return "snat, dnat, assured, seen_reply, confirmed, expected, dying, a list of these, or any of it "
           "negated";
}

std::optional<filter::StatusMatch> Custom<filter::StatusMatch>::read(const Node&, Context& context) {
    filter::StatusMatch match;
    const auto take = [&](Context& at, std::string_view text) {
        const auto bit = filter::number_named(filter::kStatusBits, text);
        if (!bit)
            return at.problem(quote(text) + " is no status of a flow",
                              one_of(text, filter::names_of(filter::kStatusBits)));
        match.bits |= *bit;
        return true;
    };
    if (!each_value(context, expected(), match.negated, take))
        return std::nullopt;
    return match;
}

Node Custom<filter::StatusMatch>::print(const filter::StatusMatch& value) {
    std::vector<Node> nodes;
    for (const filter::NumberName& status : filter::kStatusBits) {
        if ((value.bits & status.number) != 0)
            nodes.push_back(Node::string(std::string(status.name)));
    }
    return filter::shaped(std::move(nodes), value.negated);
}

std::string Custom<filter::TcpFlagsMatch>::expected() {
    return "flags that are set, such as \"syn\" or \"syn,ack\", or \"VALUE/MASK\" such as "
           "\"syn/syn,ack,rst\" "
           "(the value may be none), a list of these, or any of it negated";
}

std::optional<filter::TcpFlagsMatch> Custom<filter::TcpFlagsMatch>::read(const Node&, Context& context) {
    filter::TcpFlagsMatch match;
    const auto take = [&](Context& at, std::string_view text) {
        const auto pair = filter::parse_flags(text);
        if (!pair)
            return at.problem(quote(text) + " are no TCP flags", "expected " + expected());
        if ((pair->value & ~pair->mask) != 0)
            return at.problem(quote(text) + " asks for flags outside its mask, and matches nothing",
                              "expected every flag of the value in the mask too");
        match.pairs.push_back(*pair);
        return true;
    };
    if (!each_value(context, expected(), match.negated, take))
        return std::nullopt;
    return match;
}

Node Custom<filter::TcpFlagsMatch>::print(const filter::TcpFlagsMatch& value) {
    std::vector<Node> nodes;
    for (const auto& pair : value.pairs) {
        std::string text = filter::flags_text(pair.value);
        if (pair.mask != pair.value && !(pair.value == 0 && pair.mask == filter::kAllFlags))
            text += "/" + filter::flags_text(pair.mask);
        nodes.push_back(Node::string(std::move(text)));
    }
    return filter::shaped(std::move(nodes), value.negated);
}

namespace {

using filter::Field;

std::optional<std::vector<Field>> parse_fields(std::string_view text) {
    constexpr std::array kAllowed{Field::saddr, Field::daddr, Field::sport,    Field::dport,
                                  Field::proto, Field::mark,  Field::mac_saddr};
    std::vector<Field> fields;
    while (true) {
        const size_t dot = text.find('.');
        std::string_view name = text.substr(0, dot);
        while (name.starts_with(' '))
            name.remove_prefix(1);
        while (name.ends_with(' '))
            name.remove_suffix(1);
        const auto found =
            std::ranges::find_if(kAllowed, [&](Field field) { return filter::to_string(field) == name; });
        if (found == kAllowed.end())
            return std::nullopt;
        fields.push_back(*found);
        if (dot == std::string_view::npos)
            return fields;
        text.remove_prefix(dot + 1);
    }
}

constexpr std::string_view kExpectedFields =
    "expected fields such as \"saddr . dport\", of saddr, daddr, sport, dport, proto, mark and mac_saddr";

}  // namespace

bool Value<std::vector<filter::SetMatch>>::read(Context& context, const Constraint&,
                                                std::vector<filter::SetMatch>& into) {
    const Node& node = context.node();
    into.clear();
    if (node.is_null())
        return true;
    if (!node.is_mapping())
        return context.problem("this is no mapping", "expected " + expected({}));
    bool good = true;
    for (const auto& entry : node.entries) {
        const auto fields = parse_fields(entry.key);
        if (!fields || fields->size() > 3) {
            good = context.problem_with_key(entry,
                                            quote(entry.key) + " is no concatenation of up to three fields",
                                            std::string(kExpectedFields));
            continue;
        }
        filter::SetMatch match;
        match.fields = *fields;
        Context inside = context.inside(entry.key, entry.value);
        const auto take = [&](Context& at, std::string_view text) {
            auto set = set_reference(at, text);
            if (!set)
                return at.problem(quote(text) + " is no set", "expected \"@NAME\" or \"!@NAME\"");
            match.set = std::move(*set);
            return true;
        };
        if (!inside.node().is_scalar())
            good = inside.problem("this is no set", "expected \"@NAME\" or \"!@NAME\"");
        else if (each_value(inside, "\"@NAME\" or \"!@NAME\"", match.negated, take))
            into.push_back(std::move(match));
        else
            good = false;
    }
    return good;
}

Node Value<std::vector<filter::SetMatch>>::print(const std::vector<filter::SetMatch>& value) {
    if (value.empty())
        return {};
    Node node = Node::mapping();
    for (const filter::SetMatch& match : value) {
        std::string key;
        for (const Field field : match.fields)
            key += (key.empty() ? "" : " . ") + std::string(filter::to_string(field));
        node.append(std::move(key), Node::string((match.negated ? "!@" : "@") + match.set.name));
    }
    return node;
}

std::string Value<std::vector<filter::SetMatch>>::expected(const Constraint&) {
    return "a mapping from fields to a set, such as {\"saddr . dport\": \"@set\"}";
}

std::string Custom<filter::AddTo>::expected() {
    return "a set, \"@NAME\"";
}

std::optional<filter::AddTo> Custom<filter::AddTo>::read(const Node& node, Context& context) {
    auto set = node.is_scalar() ? set_reference(context, node.text) : std::nullopt;
    if (!set) {
        context.problem("this is no set", "expected " + expected());
        return std::nullopt;
    }
    return filter::AddTo{std::move(*set)};
}

Node Custom<filter::AddTo>::print(const filter::AddTo& value) {
    return Node::string("@" + value.set.name);
}

}  // namespace config
}  // namespace sluice
