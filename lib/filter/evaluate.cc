#include "filter/evaluate.hh"

#include <utility>

#include "filter/match.hh"
#include "filter/mss.hh"
#include "filter/reject.hh"

namespace sluice::filter {
namespace {

using conntrack::CtState;

// Every place in turn: the plain way.
class AllPlaces {
  public:
    AllPlaces(const CompiledChain& chain, const Point&) : end_(chain.rule_count) {}
    uint32_t next() { return at_ < end_ ? at_++ : Classifier::Candidates::kEnd; }

  private:
    uint32_t at_ = 0;
    uint32_t end_;
};

// Those the packet's headers may match.
class Candidates {
  public:
    Candidates(const CompiledChain& chain, const Point& point)
        : candidates_(chain.classifier.candidates(point)) {}
    uint32_t next() { return candidates_.next(); }

  private:
    Classifier::Candidates candidates_;
};

template <typename Places>
class Walk {
  public:
    Walk(const Ruleset& ruleset, RulesetState& state, RulePacket& packet, Trail& trail, bool early, Hook hook)
        : ruleset_(ruleset),
          state_(state),
          packet_(packet),
          trail_(trail),
          point_(Point::of(packet)),
          early_(early),
          hook_(hook) {}

    Outcome run_base(const CompiledChain& chain) {
        if (!run(chain)) {
            outcome_.conclusion = chain.policy == Policy::accept ? Conclusion::accept : Conclusion::drop;
            outcome_.rule = chain.policy_id;
            count(chain.policy_id);
        }
        return outcome_;
    }

  private:
    // True if a rule ended the traversal; false: the caller's chain goes on, or the policy decides. Chains
    // nest no deeper than kMaxChainDepth.
    bool run(const CompiledChain& chain) {
        Places places(chain, point_);
        const CompiledRule* const rules = ruleset_.rules().rules.data() + chain.first_rule;
        for (uint32_t place = places.next(); place != Classifier::Candidates::kEnd; place = places.next()) {
            const CompiledRule& rule = rules[place];
            if (!matches(rule))
                continue;
            count(rule.id);
            if (rule.statements != kNoIndex && !run_statements(rule))
                continue;
            if (rule.observe)
                continue;
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

    bool matches(const CompiledRule& rule) {
        for (const Check& check : ruleset_.rules().checks_of(rule)) {
            if (!holds(ruleset_.rules(), check, packet_, trail_))
                return false;
        }
        if (rule.limit != kNoIndex) {
            trail_.varied();
            if (!state_.limit_holds(rule.limit, packet_))
                return false;
        }
        if (rule.connlimit == kNoIndex)
            return true;
        trail_.varied();
        return state_.connlimit_holds(rule.connlimit, packet_);
    }

    void count(RuleId rule) {
        state_.counters().count(rule, packet_.ip.length(), packet_.now);
        trail_.counted(rule);
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
            trail_.varied();
            *packet_.ct.mark = statements.ct_mark;
        }
        if (statements.notrack)
            set_untracked();
        if ((statements.clamp_mss || statements.mss != 0) && !lower(statements))
            return false;
        return statements.add_to.set == nullptr || add(statements.add_to);
    }

    void log(const CompiledRule& rule, const Statements& statements) {
        trail_.varied();
        if (state_.logs() == nullptr)
            return;
        LogEvent event = LogEvent::of(packet_, rule.id, statements.log);
        event.early = early_;
        event.hook = hook_;
        state_.logs()->push(event);
    }

    void set_untracked() {
        trail_.varied();
        if (packet_.ct.exists())
            return;
        packet_.ct.state = CtState::untracked;
        outcome_.notrack = true;
    }

    bool lower(const Statements& statements) {
        trail_.varied();
        if (!has_tcp_header(packet_.ip))
            return false;
        outcome_.clamp_mss = outcome_.clamp_mss || statements.clamp_mss;
        const bool lower = statements.mss != 0 && (outcome_.mss == 0 || statements.mss < outcome_.mss);
        if (lower)
            outcome_.mss = statements.mss;
        return true;
    }

    bool add(const SetCheck& check) {
        trail_.varied();
        sets::Fields fields;
        return fill(check, packet_, fields) && check.set->add(fields, packet_.now, packet_.ip.length());
    }

    const Ruleset& ruleset_;
    RulesetState& state_;
    RulePacket& packet_;
    Trail& trail_;
    const Point point_;
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
    return Walk<Places>(ruleset, state, packet, trail, false, hook).run_base(*chain);
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

Outcome evaluate_early(const Ruleset& ruleset, RulesetState& state, RulePacket& packet) {
    const CompiledChain* chain = ruleset.early();
    if (chain == nullptr)
        return {};
    Trail trail;
    return Walk<Candidates>(ruleset, state, packet, trail, true, Hook::prerouting).run_base(*chain);
}

Field first_mismatch(const Ruleset& ruleset, const CompiledRule& rule, const RulePacket& packet) {
    for (const Check& check : ruleset.rules().checks_of(rule)) {
        if (!holds(ruleset.rules(), check, packet))
            return check.field;
    }
    return Field::none;
}

}  // namespace sluice::filter
