// The sections `early`, `raw`, `mangle`, `nat`, `filter` and `chains`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/enum_names.hh"
#include "config/mapping.hh"
#include "config/named.hh"
#include "config/problem.hh"
#include "filter/rule.hh"
#include "nat/config.hh"

namespace sluice::filter {

// A chain is a list of rules, or {policy, rules}.
struct RawConfig {
    std::optional<BaseChain> prerouting;
    std::optional<BaseChain> output;
    bool operator==(const RawConfig&) const = default;
};

struct MangleConfig {
    std::optional<BaseChain> prerouting;
    std::optional<BaseChain> input;
    std::optional<BaseChain> forward;
    std::optional<BaseChain> output;
    std::optional<BaseChain> postrouting;
    bool operator==(const MangleConfig&) const = default;
};

struct NatConfig {
    std::optional<BaseChain> prerouting;
    std::optional<BaseChain> input;
    std::optional<BaseChain> output;
    std::optional<BaseChain> postrouting;
    nat::NatOptions options;  // its keys stand beside the chains
    bool operator==(const NatConfig&) const = default;
};

struct FilterConfig {
    std::optional<BaseChain> input;
    std::optional<BaseChain> forward;
    std::optional<BaseChain> output;
    bool operator==(const FilterConfig&) const = default;
};

// All sections with rules; Mapping::include() puts them among those of the gateway.
struct RulesConfig {
    std::vector<Rule> early;
    RawConfig raw;
    MangleConfig mangle;
    NatConfig nat;
    FilterConfig filter;
    config::Named<std::vector<Rule>> chains;
    bool operator==(const RulesConfig&) const = default;
};

// The rules, for check_rules() and Ruleset::compile(). Here a plain `mark: N`, which is a statement and a
// match, gets its meaning from its place: in raw and mangle it sets the mark, in filter and early it is
// matched. In `chains`, which belong to no table, check_rules() refuses it; `set_mark: N` and `mark: "=N"`
// are clear anywhere.
Rulebook rulebook(const RulesConfig& config);

// What one rule says is wrong in itself.
void check_rule(const Rule& rule, config::Context& context);

}  // namespace sluice::filter

