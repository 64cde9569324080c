#include "filter/evaluate.hh"

#include <algorithm>
#include <utility>

#include "filter/match.hh"
#include "filter/mss.hh"
#include "filter/reject.hh"

namespace sluice::filter {
namespace {

using conntrack::CtState;

// Every place in turn and every check: the plain way.
class AllPlaces {
  public:
    AllPlaces(const CompiledChain& chain, const Point&) : end_(chain.rule_count) {}
    uint32_t next(const Point&) { return at_ < end_ ? at_++ : Classifier::Candidates::kEnd; }
    static uint32_t open_checks(uint32_t) { return ~0U; }

  private:
    uint32_t at_ = 0;
    uint32_t end_;
};

// Those the packet's headers may match.
class Candidates {
  public:
    Candidates(const CompiledChain& chain, const Point& point)
        : candidates_(chain.classifier.candidates(point)) {}
    uint32_t next(const Point& point) { return candidates_.next(point); }
    [[nodiscard]] uint32_t open_checks(uint32_t place) const { return candidates_.open_checks(place); }

  private:
    Classifier::Candidates candidates_;
};

// What a walk does besides finding an outcome: for packets in flight everything,
class Doing {
  public:
    Doing(RulesetState& state, Trail& trail) : state_(state), trail_(trail) {}
    bool holds(const CompiledRules& rules, const Check& check, const RulePacket& packet) {
        return filter::holds(rules, check, packet, trail_);
    }
    bool limit_holds(const Ruleset&, uint32_t limit, const RulePacket& packet) {
        trail_.varied();
        return state_.limit_holds(limit, packet);
    }
    bool connlimit_holds(uint32_t connlimit, const RulePacket& packet) {
        trail_.varied();
        return state_.connlimit_holds(connlimit, packet);
    }
    void count(RuleId rule, const RulePacket& packet) {
        state_.counters().count(rule, packet.ip.length(), packet.now);
        trail_.counted(rule);
    }
    void varied() { trail_.varied(); }
    static constexpr bool asks_programs() { return true; }
    [[nodiscard]] LogRing* logs() const { return state_.logs(); }
    bool add(const SetCheck& check, const RulePacket& packet) {
        sets::Fields fields;
        return fill(check, packet, fields) && check.set->add(fields, packet.now, packet.ip.length());
    }

  private:
    RulesetState& state_;
    Trail& trail_;
};

// and for those that are only thought of nothing.
class Thinking {
  public:
    static bool holds(const CompiledRules& rules, const Check& check, const RulePacket& packet) {
        return filter::holds(rules, check, packet);
    }
    static bool limit_holds(const Ruleset& ruleset, uint32_t limit, const RulePacket&) {
        return !ruleset.limits()[limit].over;
    }
    static bool connlimit_holds(uint32_t, const RulePacket&) { return false; }
    static void count(RuleId, const RulePacket&) {}
    static void varied() {}
    static constexpr bool asks_programs() { return false; }
    [[nodiscard]] static LogRing* logs() { return nullptr; }
    static bool add(const SetCheck& check, const RulePacket& packet) {
        sets::Fields fields;
        return fill(check, packet, fields);
    }
};

template <typename Places, typename Effects>
class Walk {
  public:
    Walk(const Ruleset& ruleset, Effects effects, RulePacket& packet, bool early, Hook hook)
        : ruleset_(ruleset),
          effects_(effects),
          packet_(packet),
          point_(Point::of(packet)),
          early_(early),
          hook_(hook) {}

    Outcome run_base(const CompiledChain& chain, uint32_t from = 0) {
        if (!run(chain, from)) {
            outcome_.conclusion = chain.policy == Policy::accept ? Conclusion::accept : Conclusion::drop;
            outcome_.rule = chain.policy_id;
            effects_.count(chain.policy_id, packet_);
        }
        return outcome_;
    }

  private:
    // True if a rule ended the traversal; false: the caller's chain goes on, or the policy decides. Chains
    // nest no deeper than kMaxChainDepth.
    bool run(const CompiledChain& chain, uint32_t from = 0) {
        Places places(chain, point_);
        const CompiledRule* const rules = ruleset_.rules().rules.data() + chain.first_rule;
        for (uint32_t place = places.next(point_); place != Classifier::Candidates::kEnd;
             place = places.next(point_)) {
            if (place < from)
                continue;
            const CompiledRule& rule = rules[place];
            if (!matches(rule, places.open_checks(place)))
                continue;
            effects_.count(rule.id, packet_);
            if (rule.statements != kNoIndex && !run_statements(rule))
                continue;
            if (rule.program != kNoIndex && Effects::asks_programs()) {
                outcome_.asks = &rule;
                outcome_.resume = place + 1;
                return conclude(Conclusion::accept, rule);
            }
            if (rule.observe)
                continue;
            if (rule.nat != kNoIndex) {
                outcome_.nat = &ruleset_.rules().nat[rule.nat];
                return conclude(Conclusion::accept, rule);
            }
            switch (rule.action) {
                case ActionKind::none:
                    break;
                case ActionKind::accept:
                    return conclude(Conclusion::accept, rule);
                case ActionKind::drop:
                    return conclude(Conclusion::drop, rule);
                case ActionKind::reject:
                    outcome_.reject = reject_kind(rule.reject, packet_.ip);
                    return conclude(Conclusion::reject, rule);
                case ActionKind::jump:
                    if (run(ruleset_.chain(rule.target)))
                        return true;
                    break;
                case ActionKind::go_to:
                    return run(ruleset_.chain(rule.target));
                case ActionKind::return_:
                    return false;
            }
        }
        return false;
    }

