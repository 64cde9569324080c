"""A benchmark's case: Sluice and its peers at the same work, in turns; and what is made of their figures."""
import dataclasses

import figures

OURS = "sluice"


class Failed(Exception):
    """The figure would mean nothing: packets were lost, a program did not start, a table holds something else."""


class Skipped(Exception):
    """What it needs is not there; says what."""


@dataclasses.dataclass(frozen=True)
class Unit:
    name: str
    scale: float = 1.0  # from the figures' own unit
    lower_is_better: bool = False

    def text(self, figure):
        """Of a summary; three digits, since figures differ by orders of magnitude."""
        return figures.spread(figure, self.scale)


MPPS = Unit("Mpps", 1e-6)
NANOSECONDS = Unit("ns", lower_is_better=True)
MICROSECONDS = Unit("us", 1e6, lower_is_better=True)
SECONDS = Unit("s", lower_is_better=True)
BYTES = Unit("B", lower_is_better=True)
MEGABYTES = Unit("MB", 1e-6, lower_is_better=True)
PERCENT = Unit("%", 100, lower_is_better=True)


@dataclasses.dataclass(frozen=True)
class Against:
    """One line of the table: a contestant's figure as a share of a peer's; without a peer the figure itself has the aim."""
    peer: str | None = None
    aim: float | None = None  # at least, or at most where lower is better; of a figure in the unit's own words
    ours: str = OURS


class Case:
    """Traffic, configuration and contestants of one line or a few of the table."""
    unit = MPPS
    against = (Against(),)

    def __init__(self, name, bench):
        self.name, self.bench = name, bench
        self.notes = {}  # what else stands in the JSON: lists of what each run told, or a word on all

    def why_not(self):
        """Why it cannot run here; empty if it can."""
        return ""

    def prepare(self):
        """Writes captures and configurations."""

    def ours(self, build):
        """One run of Sluice, as built there: its figure."""
        raise NotImplementedError

    def peers(self):
        """The others: (name, run)."""
        return ()

    def derive(self, runs):
        """Adds to the figures of all contestants what follows from them."""

    def remarks(self):
        """Lines below the figures."""
        return ()

    def clean(self):
        """Captures can be large."""

    def note(self, key, value):
        self.notes.setdefault(key, []).append(value)

    def measure(self):
        """All contestants in turns: {contestant: [figure of each run]}."""
        runs = {}
        for _ in range(self.bench.repeat):
            for name, run in ((OURS, lambda: self.ours(self.bench.build)), *self.peers()):
                runs.setdefault(name, []).append(run())
        self.derive(runs)
        return runs


def compare(unit, line, runs):
    """What stands in the table for a line of Against: ratios of runs that followed each other, and whether the aim is met."""
    ours = runs[line.ours]
    result = {"ours": line.ours, "peer": line.peer, "aim": line.aim}
    if line.peer:
        result["ratio"] = figures.summary([one / other for one, other in zip(ours, runs[line.peer])])
        value = result["ratio"]["median"]
    else:
        value = figures.summary(ours)["median"] * unit.scale
    if line.aim is not None:
        result["met"] = value <= line.aim if unit.lower_is_better else value >= line.aim
    return result


def report(case, runs):
    """What stands in the JSON; without the lines whose contestants cannot run here."""
    lines = [line for line in case.against if line.ours in runs and (not line.peer or line.peer in runs)] or [Against()]
    return {"case": case.name, "unit": case.unit.name,
            "figures": {name: figures.summary([value * case.unit.scale for value in values]) for name, values in runs.items()},
            "lines": [compare(case.unit, line, runs) for line in lines], "notes": case.notes}


_WIDTHS = (28, 42, 16, 26, 24, 12, 6)


def print_head():
    figures.row("case", "Sluice", "peer", "its figure", "Sluice to peer", "aim", "", widths=_WIDTHS)


def print_report(case, told):
    name = case.name
    for line in told["lines"]:
        label = "" if line["ours"] == OURS else f"{line['ours']}: "
        ratio = figures.spread(line["ratio"]) if "ratio" in line else "-"
        sign = "<=" if case.unit.lower_is_better else ">="
        aim = "-" if line["aim"] is None else f"{sign} {line['aim']:g}" + ("" if line["peer"] else f" {case.unit.name}")
        figures.row(name, f"{label}{figures.spread(told['figures'][line['ours']])} {case.unit.name}", line["peer"] or "-",
                    figures.spread(told["figures"][line["peer"]]) if line["peer"] else "-", ratio, aim,
                    {True: "met", False: "missed", None: ""}[line.get("met")], widths=_WIDTHS)
        name = ""
    for remark in case.remarks():
        print(f"  {remark}", flush=True)
