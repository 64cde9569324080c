#include "filter/notrack_check.hh"

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

namespace sluice::filter {
namespace {

template <typename Range>
bool meet(const Range& one, const Range& other) {
    return !(one.last < other.first || other.last < one.first);
}

template <typename Range>
bool covers(const Range& whole, const Range& part) {
    return !(part.first < whole.first || whole.last < part.last);
}

bool meet(const AddressRange& one, const AddressRange& other) {
    return one.first.family() == other.first.family() && meet<AddressRange>(one, other);
}

bool covers(const AddressRange& whole, const AddressRange& part) {
    return whole.first.family() == part.first.family() && covers<AddressRange>(whole, part);
}

// Whether for certain no value matches both.
template <typename Match>
bool exclude(const std::optional<Match>& one, const std::optional<Match>& other) {
    if (!one || !other || !one->sets.empty() || !other->sets.empty() || (one->negated && other->negated))
        return false;
    if (!one->negated && !other->negated)
        return std::ranges::none_of(one->ranges, [&](const auto& range) {
            return std::ranges::any_of(other->ranges, [&](const auto& each) { return meet(range, each); });
        });
    const auto& without = one->negated ? one->ranges : other->ranges;
    const auto& with = one->negated ? other->ranges : one->ranges;
    return std::ranges::all_of(with, [&](const auto& range) {
        return std::ranges::any_of(without, [&](const auto& whole) { return covers(whole, range); });
    });
}

// Addresses of one rule, the family of another.
template <typename Family>
bool is_of_other_family(const std::optional<AddressMatch>& addresses, const Family& family) {
    if (!addresses || !addresses->sets.empty() || !family)
        return false;
    return std::ranges::none_of(addresses->ranges, [&](const AddressRange& range) {
        const uint32_t number = range.first.is_ip4() ? 4 : 6;
        const bool listed = std::ranges::any_of(family->ranges, [&](const NumberRange& each) {
            return each.first <= number && number <= each.last;
        });
        return listed != family->negated;
    });
}

// What a rule's prefix says of addresses, besides its matches.
std::optional<AddressMatch> matched_by(const std::optional<nat::PrefixPair>& prefix) {
    if (!prefix)
        return std::nullopt;
    return AddressMatch{.ranges = {{prefix->from.address(), prefix->from.last()}}, .sets = {}};
}

// Whether the prefix of a translating rule alone tells its packets apart from those of the other.
bool prefix_excludes(const Rule& rule, const Rule& other) {
    const auto source = matched_by(rule.snat_prefix);
    const auto destination = matched_by(rule.dnat_prefix);
    return exclude(other.saddr, source) || exclude(other.daddr, destination) ||
           is_of_other_family(source, other.family) || is_of_other_family(destination, other.family);
}

bool have_no_common_packet(const Rule& one, const Rule& other) {
    return exclude(one.family, other.family) || exclude(one.proto, other.proto) ||
           exclude(one.saddr, other.saddr) || exclude(one.daddr, other.daddr) ||
           exclude(one.sport, other.sport) || exclude(one.dport, other.dport) ||
           is_of_other_family(one.saddr, other.family) || is_of_other_family(one.daddr, other.family) ||
           is_of_other_family(other.saddr, one.family) || is_of_other_family(other.daddr, one.family);
}

// A rule, and the hook whose chain it is in or is reached from.
struct Placed {
    const Rule* rule;
    Hook hook;
};

class NotrackCheck {
  public:
    NotrackCheck(const Rulebook& book, const KnownNames& known, config::Problems& problems)
        : book_(book), known_(known), problems_(problems) {}

    void run() {
        const auto untracked = reached(Table::raw, [](const Rule& rule) { return rule.notrack; });
        if (untracked.empty())
            return;
        const auto translating =
            reached(Table::nat, [](const Rule& rule) { return nat_rule(rule).has_value(); });
        for (const Placed& one : untracked) {
            const auto other = std::ranges::find_if(translating, [&](const Placed& each) {
                return is_behind(one.hook, each.hook) && !interfaces_exclude(one, each) &&
                       !have_no_common_packet(*one.rule, *each.rule) &&
                       !prefix_excludes(*each.rule, *one.rule);
            });
            if (other != translating.end())
                problems_.add(one.rule->location.inside("notrack"),
                              "this would leave untranslated what the rule " +
                                  config::quote(other->rule->name) + " of nat." +
                                  std::string(to_string(other->hook)) + " translates",
                              "expected rules that no packet matches both, by proto, ports, addresses or "
                              "interfaces");
        }
    }

  private:
    // Packets pass this hook of nat after that of raw.
    static bool is_behind(Hook raw, Hook nat) {
        if (raw == Hook::prerouting)
            return nat == Hook::prerouting || nat == Hook::input || nat == Hook::postrouting;
        return nat == Hook::output || nat == Hook::postrouting;
    }

    template <typename Wanted>
    [[nodiscard]] std::vector<Placed> reached(Table table, Wanted&& wanted) const {
        std::vector<Placed> found;
        for (const auto& [at, chain] : book_.base) {
            if (at.first != table)
                continue;
            std::set<std::string_view> seen;
            std::vector<const std::vector<Rule>*> waiting{&chain.rules};
            while (!waiting.empty()) {
                const auto& rules = *waiting.back();
                waiting.pop_back();
                for (const Rule& rule : rules) {
                    if (wanted(rule))
                        found.push_back({&rule, at.second});
                    const auto target =
                        std::ranges::find(book_.chains, rule.action.chain.name, &RegularChain::name);
                    if (target != book_.chains.end() && seen.insert(target->name).second)
                        waiting.push_back(&target->rules);
                }
            }
        }
        return found;
    }

    [[nodiscard]] std::set<InterfaceId> members(const InterfaceMatch& match) const {
        std::set<InterfaceId> ids;
        for (const auto& name : match.names) {
            for (const InterfaceId id : known_.members(name.name))
                ids.insert(id);
        }
        return ids;
    }

    [[nodiscard]] bool exclude_each_other(const std::optional<InterfaceMatch>& one,
                                          const std::optional<InterfaceMatch>& other) const {
        if (!one || !other || (one->negated && other->negated))
            return false;
        const auto first = members(*one);
        const auto second = members(*other);
        const auto is_in = [](const std::set<InterfaceId>& ids) {
            return [&ids](InterfaceId id) { return ids.contains(id); };
        };
        if (one->negated)
            return std::ranges::all_of(second, is_in(first));
        if (other->negated)
            return std::ranges::all_of(first, is_in(second));
        return std::ranges::none_of(first, is_in(second));
    }

    [[nodiscard]] bool interfaces_exclude(const Placed& untracked, const Placed& translating) const {
        if (!known_.members)
            return false;
        const Rule& one = *untracked.rule;
        const Rule& other = *translating.rule;
        // Around by another interface, a hairpin rule is asked too.
        const bool in_matters = !other.hairpin.value_or(false);
        if ((in_matters && exclude_each_other(one.in, other.in)) || exclude_each_other(one.out, other.out))
            return true;
        // Packets from outside do not leave there again.
        const bool from_outside = one.in && other.out && !one.in->negated && !other.out->negated;
        return from_outside && std::ranges::includes(members(*other.out), members(*one.in));
    }

    const Rulebook& book_;
    const KnownNames& known_;
    config::Problems& problems_;
};

}  // namespace

void check_notrack(const Rulebook& book, const KnownNames& known, config::Problems& problems) {
    NotrackCheck(book, known, problems).run();
}

}  // namespace sluice::filter
