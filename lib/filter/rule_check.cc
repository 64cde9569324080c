#include "filter/rule_check.hh"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "config/names.hh"
#include "filter/notrack_check.hh"
#include "filter/set_fields.hh"

namespace sluice::filter {
namespace {

// Where a rule is asked.
struct Place {
    bool early = false;
    Table table{};
    Hook hook{};
    auto operator<=>(const Place&) const = default;
    [[nodiscard]] std::string text() const {
        return early ? std::string(kEarlyChain) : chain_name(table, hook);
    }
};

// A key that means nothing where a rule is asked.
struct Misplaced {
    std::string_view key;
    std::string_view why;
};

void misplaced_interfaces(const Rule& rule, const Place& at, std::vector<Misplaced>& found) {
    const bool has_no_out = at.early || at.hook == Hook::prerouting || at.hook == Hook::input;
    const bool has_no_in = !at.early && (at.hook == Hook::output || at.hook == Hook::postrouting);
    if (rule.out && has_no_out)
        found.push_back({"out", "the packet has not been routed to an interface here"});
    if (rule.in && has_no_in)
        found.push_back({"in", "packets here did not all arrive by an interface"});
    if (rule.mac_saddr && has_no_in)
        found.push_back({"mac_saddr", "packets here did not all arrive by Ethernet"});
}

void misplaced_tracking(const Rule& rule, const Place& at, std::vector<Misplaced>& found) {
    const bool untracked_yet = at.early || at.table == Table::raw;
    const auto need_tracking = [&](std::string_view key, bool is_there) {
        if (untracked_yet && is_there)
            found.push_back({key, "connection tracking comes after this"});
    };
    need_tracking("ct", rule.ct.has_value());
    need_tracking("ct_direction", rule.ct_direction.has_value());
    need_tracking("ct_status", rule.ct_status.has_value());
    need_tracking("connlimit", rule.connlimit.has_value());
    need_tracking("ct_mark", rule.ct_mark.has_value());
    if (rule.notrack && (at.early || at.table != Table::raw))
        found.push_back({"notrack", "it is too late or too early for that outside raw"});
}

void misplaced_statements(const Rule& rule, const Place& at, std::vector<Misplaced>& found) {
    const bool clamps = rule.mss && std::holds_alternative<ClampToMtu>(*rule.mss);
    const bool has_no_route = at.early || at.hook == Hook::prerouting || at.hook == Hook::input;
    if (clamps && has_no_route)
        found.push_back({"mss", "there is no path here whose MTU could be asked for"});
    else if (rule.mss && at.early)
        found.push_back({"mss", "early rules change nothing"});
    const bool answers =
        !at.early && (at.hook == Hook::input || at.hook == Hook::forward || at.hook == Hook::output);
    if (rule.action.kind == ActionKind::reject && (!answers || at.table == Table::nat))
        found.push_back({"action", "reject is for input, forward and output, and not for nat"});
    if (rule.program && !at.early)
        found.push_back({"program", "programs are asked in early, before all else"});
    if (!at.early)
        return;
    if (rule.mark || rule.set_mark)
        found.push_back({rule.mark ? "mark" : "set_mark", "packets have no mark yet"});
    const bool moves = rule.action.kind == ActionKind::jump || rule.action.kind == ActionKind::go_to ||
                       rule.action.kind == ActionKind::return_;
    if (moves)
        found.push_back({"action", "early rules accept or drop"});
}

void misplaced_nat(const Rule& rule, const Place& at, std::vector<Misplaced>& found) {
    const bool in_nat = !at.early && at.table == Table::nat;
    const bool to_route = in_nat && (at.hook == Hook::prerouting || at.hook == Hook::output);
    const bool leaves = in_nat && at.hook == Hook::postrouting;
    const bool arrives = in_nat && at.hook == Hook::input;
    constexpr std::string_view kDestination = "destinations are translated in nat.prerouting and nat.output";
    if (!rule.dnat.empty() && !to_route)
        found.push_back({"dnat", kDestination});
    if (rule.redirect && !to_route)
        found.push_back({"redirect", kDestination});
    if (!rule.snat.empty() && !leaves && !arrives)
        found.push_back({"snat", "sources are translated in nat.postrouting and nat.input"});
    if (rule.dnat_prefix && !to_route)
        found.push_back({"dnat_prefix", kDestination});
    if (rule.snat_prefix && !leaves && !arrives)
        found.push_back({"snat_prefix", "sources are translated in nat.postrouting and nat.input"});
    if (rule.masquerade && !leaves)
        found.push_back({"masquerade", "it takes its address from the interface by which packets leave"});
}

std::vector<Misplaced> misplaced(const Rule& rule, const Place& at) {
    std::vector<Misplaced> found;
    misplaced_interfaces(rule, at, found);
    misplaced_tracking(rule, at, found);
    misplaced_statements(rule, at, found);
    misplaced_nat(rule, at, found);
    return found;
}

class RuleCheck {
  public:
    RuleCheck(const Rulebook& book, const KnownNames& known, config::Problems& problems)
        : book_(book), known_(known), problems_(problems) {
        for (const RegularChain& chain : book.chains) {
            chains_.emplace(chain.name, &chain);
            chain_names_.push_back(chain.name);
        }
        for (const KnownSet& set : known.sets)
            set_names_.push_back(set.name);
    }

