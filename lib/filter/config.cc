#include "filter/config.hh"

#include <charconv>
#include <cstdio>
#include <limits>

#include "config/compound.hh"
#include "config/print.hh"
#include "filter/limit.hh"
#include "filter/log_event.hh"

namespace sluice {
namespace filter {
namespace {

using config::Context;

// {rate: 10/second, burst: 5, per: saddr}
struct LimitOptions {
    std::optional<config::Rate> rate;
    std::optional<config::Rate> over;
    uint32_t burst = kDefaultBurst;
    LimitKey per = LimitKey::rule;
    bool operator==(const LimitOptions&) const = default;
};

void check_limit(const LimitOptions& limit, Context& context) {
    if (limit.rate.has_value() == limit.over.has_value()) {
        context.problem("a limit has either a rate or what is over one",
                        "expected as in {rate: 10/second} or {over: 10/second}");
        return;
    }
    const config::Rate rate = limit.rate ? *limit.rate : *limit.over;
    const char* const key = limit.rate ? "rate" : "over";
    if (rate.amount == 0 || rate.amount > kMaxRate) {
        context.problem_at(key, "a rate of " + std::to_string(rate.amount) + " cannot be kept",
                           "expected 1 to " + std::to_string(kMaxRate));
        return;
    }
    if (const auto most = largest_burst(rate.amount, rate.period()); limit.burst > most)
        context.problem_at("burst", "so large a burst would take years to save up",
                           "expected at most " + std::to_string(most));
}

Limit limit_of(const LimitOptions& options) {
    const config::Rate rate = options.rate ? *options.rate : options.over.value_or(config::Rate{});
    return {.amount = rate.amount,
            .period = rate.period(),
            .burst = options.burst,
            .over = options.over.has_value(),
            .per = options.per};
}

LimitOptions options_of(const Limit& limit) {
    config::Rate rate{.amount = limit.amount};
    for (const auto unit : {config::Rate::Unit::second, config::Rate::Unit::minute, config::Rate::Unit::hour,
                            config::Rate::Unit::day}) {
        rate.unit = unit;
        if (rate.period() == limit.period)
            break;
    }
    LimitOptions options{.rate = {}, .over = {}, .burst = limit.burst, .per = limit.per};
    (limit.over ? options.over : options.rate) = rate;
    return options;
}

// A plain number is a statement in these, see rulebook().
bool sets_plain_mark(Table table) {
    return table == Table::raw || table == Table::mangle;
}

void resolve_mark(Rule& rule, Table table) {
    if (!rule.plain_mark || !sets_plain_mark(table) || !rule.mark)
        return;
    rule.set_mark = rule.mark->ranges.front().first;
    rule.mark.reset();
}

void add_base(Rulebook& book, Table table, Hook hook, const std::optional<BaseChain>& chain) {
    if (!chain)
        return;
    BaseChain& added = book.base[{table, hook}];
    added = *chain;
    for (Rule& rule : added.rules)
        resolve_mark(rule, table);
}

}  // namespace

Rulebook rulebook(const RulesConfig& config) {
    Rulebook book;
    book.early = config.early;
    add_base(book, Table::raw, Hook::prerouting, config.raw.prerouting);
    add_base(book, Table::raw, Hook::output, config.raw.output);
    add_base(book, Table::mangle, Hook::prerouting, config.mangle.prerouting);
    add_base(book, Table::mangle, Hook::input, config.mangle.input);
    add_base(book, Table::mangle, Hook::forward, config.mangle.forward);
    add_base(book, Table::mangle, Hook::output, config.mangle.output);
    add_base(book, Table::mangle, Hook::postrouting, config.mangle.postrouting);
    add_base(book, Table::nat, Hook::prerouting, config.nat.prerouting);
    add_base(book, Table::nat, Hook::input, config.nat.input);
    add_base(book, Table::nat, Hook::output, config.nat.output);
    add_base(book, Table::nat, Hook::postrouting, config.nat.postrouting);
    add_base(book, Table::filter, Hook::input, config.filter.input);
    add_base(book, Table::filter, Hook::forward, config.filter.forward);
    add_base(book, Table::filter, Hook::output, config.filter.output);
    for (const auto& chain : config.chains)
        book.chains.push_back({chain.name, chain.value, chain.at});
    return book;
}

}  // namespace filter

template <>
struct config::Schema<filter::LimitOptions> {
    static const Mapping<filter::LimitOptions>& get() {
        using filter::LimitOptions;
        static const auto mapping =
            Mapping<LimitOptions>("a limit")
                .optional("rate", &LimitOptions::rate, "matches packets within this rate")
                .optional("over", &LimitOptions::over, "matches packets beyond this rate")
                .optional("burst", &LimitOptions::burst, "so many packets at once after a pause")
                .range(uint32_t{1}, std::numeric_limits<uint32_t>::max())
                .optional("per", &LimitOptions::per,
                          "a rate for each address or port instead of one for the rule")
                .check(filter::check_limit);
        return mapping;
    }
};

namespace config {

std::string Custom<filter::Limit>::expected() {
    return "a rate such as 10/second, or {rate: RATE} or {over: RATE} with burst and per";
}

std::optional<filter::Limit> Custom<filter::Limit>::read(const Node& node, Context& context) {
    filter::LimitOptions options;
    if (node.is_mapping()) {
        const auto read = read_as<filter::LimitOptions>(context);
        if (!read)
            return std::nullopt;
        return filter::limit_of(*read);
    }
    options.rate = read_as<Rate>(context);
    if (!options.rate)
        return std::nullopt;
    if (options.rate->amount == 0 || options.rate->amount > filter::kMaxRate) {
        context.problem("this rate cannot be kept", "expected 1 to " + std::to_string(filter::kMaxRate));
        return std::nullopt;
    }
    return filter::limit_of(options);
}

Node Custom<filter::Limit>::print(const filter::Limit& value) {
    const auto options = filter::options_of(value);
    Node node = Node::mapping();
    node.append(value.over ? "over" : "rate", print_as(value.over ? *options.over : *options.rate));
    node.append("burst", print_as(options.burst));
    if (options.per != filter::LimitKey::rule)
        node.append("per", print_as(options.per));
    return node;
}

const Mapping<filter::Connlimit>& Schema<filter::Connlimit>::get() {
    using filter::Connlimit;
    static const auto mapping =
        Mapping<Connlimit>("a limit of flows")
            .required("over", &Connlimit::over, "matches when there are more live flows than this")
            .optional("per", &Connlimit::per, "counted for each address or port instead of for the rule");
    return mapping;
}

std::string Custom<filter::RuleAction>::expected() {
    return "accept, drop, reject, return, {reject: KIND}, {jump: CHAIN} or {goto: CHAIN}";
}

namespace {

using filter::ActionKind;

constexpr auto kPlainActions =
    std::to_array<std::pair<std::string_view, ActionKind>>({{"accept", ActionKind::accept},
                                                            {"drop", ActionKind::drop},
                                                            {"reject", ActionKind::reject},
                                                            {"return", ActionKind::return_}});

}  // namespace

std::optional<filter::RuleAction> Custom<filter::RuleAction>::read(const Node& node, Context& context) {
    filter::RuleAction action;
    if (node.is_null())
        return action;
    const auto refuse = [&](const std::string& message) {
        context.problem(message, "expected " + expected());
        return std::nullopt;
    };
    if (node.is_scalar()) {
        for (const auto& [name, kind] : kPlainActions) {
            if (name == node.text) {
                action.kind = kind;
                return action;
            }
        }
        return refuse(quote(node.text) + " is no action");
    }
    if (!node.is_mapping() || node.entries.size() != 1)
        return refuse("this is no action");
    const auto& entry = node.entries.front();
    Context inside = context.inside(entry.key, entry.value);
    if (entry.key == "reject") {
        const auto kind = read_as<filter::RejectKind>(inside);
        if (!kind)
            return std::nullopt;
        action.kind = ActionKind::reject;
        action.reject = *kind;
        return action;
    }
    if (entry.key != "jump" && entry.key != "goto")
        return refuse(quote(entry.key) + " is no action");
    auto chain = read_as<Reference>(inside);
    if (!chain)
        return std::nullopt;
    action.kind = entry.key == "jump" ? ActionKind::jump : ActionKind::go_to;
    action.chain = std::move(*chain);
    return action;
}

Node Custom<filter::RuleAction>::print(const filter::RuleAction& value) {
    for (const auto& [name, kind] : kPlainActions) {
        if (kind == value.kind && value.reject == filter::RejectKind::automatic)
            return Node::string(std::string(name));
    }
    if (value.kind == ActionKind::none)
        return {};
    Node node = Node::mapping();
    if (value.kind == ActionKind::reject)
        node.append("reject", print_as(value.reject));
    else
        node.append(value.kind == ActionKind::jump ? "jump" : "goto", Node::string(value.chain.name));
    return node;
}

std::string Scalar<filter::Date>::expected() {
    return "a day such as 2027-01-31";
}

Expected<filter::Date> Scalar<filter::Date>::parse(std::string_view text) {
    constexpr size_t kLength = 10;
    const auto part = [&](size_t at, size_t size, unsigned& value) {
        const char* const begin = text.data() + at;
        const auto [end, error] = std::from_chars(begin, begin + size, value);
        return error == std::errc() && end == begin + size;
    };
    unsigned year = 0;
    unsigned month = 0;
    unsigned day = 0;
    const bool shaped = text.size() == kLength && text[4] == '-' && text[7] == '-' && part(0, 4, year) &&
                        part(5, 2, month) && part(8, 2, day);
    const filter::Date date{std::chrono::year(static_cast<int>(year)), std::chrono::month(month),
                            std::chrono::day(day)};
    if (!shaped || !date.ok())
        return fail(quote(text) + " is no day of the calendar", "expected " + expected());
    return date;
}

std::string Scalar<filter::Date>::format(const filter::Date& value) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02u", static_cast<int>(value.year()),
                  static_cast<unsigned>(value.month()), static_cast<unsigned>(value.day()));
    return text.data();
}

