#!/usr/bin/env python3
"""Every figure of docs/performance.md with its peer beside it: one table, and JSON of every run. Runs of Sluice and its peers take turns;
a figure is the median (least-most), and so is the ratio, of runs that followed each other. `aim`: what is to be reached.

As root on an otherwise idle machine; all of it takes hours:

    scripts/bench [--only PART...] [--case NAME] [--repeat 5] [--build build] [--json FILE] [--quick] [--list]
"""
import bench
import early
import firewall
import forward
import idle
import kernel
import memory
import new_flows
import sets
import workers

PARTS = (forward, firewall, new_flows, early, sets, workers, kernel, memory, idle)


def parser(text, program):
    made = bench.parser(text, program)
    made.add_argument("--only", nargs="+", choices=[part.PART for part in PARTS], metavar="PART",
                      help=f"of {', '.join(part.PART for part in PARTS)}")
    return made


def chosen_parts(options):
    return [part for part in PARTS if not options.only or part.PART in options.only]


if __name__ == "__main__":
    bench.main(bench.with_build(parser(__doc__, "scripts/bench")).parse_args(), chosen_parts)