    void run() {
        check_list(book_.early);
        for (const auto& [at, chain] : book_.base)
            check_list(chain.rules);
        for (const RegularChain& chain : book_.chains) {
            check_list(chain.rules);
            check_marks(chain.rules);
        }
        check_places(book_.early, {.early = true, .table = {}, .hook = {}});
        for (const auto& [at, chain] : book_.base)
            check_places(chain.rules, {.early = false, .table = at.first, .hook = at.second});
        check_nesting();
    }

  private:
    // What a list of rules shows by itself.
    void check_list(const std::vector<Rule>& rules) {
        std::set<std::string_view> names;
        for (const Rule& rule : rules) {
            if (!names.insert(rule.name).second)
                problems_.add(rule.location.inside("name"),
                              "the name " + config::quote(rule.name) + " is used twice in this chain",
                              "expected another name: it tells the rules' counters apart");
            check_references(rule);
        }
    }

    void check_references(const Rule& rule) {
        for (const auto* match : {&rule.in, &rule.out}) {
            if (!*match)
                continue;
            for (const auto& name : (*match)->names)
                config::resolve(name, "interface or zone", known_.interfaces, problems_);
        }
        check_sets(rule.saddr, {Field::saddr});
        check_sets(rule.daddr, {Field::daddr});
        check_sets(rule.sport, {Field::sport});
        check_sets(rule.dport, {Field::dport});
        check_sets(rule.proto, {Field::proto});
        check_sets(rule.mark, {Field::mark});
        check_sets(rule.mac_saddr, {Field::mac_saddr});
        for (const SetMatch& match : rule.match)
            check_set(match.set, match.fields);
        if (rule.add_to) {
            const KnownSet* set = find(rule.add_to->set);
            if (set != nullptr && natural_fields(set->type).empty())
                problems_.add(rule.add_to->set.at,
                              "a packet has not so many addresses or ports as the set's elements",
                              "expected a set with at most two addresses and two ports");
        }
        const bool has_target = rule.action.kind == ActionKind::jump || rule.action.kind == ActionKind::go_to;
        if (has_target)
            config::resolve(rule.action.chain, "chain", chain_names_, problems_);
    }

    template <typename Match>
    void check_sets(const std::optional<Match>& match, const std::vector<Field>& fields) {
        if (!match)
            return;
        for (const auto& set : match->sets)
            check_set(set, fields);
    }

    const KnownSet* find(const config::Reference& name) {
        if (!config::resolve(name, "set", set_names_, problems_))
            return nullptr;
        const auto found = std::ranges::find(known_.sets, name.name, &KnownSet::name);
        return found == known_.sets.end() ? nullptr : &*found;
    }

    void check_set(const config::Reference& name, const std::vector<Field>& fields) {
        const KnownSet* set = find(name);
        if (set == nullptr || fits(set->type, fields))
            return;
        problems_.add(name.at,
                      "the set " + config::quote(set->name) + " holds " + set->type.to_string() +
                          ", which is not what is looked up in it",
                      "expected a set of type " + fitting_type(fields));
    }

    // A plain mark has no meaning without a table.
    void check_marks(const std::vector<Rule>& rules) {
        for (const Rule& rule : rules) {
            if (rule.plain_mark && rule.mark)
                problems_.add(rule.location.inside("mark"),
                              "in a chain of no table this could mean to match the mark or to set it",
                              "expected mark: \"=N\" or set_mark: N");
        }
    }