const Mapping<filter::Rule>& Schema<filter::Rule>::get() {
    using filter::Rule;
    static const auto mapping =
        Mapping<Rule>("a rule")
            .required("name", &Rule::name,
                      "unique in its chain: the rule's identity in counters, logs and diffs")
            .length(1, kMaxNameLength)
            .optional("in", &Rule::in, "arrival interface or zone")
            .optional("out", &Rule::out, "departure interface or zone")
            .optional("family", &Rule::family, "ip4 or ip6")
            .optional("proto", &Rule::proto, "protocol behind options and extension headers")
            .optional("saddr", &Rule::saddr, "source address")
            .optional("daddr", &Rule::daddr, "destination address")
            .optional("sport", &Rule::sport, "source port, of TCP, UDP, UDP-Lite, SCTP and DCCP")
            .optional("dport", &Rule::dport, "destination port, likewise")
            .optional("match", &Rule::match, "concatenated fields in a set, `\"saddr . dport\": \"@set\"`")
            .optional("ct", &Rule::ct, "the packet's relation to its flow")
            .optional("ct_direction", &Rule::ct_direction, "original or reply")
            .optional("ct_status", &Rule::ct_status, "status of the flow, any of these")
            .optional("mark", &Rule::mark,
                      "the packet's mark; a number alone is matched in `filter` but is the mark to set in "
                      "`raw` and "
                      "`mangle`: `\"=N\"` matches anywhere, `set_mark` sets anywhere")
            .optional("icmp_type", &Rule::icmp_type, "ICMP type by name or number")
            .optional("icmpv6_type", &Rule::icmpv6_type, "ICMPv6 type by name or number")
            .optional("tcp_flags", &Rule::tcp_flags,
                      "`syn`: that flag is set; `syn/syn,ack,rst`: of these three only that one")
            .optional("length", &Rule::length, "of the IP packet in bytes")
            .optional("ttl", &Rule::ttl, "time to live or hop limit")
            .optional("fragment", &Rule::fragment, "any fragment but the first")
            .optional("exthdr", &Rule::exthdr, "an IPv6 extension header is there: hbh, rt, frag or dst")
            .optional("mac_saddr", &Rule::mac_saddr, "source Ethernet address")
            .optional("limit", &Rule::limit, "within, or with `over` beyond, a rate")
            .optional("connlimit", &Rule::connlimit, "more live flows than a number")
            .optional("log", &Rule::log, "logs the packet, the line beginning with this text")
            .length(0, filter::kMaxLogPrefix)
            .optional("set_mark", &Rule::set_mark, "sets the packet's mark")
            .optional("ct_mark", &Rule::ct_mark, "sets the flow's mark")
            .optional("notrack", &Rule::notrack, "keeps the packet out of connection tracking")
            .optional("mss", &Rule::mss,
                      "lowers the MSS of TCP to a number, or `clamp`: to what the path's MTU leaves")
            .optional("add_to", &Rule::add_to,
                      "adds the packet's addresses and ports to a set, as its type says")
            .optional("dnat", &Rule::dnat,
                      "gives a flow another destination; of several each client gets one; ends the chain, as "
                      "the next five do")
            .list_or_one()
            .optional("snat", &Rule::snat, "gives a flow another source")
            .list_or_one()
            .optional("redirect", &Rule::redirect,
                      "sends a flow to the box itself, to this port or one of these")
            .optional("masquerade", &Rule::masquerade,
                      "gives a flow an address of the interface by which it leaves as its source")
            .optional("snat_prefix", &Rule::snat_prefix,
                      "gives flows from an IPv6 prefix another one so that no checksum changes (NPTv6)")
            .optional("dnat_prefix", &Rule::dnat_prefix, "likewise flows to a prefix")
            .optional("ports", &Rule::ports, "of the translation, where its targets name none")
            .optional("persistent", &Rule::persistent,
                      "the address is chosen by the client alone, not by where it sends to")
            .optional("random", &Rule::random, "the port is not kept but chosen at random")
            .optional("hairpin", &Rule::hairpin,
                      "hosts inside reach what is translated as others do, and are shown to one another by "
                      "external addresses")
            .optional("mapping", &Rule::mapping, "as in `nat`, for this rule")
            .optional("filtering", &Rule::filtering, "likewise")
            .optional("pooling", &Rule::pooling, "likewise")
            .optional("parity", &Rule::parity, "likewise")
            .optional("port_overlap", &Rule::port_overlap, "likewise")
            .optional("ports_per_host", &Rule::ports_per_host, "likewise")
            .optional("program", &Rule::program,
                      "asks an eBPF program about the packet, in `early`: an object file as `clang -target "
                      "bpf` makes it")
            .optional("section", &Rule::section, "of that file, in which the program is")
            .length(1, kMaxNameLength)
            .optional(
                "action", &Rule::action,
                "accept, drop, reject, return, `{reject: KIND}`, `{jump: CHAIN}` or `{goto: CHAIN}`; without "
                "one the next rule follows")
            .optional("description", &Rule::description, "for people")
            .optional("owner", &Rule::owner, "for people")
            .optional("expires", &Rule::expires, "the last day, in UTC, on which the rule counts")
            .optional("observe", &Rule::observe, "counts what the rule would do, and does not do it")
            .location(&Rule::location)
            .check(filter::check_rule);
    return mapping;
}

