#!/usr/bin/env python3
"""Two builds at the same cases in turns, A B A B: what B's figures are of A's in runs that followed each other, median (least-most).
A difference counts where the median is further from 1 than the ratios are from each other. Ends with 1 if B is worse somewhere by
more than the threshold, and with 2 if a case failed.

With --at-once both run at the same time on one CPU, where that can be (forward, firewall, early): the same noise for both, so that
differences of one percent are told.

As root on an otherwise idle machine:

    scripts/bench-compare BUILD_A BUILD_B [--only PART...] [--case NAME] [--repeat 5] [--threshold 3] [--json FILE] [--quick] [--at-once]
"""
import pathlib
import sys

import all as every
import bench
import figures
from contest import Skipped
from stretches import Stretched

_WIDTHS = (28, 28, 28, 24, 40)
_WORSE = "WORSE"


def arguments():
    made = every.parser(__doc__, "scripts/bench-compare")
    for name in ("build_a", "build_b"):
        made.add_argument(name, type=lambda name: pathlib.Path(name).absolute(), metavar=name.upper())
    made.add_argument("--threshold", type=float, default=3, metavar="PERCENT", help="worse by more than this is a regression (3)")
    made.add_argument("--at-once", action="store_true", help="both at the same time on one CPU instead of in turns")
    return bench.settle(made.parse_args())


def in_turns(case, builds):
    """Figures of all runs of each build."""
    runs = [[] for _ in builds]
    for _ in range(case.bench.repeat):
        for build, figures_of in zip(builds, runs):
            figures_of.append(case.ours(build))
    return runs


def at_once(case, builds):
    if not isinstance(case, Stretched):
        raise Skipped("its runs can only be in turns")
    return case.at_once(builds)


def judge(unit, before, after):
    """Whether B differs by more than its runs do, and by how much it is worse: a share."""
    ratio = figures.summary([b / a for a, b in zip(before, after)])
    median, width = ratio["median"], ratio["most"] - ratio["least"]
    scaled = [figures.summary([value * unit.scale for value in values]) for values in (before, after)]
    return {"a": scaled[0], "b": scaled[1], "ratio": ratio, "differs": len(before) > 1 and abs(median - 1) > width,
            "worse": median - 1 if unit.lower_is_better else 1 - median}


def verdict(result, threshold):
    if not result["differs"]:
        return "within the spread"
    if result["worse"] <= 0:
        return "better"
    return _WORSE if result["worse"] > threshold / 100 else "worse, within the threshold"


def main():
    figures.clean_up_when_ended()
    options = arguments()
    cases = bench.chosen(every.chosen_parts(options), options)
    if options.list:
        bench.print_names(cases)
        return
    builds = (options.build_a, options.build_b)
    measure = at_once if options.at_once else in_turns
    told = {"machine": figures.machine(), "a": figures.build(builds[0]), "b": figures.build(builds[1]), "command": sys.argv,
            "seed": options.seed, "threshold": options.threshold, "results": []}
    figures.print_machine(told["machine"], told["a"], told["b"])
    figures.row("case", "A", "B", "B / A", "", widths=_WIDTHS)
    with bench.Bench(options, builds[0]) as setting:
        for part, name, maker in cases:
            case = maker(name, setting)
            result = bench.attempt(case, lambda case=case: {"unit": case.unit.name, **judge(case.unit, *measure(case, builds))})
            told["results"].append({"part": part, "case": name, **result})
            if not bench.print_missing(case, result):
                result["verdict"] = told["results"][-1]["verdict"] = verdict(result, options.threshold)
                figures.row(name, *(f"{figures.spread(result[each])} {result['unit']}" for each in "ab"),
                            figures.spread(result["ratio"]), result["verdict"], widths=_WIDTHS)
            figures.write(options.json, told)
    sys.exit(close(told["results"], options.threshold))


def close(results, threshold):
    """Says what matters most; how the program ends."""
    regressions = [result["case"] for result in results if result.get("verdict") == _WORSE]
    failed = [result["case"] for result in results if "failed" in result]
    print(f"\n{len(results)} cases; worse by more than {threshold:g} %: {', '.join(regressions) or 'none'}"
          + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 2 if failed else 1 if regressions else 0


if __name__ == "__main__":
    main()
