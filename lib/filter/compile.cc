#include <algorithm>
#include <map>
#include <stdexcept>
#include <utility>

#include "filter/match.hh"
#include "filter/program.hh"
#include "filter/ruleset.hh"
#include "filter/set_fields.hh"

namespace sluice::filter {
namespace {

// Matches that cost a lookup in memory come behind those that do not, and those that differ within a flow
// last, so that as few traversals as possible depend on them.
int turn_of(const Check& check) {
    if (!is_constant(check))
        return 2;
    return check.set_count == 0 ? 0 : 1;
}

template <typename Range>
std::vector<Range> tidy(std::vector<Range> ranges, auto follows) {
    std::ranges::sort(ranges, {}, &Range::first);
    std::vector<Range> result;
    for (const Range& each : ranges) {
        if (!result.empty() && (each.first <= result.back().last || follows(result.back().last, each.first)))
            result.back().last = std::max(result.back().last, each.last);
        else
            result.push_back(each);
    }
    return result;
}

std::vector<NumberRange> tidy_numbers(std::vector<NumberRange> ranges) {
    return tidy(std::move(ranges),
                [](uint32_t last, uint32_t first) { return last != UINT32_MAX && first == last + 1; });
}

std::vector<WideRange> tidy_wide(std::vector<WideRange> ranges) {
    return tidy(std::move(ranges), [](const Wide&, const Wide&) { return false; });
}

}  // namespace

class RulesetBuilder {
  public:
    RulesetBuilder(Ruleset& ruleset, const Names& names, RuleDirectory& directory)
        : ruleset_(ruleset), names_(names), directory_(directory) {}

    void build() {
        for (auto& hooks : ruleset_.base_)
            hooks.fill(kNoChain);
        const Rulebook& book = *ruleset_.book_;
        if (book.chains.size() + book.base.size() + 1 >= kNoChain)
            throw std::logic_error("more chains than can be numbered");
        for (size_t i = 0; i < book.chains.size(); ++i)
            numbers_.emplace(book.chains[i].name, static_cast<ChainIndex>(i));
        for (const RegularChain& chain : book.chains)
            add_chain(chain_name(chain), chain.rules, nullptr);
        for (const auto& [at, chain] : book.base) {
            ruleset_.base_[static_cast<size_t>(at.first)][static_cast<size_t>(at.second)] = next_chain();
            add_chain(chain_name(at.first, at.second), chain.rules, &chain.policy);
        }
        if (!book.early.empty()) {
            constexpr Policy kPass = Policy::accept;
            ruleset_.early_ = next_chain();
            add_chain(std::string(kEarlyChain), book.early, &kPass);
        }
        for (CompiledChain& chain : ruleset_.chains_)
            chain.classifier = Classifier(ruleset_.rules_, chain.first_rule, chain.rule_count);
        if (const CompiledChain* early = ruleset_.early())
            find_steps(*early);
    }

  private:
    [[nodiscard]] ChainIndex next_chain() const { return static_cast<ChainIndex>(ruleset_.chains_.size()); }

    void add_chain(std::string name, const std::vector<Rule>& rules, const Policy* policy) {
        CompiledChain chain;
        chain.is_base = policy != nullptr;
        if (policy != nullptr) {
            chain.policy = *policy;
            chain.policy_id = directory_.number(policy_label(name));
        }
        chain.first_rule = static_cast<uint32_t>(ruleset_.rules_.rules.size());
        for (const Rule& rule : rules) {
            const RuleId id = directory_.number(rule_label(name, rule.name));
            if (rule.expires && *rule.expires < names_.today)
                continue;
            note_expiry(rule);
            add_rule(rule, id);
            if (const auto within = hairpin_of(rule))
                add_rule(*within, id, true);
        }
        chain.rule_count = static_cast<uint32_t>(ruleset_.rules_.rules.size()) - chain.first_rule;
        chain.name = std::move(name);
        ruleset_.chains_.push_back(std::move(chain));
    }

    // The first day on which it does not count.
    void note_expiry(const Rule& rule) {
        if (!rule.expires)
            return;
        const Date day = std::chrono::sys_days(*rule.expires) + std::chrono::days(1);
        if (!ruleset_.next_expiry_ || day < *ruleset_.next_expiry_)
            ruleset_.next_expiry_ = day;
    }