std::string Custom<filter::ProgramFile>::expected() {
    return "an object file; relative paths start at the folder of this file";
}

std::optional<filter::ProgramFile> Custom<filter::ProgramFile>::read(const Node& node, Context& context) {
    auto path = Custom<Path>::read(node, context);
    if (!path)
        return std::nullopt;
    return filter::ProgramFile{std::move(path->written), std::move(path->full)};
}

Node Custom<filter::ProgramFile>::print(const filter::ProgramFile& value) {
    return Node::string(value.written);
}

std::string Custom<filter::Rule>::expected() {
    return "a rule";
}

std::optional<filter::Rule> Custom<filter::Rule>::read(const Node& node, Context& context) {
    filter::Rule rule;
    const Node* mark = nullptr;
    if (const auto* entry = node.is_mapping() ? node.find("mark") : nullptr)
        mark = &entry->value;
    rule.plain_mark = mark != nullptr && mark->is_scalar() && Scalar<uint32_t>::parse(mark->text).has_value();
    if (!static_cast<const MappingBase&>(Schema<filter::Rule>::get()).read(context, &rule))
        return std::nullopt;
    rule.text = inline_text(node);
    return rule;
}

// Only what the rule says: forty absent keys would hide it.
Node Custom<filter::Rule>::print(const filter::Rule& value) {
    Node all = static_cast<const MappingBase&>(Schema<filter::Rule>::get()).print(&value);
    const Node defaults = static_cast<const MappingBase&>(Schema<filter::Rule>::get()).defaults();
    Node node = Node::mapping();
    for (auto& entry : all.entries) {
        const auto* usual = defaults.find(entry.key);
        if (entry.key != "name" && usual != nullptr && usual->value == entry.value)
            continue;
        const bool is_match = entry.key == "mark" && !value.plain_mark && entry.value.is_scalar();
        if (is_match)
            entry.value = Node::string("=" + entry.value.text);
        node.append(entry.key, std::move(entry.value));
    }
    return node;
}

