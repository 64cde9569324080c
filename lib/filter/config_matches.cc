// How matches other than those of numbers are written.
#include <algorithm>

#include "conntrack/state.hh"
#include "filter/config.hh"
#include "filter/config_values.hh"
#include "wire/tcp.hh"

namespace sluice {
namespace filter {
namespace {

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