    // What a destination rule with `hairpin` is for packets that come by other interfaces than it names: a
    // rule about the addresses it has, or else those of its interfaces.
    [[nodiscard]] std::optional<Rule> hairpin_of(const Rule& rule) const {
        const bool asked = !rule.dnat.empty() && rule.hairpin.value_or(false) && rule.in &&
                           !rule.in->negated && names_.addresses;
        if (!asked)
            return std::nullopt;
        Rule within = rule;
        within.in->negated = true;
        if (within.daddr)
            return within;
        within.daddr.emplace();
        for (const auto& name : rule.in->names) {
            for (const IpAddress& address : names_.addresses(name.name))
                within.daddr->ranges.push_back({address, address});
        }
        if (within.daddr->ranges.empty())
            return std::nullopt;
        return within;
    }

    void add_nat(const Rule& rule, bool is_hairpin, CompiledRule& compiled) {
        auto statement = nat_rule(rule);
        if (!statement)
            return;
        compiled.nat = static_cast<uint32_t>(ruleset_.rules_.nat.size());
        auto& added = ruleset_.rules_.nat.emplace_back(
            NatStatement{.rule = std::move(*statement), .is_hairpin = is_hairpin});
        if (!is_hairpin)
            return;
        const auto outside = names_.interfaces(rule.in->names.front().name);
        if (!outside.empty())
            added.outside = outside.front();
    }

    void add_program(const Rule& rule, CompiledRule& compiled) {
        if (!rule.program || names_.programs == nullptr)
            return;
        const auto found = names_.programs->find(rule.name);
        if (found == names_.programs->end())
            throw std::logic_error("the program of rule " + rule.name + " was not loaded");
        const LoadedProgram& loaded = found->second;
        CompiledProgram program{.program = loaded.program,
                                .sets = {},
                                .asks_source = loaded.asks_source,
                                .asks_destination = loaded.asks_destination,
                                .interfaces = loaded.interfaces,
                                .counters = {},
                                .limits = loaded.limits};
        for (const auto& set : loaded.sets)
            program.sets.push_back(set_check({set, rule.location}, {Field::saddr}).set);
        for (const auto& counter : loaded.counters)
            program.counters.push_back(directory_.number(program_counter_label(rule.name, counter)));
        for (size_t verdict = 0; verdict < bpf::kVerdicts; ++verdict)
            program.verdicts[verdict] =
                directory_.number(verdict_label(rule.name, static_cast<bpf::Verdict>(verdict)));
        compiled.program = static_cast<uint32_t>(ruleset_.rules_.programs.size());
        ruleset_.rules_.programs.push_back(std::move(program));
    }

    void find_steps(const CompiledChain& early) {
        const auto growing = sets_that_grow(early);
        for (uint32_t place = 0; place < early.rule_count; ++place) {
            const auto step = step_of(ruleset_.rules_.rules[early.first_rule + place]);
            if (!step || asks(*step, growing))
                break;
            ruleset_.early_steps_.push_back(*step);
        }
        const auto& steps = ruleset_.early_steps_;
        const auto other = std::ranges::find_if_not(steps, [](const EarlyStep& step) {
            return step.lookup != nullptr && !step.lookup->set->options().counters;
        });
        ruleset_.frame_steps_ = static_cast<size_t>(other - steps.begin());
    }

    // Sets to which early rules add, also by way of other chains: one packet of a burst may change what they
    // say of the next.
    [[nodiscard]] std::vector<const sets::Set*> sets_that_grow(const CompiledChain& early) const {
        std::vector<const sets::Set*> growing;
        std::vector<const CompiledChain*> reached{&early};
        for (size_t next = 0; next < reached.size(); ++next) {
            const CompiledChain& chain = *reached[next];
            for (const CompiledRule& rule :
                 std::span(ruleset_.rules_.rules).subspan(chain.first_rule, chain.rule_count)) {
                if (rule.statements != kNoIndex)
                    growing.push_back(ruleset_.rules_.statements[rule.statements].add_to.set);
                if (rule.target == kNoChain)
                    continue;
                const CompiledChain* const target = &ruleset_.chains_[rule.target];
                if (std::ranges::find(reached, target) == reached.end())
                    reached.push_back(target);
            }
        }
        return growing;
    }