const Mapping<filter::BaseChain>& Schema<filter::BaseChain>::get() {
    using filter::BaseChain;
    static const auto mapping =
        Mapping<BaseChain>("a chain")
            .optional("policy", &BaseChain::policy, "what becomes of packets that no rule decides")
            .optional("rules", &BaseChain::rules, "asked from the first to the last")
            .location(&BaseChain::location);
    return mapping;
}

std::string Custom<filter::BaseChain>::expected() {
    return "a list of rules, or {policy: accept or drop, rules: [...]}";
}

std::optional<filter::BaseChain> Custom<filter::BaseChain>::read(const Node& node, Context& context) {
    filter::BaseChain chain;
    chain.location = context.location();
    bool good = false;
    if (node.is_sequence())
        good = Value<std::vector<filter::Rule>>::read(context, {}, chain.rules);
    else if (node.is_mapping())
        good = static_cast<const MappingBase&>(Schema<filter::BaseChain>::get()).read(context, &chain);
    else
        context.problem("this is no chain", "expected " + expected());
    if (!good)
        return std::nullopt;
    return chain;
}

Node Custom<filter::BaseChain>::print(const filter::BaseChain& value) {
    return static_cast<const MappingBase&>(Schema<filter::BaseChain>::get()).print(&value);
}