    bool matches(const CompiledRule& rule, uint32_t open) {
        if (open != 0 && !open_checks_hold(rule, open))
            return false;
        if (rule.limit != kNoIndex && !effects_.limit_holds(ruleset_, rule.limit, packet_))
            return false;
        return rule.connlimit == kNoIndex || effects_.connlimit_holds(rule.connlimit, packet_);
    }

    bool open_checks_hold(const CompiledRule& rule, uint32_t open) {
        const auto checks = ruleset_.rules().checks_of(rule);
        for (size_t i = 0; i < checks.size(); ++i) {
            if ((open >> std::min<size_t>(i, Classifier::kLastOpenBit) & 1) != 0 &&
                !effects_.holds(ruleset_.rules(), checks[i], packet_))
                return false;
        }
        return true;
    }

    bool conclude(Conclusion conclusion, const CompiledRule& rule) {
        outcome_.conclusion = conclusion;
        outcome_.rule = rule.id;
        return true;
    }

    // False if one of them ends the rule, as nftables' NFT_BREAK does. An observing rule only logs.
    bool run_statements(const CompiledRule& rule) {
        const Statements& statements = ruleset_.rules().statements[rule.statements];
        if (statements.has_log)
            log(rule, statements);
        if (rule.observe)
            return true;
        if (statements.sets_mark)
            packet_.mark = statements.mark;
        if (statements.sets_ct_mark && packet_.ct.mark != nullptr) {
            effects_.varied();
            *packet_.ct.mark = statements.ct_mark;
        }
        if (statements.notrack)
            set_untracked();
        if ((statements.clamp_mss || statements.mss != 0) && !lower(statements))
            return false;
        return statements.add_to.set == nullptr || add(statements.add_to);
    }

    void log(const CompiledRule& rule, const Statements& statements) {
        effects_.varied();
        LogRing* const logs = effects_.logs();
        if (logs == nullptr)
            return;
        LogEvent event = LogEvent::of(packet_, rule.id, statements.log);
        event.early = early_;
        event.hook = hook_;
        logs->push(event);
    }

    void set_untracked() {
        effects_.varied();
        if (packet_.ct.exists())
            return;
        packet_.ct.state = CtState::untracked;
        point_.set(Dimension::ct, static_cast<uint32_t>(CtState::untracked));
        outcome_.notrack = true;
    }

    bool lower(const Statements& statements) {
        effects_.varied();
        if (!has_tcp_header(packet_.ip))
            return false;
        outcome_.clamp_mss = outcome_.clamp_mss || statements.clamp_mss;
        const bool lower = statements.mss != 0 && (outcome_.mss == 0 || statements.mss < outcome_.mss);
        if (lower)
            outcome_.mss = statements.mss;
        return true;
    }

    bool add(const SetCheck& check) {
        effects_.varied();
        return effects_.add(check, packet_);
    }

    const Ruleset& ruleset_;
    Effects effects_;
    RulePacket& packet_;
    Point point_;
    const bool early_;
    const Hook hook_;
    Outcome outcome_;
};

template <typename Places>
Outcome evaluate_with(const Ruleset& ruleset, RulesetState& state, Table table, Hook hook, RulePacket& packet,
                      Trail& trail) {
    const CompiledChain* chain = ruleset.base(table, hook);
    if (chain == nullptr)
        return {};
    // In raw there is no flow yet.
    if (has_extension_headers(packet) || (table != Table::raw && !is_ordinary(packet)))
        trail.varied();
    return Walk<Places, Doing>(ruleset, {state, trail}, packet, false, hook).run_base(*chain);
}

}  // namespace

Outcome evaluate(const Ruleset& ruleset, RulesetState& state, Table table, Hook hook, RulePacket& packet,
                 Trail& trail) {
    return evaluate_with<Candidates>(ruleset, state, table, hook, packet, trail);
}

Outcome evaluate_linear(const Ruleset& ruleset, RulesetState& state, Table table, Hook hook,
                        RulePacket& packet, Trail& trail) {
    return evaluate_with<AllPlaces>(ruleset, state, table, hook, packet, trail);
}

Outcome evaluate_early(const Ruleset& ruleset, RulesetState& state, RulePacket& packet, uint32_t from) {
    const CompiledChain* chain = ruleset.early();
    if (chain == nullptr)
        return {};
    Trail trail;
    return Walk<Candidates, Doing>(ruleset, {state, trail}, packet, true, Hook::prerouting)
        .run_base(*chain, from);
}

Outcome foresee(const Ruleset& ruleset, Table table, Hook hook, RulePacket& packet) {
    const CompiledChain* chain = ruleset.base(table, hook);
    return chain == nullptr ? Outcome()
                            : Walk<Candidates, Thinking>(ruleset, {}, packet, false, hook).run_base(*chain);
}

Outcome foresee_early(const Ruleset& ruleset, RulePacket& packet) {
    const CompiledChain* chain = ruleset.early();
    return chain == nullptr
               ? Outcome()
               : Walk<Candidates, Thinking>(ruleset, {}, packet, true, Hook::prerouting).run_base(*chain);
}

Field first_mismatch(const Ruleset& ruleset, const CompiledRule& rule, const RulePacket& packet) {
    for (const Check& check : ruleset.rules().checks_of(rule)) {
        if (!holds(ruleset.rules(), check, packet))
            return check.field;
    }
    return Field::none;
}

}  // namespace sluice::filter