    [[nodiscard]] bool asks(const EarlyStep& step, std::span<const sets::Set* const> sets) const {
        const auto is_among = [sets](const sets::Set* set) {
            return std::ranges::find(sets, set) != sets.end();
        };
        if (step.lookup != nullptr)
            return is_among(step.lookup->set);
        return std::ranges::any_of(ruleset_.rules_.programs[step.rule->program].sets, is_among);
    }

    [[nodiscard]] std::optional<EarlyStep> step_of(const CompiledRule& rule) const {
        const CompiledRules& rules = ruleset_.rules_;
        EarlyStep step{.rule = &rule, .in = {}, .lookup = nullptr};
        step.in.set();
        for (const Check& check : rules.checks_of(rule)) {
            const bool is_address = check.field == Field::saddr || check.field == Field::daddr;
            if (check.field == Field::in) {
                std::bitset<kMaxInterfaces> named;
                for (const NumberRange& range : rules.numbers_of(check)) {
                    for (uint32_t id = range.first; id <= range.last && id < kMaxInterfaces; ++id)
                        named.set(id);
                }
                step.in &= check.negated ? ~named : named;
            } else if (is_address && check.set_count == 1 && check.count == 0 && check.wide_count == 0 &&
                       !check.negated && step.lookup == nullptr) {
                step.lookup = rules.sets_of(check).data();
            } else {
                return std::nullopt;
            }
        }
        const bool is_simple =
            rule.limit == kNoIndex && rule.connlimit == kNoIndex && rule.statements == kNoIndex;
        const bool drops = rule.action == ActionKind::drop && !rule.observe && rule.program == kNoIndex;
        const bool is_lookup = step.lookup != nullptr && drops;
        const bool is_program = step.lookup == nullptr && rule.program != kNoIndex;
        if (!is_simple || (!is_lookup && !is_program))
            return std::nullopt;
        return step;
    }

    // A rule about a prefix matches what has it.
    [[nodiscard]] static Rule with_prefix(Rule rule) {
        const auto& pair = rule.snat_prefix ? rule.snat_prefix : rule.dnat_prefix;
        auto& match = rule.snat_prefix ? rule.saddr : rule.daddr;
        match.emplace().ranges = {{pair->from.address(), pair->from.last()}};
        return rule;
    }

    void add_rule(const Rule& rule, RuleId id, bool is_hairpin = false) {
        CompiledRule compiled;
        compiled.id = id;
        compiled.action = rule.action.kind;
        compiled.reject = rule.action.reject;
        compiled.observe = rule.observe;
        if (rule.action.kind == ActionKind::jump || rule.action.kind == ActionKind::go_to)
            compiled.target = numbers_.at(rule.action.chain.name);
        checks_.clear();
        rule.snat_prefix || rule.dnat_prefix ? add_matches(with_prefix(rule)) : add_matches(rule);
        std::ranges::stable_sort(checks_, {},
                                 [](const Check& check) { return std::pair(turn_of(check), check.field); });
        auto& all = ruleset_.rules_.checks;
        compiled.first_check = static_cast<uint32_t>(all.size());
        compiled.check_count = static_cast<uint16_t>(checks_.size());
        all.insert(all.end(), checks_.begin(), checks_.end());
        if (rule.limit) {
            compiled.limit = static_cast<uint32_t>(ruleset_.limits_.size());
            ruleset_.limits_.push_back(*rule.limit);
        }
        if (rule.connlimit) {
            compiled.connlimit = static_cast<uint32_t>(ruleset_.connlimits_.size());
            ruleset_.connlimits_.push_back(*rule.connlimit);
        }
        add_statements(rule, compiled);
        add_nat(rule, is_hairpin, compiled);
        add_program(rule, compiled);
        ruleset_.rules_.rules.push_back(compiled);
    }

