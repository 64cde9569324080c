// How the values of number matches are written.
#include <algorithm>

#include "conntrack/state.hh"
#include "filter/config.hh"
#include "filter/config_values.hh"

namespace sluice::filter {

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

}  // namespace sluice::filter