    // Keys that mean nothing in this chain or in those reached from it.
    void check_places(const std::vector<Rule>& rules, const Place& at) {
        std::set<std::string_view> reached;
        std::vector<const std::vector<Rule>*> waiting{&rules};
        while (!waiting.empty()) {
            const auto& list = *waiting.back();
            waiting.pop_back();
            for (const Rule& rule : list) {
                for (const Misplaced& wrong : misplaced(rule, at))
                    report(rule, wrong, at, &list == &rules);
                const auto target = chains_.find(rule.action.chain.name);
                if (target != chains_.end() && reached.insert(target->first).second)
                    waiting.push_back(&target->second->rules);
            }
        }
    }

    void report(const Rule& rule, const Misplaced& wrong, const Place& at, bool here) {
        const std::string key(wrong.key);
        if (!reported_.insert({&rule, key}).second)
            return;
        problems_.add(rule.location.inside(key),
                      key + " has no place in " + at.text() +
                          (here ? "" : ", from which this chain is reached") + ": " + std::string(wrong.why),
                      "expected another place for the rule, or a rule without it");
    }

    // Loops, and chains that go too deep.
    void check_nesting() {
        for (const RegularChain& chain : book_.chains)
            depth_of(chain);
        for (const auto& [at, chain] : book_.base)
            check_depth(chain.rules);
    }

    // How many chains deep it goes, itself included; 0 while it is being found out.
    size_t depth_of(const RegularChain& chain) {
        const auto [known, is_new] = depths_.emplace(chain.name, 0);
        if (!is_new)
            return known->second;
        size_t depth = 1;
        for (const Rule& rule : chain.rules) {
            const auto target = chains_.find(rule.action.chain.name);
            if (target == chains_.end())
                continue;
            const size_t below = depth_of(*target->second);
            if (below == 0)
                problems_.add(rule.action.chain.at,
                              "the chain " + config::quote(target->first) + " leads back to itself",
                              "expected chains without a loop");
            depth = std::max(depth, below + 1);
        }
        return depths_[chain.name] = depth;
    }

    void check_depth(const std::vector<Rule>& rules) {
        for (const Rule& rule : rules) {
            const auto depth = depths_.find(rule.action.chain.name);
            if (depth != depths_.end() && depth->second + 1 > kMaxChainDepth)
                problems_.add(rule.action.chain.at,
                              "from here chains are nested " + std::to_string(depth->second + 1) + " deep",
                              "expected at most " + std::to_string(kMaxChainDepth));
        }
    }

    const Rulebook& book_;
    const KnownNames& known_;
    config::Problems& problems_;
    std::map<std::string, const RegularChain*, std::less<>> chains_;
    std::vector<std::string> chain_names_;
    std::vector<std::string> set_names_;
    std::map<std::string, size_t, std::less<>> depths_;
    std::set<std::pair<const Rule*, std::string>> reported_;
};

void add_uses(const std::string& chain, const std::vector<Rule>& rules, std::vector<sets::SetUse>& uses) {
    for (const Rule& rule : rules) {
        const std::string by = chain + ": " + rule.name;
        const auto add = [&](const config::Reference& set, bool adds) {
            uses.push_back({set.name, by, adds});
        };
        const auto add_all = [&](const auto& match) {
            if (!match)
                return;
            for (const auto& set : match->sets)
                add(set, false);
        };
        add_all(rule.saddr);
        add_all(rule.daddr);
        add_all(rule.sport);
        add_all(rule.dport);
        add_all(rule.proto);
        add_all(rule.mark);
        add_all(rule.mac_saddr);
        for (const SetMatch& match : rule.match)
            add(match.set, false);
        if (rule.add_to)
            add(rule.add_to->set, true);
    }
}

}  // namespace

void check_rules(const Rulebook& book, const KnownNames& known, config::Problems& problems) {
    RuleCheck(book, known, problems).run();
    check_notrack(book, known, problems);
}

std::vector<sets::SetUse> set_uses(const Rulebook& book) {
    std::vector<sets::SetUse> uses;
    add_uses(std::string(kEarlyChain), book.early, uses);
    for (const auto& [at, chain] : book.base)
        add_uses(chain_name(at.first, at.second), chain.rules, uses);
    for (const RegularChain& chain : book.chains)
        add_uses(chain_name(chain), chain.rules, uses);
    return uses;
}

}  // namespace sluice::filter