    void add_matches(const Rule& rule) {
        add_interfaces(Field::in, rule.in);
        add_interfaces(Field::out, rule.out);
        add_family(rule);
        add_proto(rule);
        add_addresses(Field::saddr, rule.saddr);
        add_addresses(Field::daddr, rule.daddr);
        add_numbers(Field::sport, rule.sport);
        add_numbers(Field::dport, rule.dport);
        for (const SetMatch& match : rule.match) {
            Check check{.field = Field::match, .negated = match.negated};
            add_set(check, match.set, match.fields);
            checks_.push_back(check);
        }
        add_numbers(Field::ct, rule.ct);
        add_numbers(Field::ct_direction, rule.ct_direction);
        if (rule.ct_status)
            checks_.push_back({.field = Field::ct_status,
                               .negated = rule.ct_status->negated,
                               .one = {rule.ct_status->bits, rule.ct_status->bits}});
        add_numbers(Field::mark, rule.mark);
        add_numbers(Field::icmp_type, rule.icmp_type);
        add_numbers(Field::icmpv6_type, rule.icmpv6_type);
        add_flags(rule.tcp_flags);
        add_numbers(Field::length, rule.length);
        add_numbers(Field::ttl, rule.ttl);
        if (rule.fragment)
            add_ranges(Field::fragment, false, {{*rule.fragment ? 1U : 0U, *rule.fragment ? 1U : 0U}});
        add_numbers(Field::exthdr, rule.exthdr);
        add_macs(rule.mac_saddr);
    }

    Check& add_ranges(Field field, bool negated, std::vector<NumberRange> ranges) {
        Check check{.field = field, .negated = negated};
        put_numbers(check, tidy_numbers(std::move(ranges)));
        return checks_.emplace_back(check);
    }

    void put_numbers(Check& check, const std::vector<NumberRange>& ranges) {
        auto& all = ruleset_.rules_.numbers;
        check.count = static_cast<uint32_t>(ranges.size());
        if (ranges.size() == 1) {
            check.one = ranges.front();
            return;
        }
        check.first = static_cast<uint32_t>(all.size());
        all.insert(all.end(), ranges.begin(), ranges.end());
    }

    void add_interfaces(Field field, const std::optional<InterfaceMatch>& match) {
        if (!match)
            return;
        std::vector<NumberRange> ids;
        for (const auto& name : match->names) {
            for (const InterfaceId id : names_.interfaces(name.name))
                ids.push_back({static_cast<uint32_t>(index(id)), static_cast<uint32_t>(index(id))});
        }
        add_ranges(field, match->negated, std::move(ids));
    }

    template <typename Match>
    void add_numbers(Field field, const std::optional<Match>& match) {
        if (!match)
            return;
        Check& check = add_ranges(field, match->negated, match->ranges);
        for (const auto& set : match->sets)
            add_set(check, set, {field});
    }

    // A rule with targets of one family is about packets of that family.
    void add_family(const Rule& rule) {
        constexpr uint32_t kIp4 = 4;
        constexpr uint32_t kIp6 = 6;
        const auto& targets = rule.dnat.empty() ? rule.snat : rule.dnat;
        const auto is_ip4 = [](const nat::NatTarget& target) { return target.first.is_ip4(); };
        const bool any_ip4 = std::ranges::any_of(targets, is_ip4);
        if (targets.empty() || (any_ip4 && !std::ranges::all_of(targets, is_ip4))) {
            add_numbers(Field::family, rule.family);
            return;
        }
        const uint32_t family = any_ip4 ? kIp4 : kIp6;
        add_ranges(Field::family, false, {{family, family}});
    }

    // A reset answers TCP alone: as in nftables the rule then matches nothing else.
    void add_proto(const Rule& rule) {
        constexpr auto kTcp = static_cast<uint32_t>(wire::IpProtocol::tcp);
        const bool only_tcp =
            rule.action.kind == ActionKind::reject && rule.action.reject == RejectKind::tcp_reset;
        if (rule.proto)
            add_numbers(Field::proto, rule.proto);
        else if (only_tcp)
            add_ranges(Field::proto, false, {{kTcp, kTcp}});
    }

