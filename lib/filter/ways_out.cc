#include "filter/ways_out.hh"

#include <algorithm>

namespace sluice::filter {

std::optional<std::bitset<kMaxInterfaces>> ways_out(const CompiledRules& rules, const CompiledRule& rule) {
    std::optional<std::bitset<kMaxInterfaces>> found;
    for (const Check& check : rules.checks_of(rule)) {
        if (check.field != Field::out)
            continue;
        std::bitset<kMaxInterfaces> named;
        for (size_t id = 0; id < kMaxInterfaces; ++id)
            named[id] = std::ranges::any_of(rules.numbers_of(check), [id](const NumberRange& range) {
                            return range.first <= id && id <= range.last;
                        }) != check.negated;
        found = found ? *found & named : named;
    }
    return found;
}

std::bitset<kMaxInterfaces> ways_outside(const CompiledRules& rules) {
    std::bitset<kMaxInterfaces> outside;
    for (const CompiledRule& rule : rules.rules) {
        if (rule.nat != kNoIndex && nat::gives_sources(rules.nat[rule.nat].rule.kind))
            outside |= ways_out(rules, rule).value_or(std::bitset<kMaxInterfaces>());
    }
    return outside;
}

}  // namespace sluice::filter
