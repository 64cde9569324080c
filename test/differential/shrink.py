"""Makes a case that differs small: drops packets and rules as long as the difference remains."""
from collections.abc import Callable

from case import Case

Differs = Callable[[Case], bool]


def shrink(case: Case, differs: Differs) -> Case:
    """The smallest case found; `differs` runs both boxes. Rules go first: fewer of them free packets, and both again."""
    case = case.with_packets(_fewest(case.packets, lambda kept: differs(case.with_packets(kept))))
    if case.rules:
        case = _fewer_rules(case, differs)
        case = case.with_packets(_fewest(case.packets, lambda kept: differs(case.with_packets(kept))))
    return case


def _fewest(items: list, fits: Callable[[list], bool]) -> list:
    """Delta debugging: ever smaller pieces are left out, as long as what stays fits."""
    size = max(1, len(items) // 2)
    while True:
        place, dropped = 0, False
        while place < len(items):
            kept = items[:place] + items[place + size:]
            if kept and fits(kept):
                items, dropped = kept, True
            else:
                place += size
        if size == 1 and not dropped:
            return items
        if not dropped or size > 1:
            size = max(1, size // 2)


def _fewer_rules(case: Case, differs: Differs) -> Case:
    changed = True
    while changed:
        changed = False
        for smaller in _smaller_rules(case.rules):
            candidate = case.with_rules(smaller)
            if differs(candidate):
                case, changed = candidate, True
                break
    return case


def _smaller_rules(rules: dict):
    """Every way to leave out one section, chain, rule, match, set or element; large pieces first."""
    for section in rules:
        yield {key: value for key, value in rules.items() if key != section}
    for section in ("conntrack", "raw", "mangle", "filter", "chains", "sets"):
        for name in rules.get(section, {}):
            yield {**rules, section: {key: value for key, value in rules[section].items() if key != name}}
    for section in ("raw", "mangle", "filter", "chains"):
        for name, chain in rules.get(section, {}).items():
            if "policy" in chain:
                without = {key: value for key, value in chain.items() if key != "policy"}
                yield {**rules, section: {**rules[section], name: without}}
            listed = chain if isinstance(chain, list) else chain.get("rules", [])
            for smaller in _smaller_lists(listed):
                changed = smaller if isinstance(chain, list) else {**chain, "rules": smaller}
                yield {**rules, section: {**rules[section], name: changed}}


def _smaller_lists(listed: list[dict]):
    for n in range(len(listed)):
        yield listed[:n] + listed[n + 1:]
    for n, rule in enumerate(listed):
        for key in rule:
            if key != "name":
                yield listed[:n] + [{each: value for each, value in rule.items() if each != key}] + listed[n + 1:]
