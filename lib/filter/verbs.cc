#include "filter/verbs.hh"

#include <algorithm>
#include <boost/json.hpp>
#include <string>

namespace sluice::filter {
namespace {

namespace json = boost::json;

json::value last_hit(const RulesView& view, const RuleCounts& counts) {
    return counts.packets == 0 ? json::value() : json::value(view.wall_clock(counts.last_hit));
}

RuleCounts counts_of(const RulesView& view, const std::string& label) {
    const RuleId rule = view.directory->find(label);
    return rule == kNoRule ? RuleCounts{} : view.directory->sum(rule, view.workers);
}

// What a rule's program is, said and counted.
json::object program_json(const RulesView& view, const Rule& rule, const CompiledProgram& compiled) {
    json::object verdicts;
    for (size_t i = 0; i < bpf::kVerdicts; ++i)
        verdicts[bpf::to_string(static_cast<bpf::Verdict>(i))] =
            view.directory->sum(compiled.verdicts[i], view.workers).packets;
    json::object counters;
    for (const RuleId counter : compiled.counters) {
        const auto label = view.directory->label(counter);
        counters[label.substr(label.rfind(':') + 1)] = view.directory->sum(counter, view.workers).packets;
    }
    return {{"file", rule.program->written},
            {"section", rule.section},
            {"instructions", compiled.program->instructions()},
            {"execution", compiled.program->is_machine_code() ? "machine_code" : "interpreted"},
            {"verdicts", std::move(verdicts)},
            {"counters", std::move(counters)}};
}

// Null if the rule has no program, or does not count any more.
const CompiledProgram* program_of(const RulesView& view, const std::string& label) {
    const RuleId id = view.directory->find(label);
    const CompiledRules& rules = view.ruleset->rules();
    const auto found = std::ranges::find(rules.rules, id, &CompiledRule::id);
    return found == rules.rules.end() || found->program == kNoIndex ? nullptr
                                                                    : &rules.programs[found->program];
}

json::object rule_json(const RulesView& view, const std::string& chain, const Rule& rule) {
    const RuleCounts counts = counts_of(view, rule_label(chain, rule.name));
    json::object object{{"name", rule.name},
                        {"rule", rule.text},
                        {"packets", counts.packets},
                        {"bytes", counts.bytes},
                        {"last_hit", last_hit(view, counts)}};
    if (!rule.description.empty())
        object["description"] = rule.description;
    if (!rule.owner.empty())
        object["owner"] = rule.owner;
    if (rule.observe)
        object["observe"] = true;
    if (rule.program) {
        if (const auto* program = program_of(view, rule_label(chain, rule.name)))
            object["program"] = program_json(view, rule, *program);
    }
    return object;
}

json::object chain_json(const RulesView& view, const std::string& name, const std::vector<Rule>& rules) {
    json::array items;
    for (const Rule& rule : rules)
        items.push_back(rule_json(view, name, rule));
    return {{"chain", name}, {"rules", std::move(items)}};
}

// A chain at a hook, with its policy and what fell to it.
json::object base_json(const RulesView& view, const std::string& name, const std::vector<Rule>& rules,
                       Policy policy) {
    json::object object = chain_json(view, name, rules);
    const RuleCounts counts = counts_of(view, policy_label(name));
    object["policy"] = policy == Policy::accept ? "accept" : "drop";
    object["packets"] = counts.packets;
    object["bytes"] = counts.bytes;
    return object;
}

}  // namespace

json::array rules_json(const RulesView& view) {
    json::array items;
    if (view.ruleset != nullptr) {
        const Rulebook& book = view.ruleset->book();
        const std::string early(kEarlyChain);
        if (!book.early.empty())
            items.push_back(base_json(view, early, book.early, Policy::accept));
        for (const auto& [at, chain] : book.base)
            items.push_back(base_json(view, chain_name(at.first, at.second), chain.rules, chain.policy));
        for (const RegularChain& chain : book.chains)
            items.push_back(chain_json(view, chain_name(chain), chain.rules));
    }
    return items;
}

namespace {

admin::Response reset(const RulesView& view) {
    for (RuleId rule = kNoRule + 1; rule < view.directory->size(); ++rule)
        view.directory->reset(rule, view.workers);
    return admin::Response::json(json::value{{"reset", true}});
}

}  // namespace

void add_verbs(admin::Verbs& verbs, const std::function<RulesView()>& view) {
    verbs.add("GET", "/v1/rules", "every chain, its policy, its rules as written with what they counted",
              [view](const admin::Request& request) { return admin::paged(request, rules_json(view())); });
    verbs.add("POST", "/v1/rules/reset", "all rules count from zero",
              [view](const admin::Request&) { return reset(view()); });
}

}  // namespace sluice::filter