    void add_addresses(Field field, const std::optional<AddressMatch>& match) {
        if (!match)
            return;
        std::vector<NumberRange> numbers;
        std::vector<WideRange> wide;
        for (const AddressRange& range : match->ranges) {
            if (range.first.is_ip4())
                numbers.push_back({range.first.ip4().host(), range.last.ip4().host()});
            else
                wide.push_back({Wide::of(range.first.ip6()), Wide::of(range.last.ip6())});
        }
        wide = tidy_wide(std::move(wide));
        Check& check = add_ranges(field, match->negated, std::move(numbers));
        auto& all = ruleset_.rules_.wide;
        check.first_wide = static_cast<uint32_t>(all.size());
        check.wide_count = static_cast<uint32_t>(wide.size());
        all.insert(all.end(), wide.begin(), wide.end());
        for (const auto& set : match->sets)
            add_set(check, set, {field});
    }

    void add_flags(const std::optional<TcpFlagsMatch>& match) {
        if (!match)
            return;
        auto& all = ruleset_.rules_.flags;
        checks_.push_back({.field = Field::tcp_flags,
                           .negated = match->negated,
                           .first = static_cast<uint32_t>(all.size()),
                           .count = static_cast<uint32_t>(match->pairs.size())});
        all.insert(all.end(), match->pairs.begin(), match->pairs.end());
    }

    void add_macs(const std::optional<MacMatch>& match) {
        if (!match)
            return;
        auto& all = ruleset_.rules_.macs;
        Check check{.field = Field::mac_saddr,
                    .negated = match->negated,
                    .first = static_cast<uint32_t>(all.size()),
                    .count = static_cast<uint32_t>(match->addresses.size())};
        all.insert(all.end(), match->addresses.begin(), match->addresses.end());
        for (const auto& set : match->sets)
            add_set(check, set, {Field::mac_saddr});
        checks_.push_back(check);
    }

    // The sets of a check stand behind one another.
    void add_set(Check& check, const config::Reference& name, const std::vector<Field>& fields) {
        auto& all = ruleset_.rules_.sets;
        if (check.set_count == 0)
            check.first_set = static_cast<uint32_t>(all.size());
        ++check.set_count;
        all.push_back(set_check(name, fields));
    }

    SetCheck set_check(const config::Reference& name, const std::vector<Field>& fields) {
        const auto id = ruleset_.sets_ == nullptr ? std::nullopt : ruleset_.sets_->find(name.name);
        if (!id)
            throw std::logic_error("a rule names the set " + name.name + ", which is not there");
        SetCheck check;
        check.set = &(*ruleset_.sets_)[*id];
        const auto taken = fields.empty() ? natural_fields(check.set->options().type) : fields;
        check.count = static_cast<uint8_t>(taken.size());
        std::ranges::copy(taken, check.fields.begin());
        return check;
    }

    void add_statements(const Rule& rule, CompiledRule& compiled) {
        Statements statements;
        statements.has_log = rule.log.has_value();
        statements.log = rule.log.value_or(std::string());
        statements.sets_mark = rule.set_mark.has_value();
        statements.mark = rule.set_mark.value_or(0);
        statements.sets_ct_mark = rule.ct_mark.has_value();
        statements.ct_mark = rule.ct_mark.value_or(0);
        statements.notrack = rule.notrack;
        if (rule.mss) {
            statements.clamp_mss = std::holds_alternative<ClampToMtu>(*rule.mss);
            if (const auto* mss = std::get_if<uint16_t>(&*rule.mss))
                statements.mss = *mss;
        }
        if (rule.add_to)
            statements.add_to = set_check(rule.add_to->set, {});
        const bool any = statements.has_log || statements.sets_mark || statements.sets_ct_mark ||
                         statements.notrack || rule.mss || rule.add_to;
        if (!any)
            return;
        compiled.statements = static_cast<uint32_t>(ruleset_.rules_.statements.size());
        ruleset_.rules_.statements.push_back(std::move(statements));
    }

    Ruleset& ruleset_;
    const Names& names_;
    RuleDirectory& directory_;
    std::map<std::string, ChainIndex, std::less<>> numbers_;
    std::vector<Check> checks_;  // of the rule at hand
};

std::shared_ptr<const Ruleset> Ruleset::compile(std::shared_ptr<const Rulebook> book, const Names& names,
                                                RuleDirectory& directory) {
    auto ruleset = std::make_shared<Ruleset>();
    ruleset->book_ = std::move(book);
    ruleset->sets_ = names.sets;
    RulesetBuilder(*ruleset, names, directory).build();
    return ruleset;
}

}  // namespace sluice::filter