const Mapping<filter::RawConfig>& Schema<filter::RawConfig>::get() {
    using filter::RawConfig;
    static const auto mapping = Mapping<RawConfig>("chains before connection tracking")
                                    .optional("prerouting", &RawConfig::prerouting, "packets that arrive")
                                    .optional("output", &RawConfig::output, "packets of the box");
    return mapping;
}

const Mapping<filter::MangleConfig>& Schema<filter::MangleConfig>::get() {
    using filter::MangleConfig;
    static const auto mapping =
        Mapping<MangleConfig>("chains that change packets")
            .optional("prerouting", &MangleConfig::prerouting, "packets that arrive")
            .optional("input", &MangleConfig::input, "packets for the box")
            .optional("forward", &MangleConfig::forward, "packets for others")
            .optional("output", &MangleConfig::output, "packets of the box")
            .optional("postrouting", &MangleConfig::postrouting, "packets that leave");
    return mapping;
}

const Mapping<filter::NatConfig>& Schema<filter::NatConfig>::get() {
    using filter::NatConfig;
    static const auto mapping =
        Mapping<NatConfig>("chains that translate, asked about the first packet of each flow")
            .optional("prerouting", &NatConfig::prerouting,
                      "flows that arrive: `dnat`, `redirect`, `dnat_prefix`")
            .optional("input", &NatConfig::input, "flows for the box: `snat`, `snat_prefix`")
            .optional("output", &NatConfig::output, "flows of the box: `dnat`, `redirect`, `dnat_prefix`")
            .optional("postrouting", &NatConfig::postrouting,
                      "flows that leave: `snat`, `masquerade`, `snat_prefix`")
            .include(&NatConfig::options);
    return mapping;
}

const Mapping<filter::FilterConfig>& Schema<filter::FilterConfig>::get() {
    using filter::FilterConfig;
    static const auto mapping = Mapping<FilterConfig>("chains that decide")
                                    .optional("input", &FilterConfig::input, "packets for the box")
                                    .optional("forward", &FilterConfig::forward, "packets for others")
                                    .optional("output", &FilterConfig::output, "packets of the box");
    return mapping;
}

const Mapping<filter::RulesConfig>& Schema<filter::RulesConfig>::get() {
    using filter::RulesConfig;
    static const auto mapping =
        Mapping<RulesConfig>("rules")
            .optional("early", &RulesConfig::early,
                      "before connection tracking, on packets and fragments as they come; what no rule drops "
                      "goes on")
            .optional("raw", &RulesConfig::raw, "priority -300, before connection tracking")
            .optional("mangle", &RulesConfig::mangle, "priority -150")
            .optional("nat", &RulesConfig::nat,
                      "priority -100 for destinations and 100 for sources, and what NAT does where its rules "
                      "leave it open")
            .optional("filter", &RulesConfig::filter, "priority 0")
            .optional("chains", &RulesConfig::chains, "chains that rules jump to, by name");
    return mapping;
}

}  // namespace config
}  // namespace sluice