namespace sluice {

template <>
struct config::EnumNames<filter::Policy> {
    static constexpr auto names = std::to_array<EnumName<filter::Policy>>(
        {{filter::Policy::accept, "accept"}, {filter::Policy::drop, "drop"}});
};
template <>
struct config::EnumNames<filter::ClampToMtu> {
    static constexpr auto names =
        std::to_array<EnumName<filter::ClampToMtu>>({{filter::ClampToMtu::clamp, "clamp"}});
};
template <>
struct config::EnumNames<filter::LimitKey> {
    static constexpr auto names =
        std::to_array<EnumName<filter::LimitKey>>({{filter::LimitKey::rule, "rule"},
                                                   {filter::LimitKey::saddr, "saddr"},
                                                   {filter::LimitKey::daddr, "daddr"},
                                                   {filter::LimitKey::saddr_daddr, "saddr . daddr"},
                                                   {filter::LimitKey::dport, "dport"},
                                                   {filter::LimitKey::saddr_dport, "saddr . dport"},
                                                   {filter::LimitKey::daddr_dport, "daddr . dport"}});
};
template <>
struct config::EnumNames<filter::RejectKind> {
    static constexpr auto names = std::to_array<EnumName<filter::RejectKind>>(
        {{filter::RejectKind::tcp_reset, "tcp-reset"},
         {filter::RejectKind::port_unreachable, "port-unreachable"},
         {filter::RejectKind::host_unreachable, "host-unreachable"},
         {filter::RejectKind::admin_prohibited, "admin-prohibited"}});
};

// What the values of a number match are called: numbers, names, ranges, comparisons.
namespace filter {
struct NumberWords;
const NumberWords& number_words(Field field);
std::string expected_numbers(const NumberWords& words);
std::optional<NumberMatch> read_numbers(const NumberWords& words, config::Context& context);
config::Node print_numbers(const NumberWords& words, const NumberMatch& value);
}  // namespace filter

template <filter::Field F>
struct config::Custom<filter::NumberMatchOf<F>> {
    static std::string expected() { return filter::expected_numbers(filter::number_words(F)); }
    static std::optional<filter::NumberMatchOf<F>> read(const Node&, Context& context) {
        auto match = filter::read_numbers(filter::number_words(F), context);
        if (!match)
            return std::nullopt;
        return filter::NumberMatchOf<F>{std::move(*match)};
    }
    static Node print(const filter::NumberMatchOf<F>& value) {
        return filter::print_numbers(filter::number_words(F), value);
    }
};

template <>
struct config::Custom<filter::InterfaceMatch> {
    static std::string expected();
    static std::optional<filter::InterfaceMatch> read(const Node& node, Context& context);
    static Node print(const filter::InterfaceMatch& value);
};
template <>
struct config::Custom<filter::AddressMatch> {
    static std::string expected();
    static std::optional<filter::AddressMatch> read(const Node& node, Context& context);
    static Node print(const filter::AddressMatch& value);
};
template <>
struct config::Custom<filter::MacMatch> {
    static std::string expected();
    static std::optional<filter::MacMatch> read(const Node& node, Context& context);
    static Node print(const filter::MacMatch& value);
};
template <>
struct config::Custom<filter::StatusMatch> {
    static std::string expected();
    static std::optional<filter::StatusMatch> read(const Node& node, Context& context);
    static Node print(const filter::StatusMatch& value);
};
template <>
struct config::Custom<filter::TcpFlagsMatch> {
    static std::string expected();
    static std::optional<filter::TcpFlagsMatch> read(const Node& node, Context& context);
    static Node print(const filter::TcpFlagsMatch& value);
};
// The whole of `match`: a mapping from concatenated fields to sets.
template <>
struct config::Value<std::vector<filter::SetMatch>> {
    static bool read(Context& context, const Constraint& constraint, std::vector<filter::SetMatch>& into);
    static Node print(const std::vector<filter::SetMatch>& value);
    static std::string expected(const Constraint& constraint);
    static bool takes(Node::Kind kind) { return kind == Node::Kind::mapping || kind == Node::Kind::null; }
    static const MappingBase* nested() { return nullptr; }
    static constexpr std::string_view nesting() { return ""; }
    static constexpr std::optional<Dimension> dimension() { return std::nullopt; }
};
template <>
struct config::Custom<filter::Limit> {
    static std::string expected();
    static std::optional<filter::Limit> read(const Node& node, Context& context);
    static Node print(const filter::Limit& value);
};
template <>
struct config::Schema<filter::Connlimit> {
    static const Mapping<filter::Connlimit>& get();
};
template <>
struct config::Custom<filter::AddTo> {
    static std::string expected();
    static std::optional<filter::AddTo> read(const Node& node, Context& context);
    static Node print(const filter::AddTo& value);
};
template <>
struct config::Custom<filter::ProgramFile> {
    static std::string expected();
    static std::optional<filter::ProgramFile> read(const Node& node, Context& context);
    static Node print(const filter::ProgramFile& value);
};
template <>
struct config::Custom<filter::RuleAction> {
    static std::string expected();
    static std::optional<filter::RuleAction> read(const Node& node, Context& context);
    static Node print(const filter::RuleAction& value);
};
template <>
struct config::Scalar<filter::Date> {
    static std::string expected();
    static Expected<filter::Date> parse(std::string_view text);
    static std::string format(const filter::Date& value);
};

// A rule is read by its schema; its text as written is kept beside it.
template <>
struct config::Schema<filter::Rule> {
    static const Mapping<filter::Rule>& get();
};
template <>
struct config::Custom<filter::Rule> {
    static std::string expected();
    static std::optional<filter::Rule> read(const Node& node, Context& context);
    static Node print(const filter::Rule& value);
    static bool takes(Node::Kind kind) { return kind == Node::Kind::mapping; }
};
template <>
struct config::Schema<filter::BaseChain> {
    static const Mapping<filter::BaseChain>& get();
};
template <>
struct config::Custom<filter::BaseChain> {
    static std::string expected();
    static std::optional<filter::BaseChain> read(const Node& node, Context& context);
    static Node print(const filter::BaseChain& value);
};
template <>
struct config::Schema<filter::RawConfig> {
    static const Mapping<filter::RawConfig>& get();
};
template <>
struct config::Schema<filter::MangleConfig> {
    static const Mapping<filter::MangleConfig>& get();
};
template <>
struct config::Schema<filter::NatConfig> {
    static const Mapping<filter::NatConfig>& get();
};
template <>
struct config::Schema<filter::FilterConfig> {
    static const Mapping<filter::FilterConfig>& get();
};
template <>
struct config::Schema<filter::RulesConfig> {
    static const Mapping<filter::RulesConfig>& get();
};

}  // namespace sluice
