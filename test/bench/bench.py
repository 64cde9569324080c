"""Runs the cases of one part or more: arguments, the table, JSON. What a case may ask of the machine is here, made when it
is first asked for: a folder in memory, the kernel as a router."""
import argparse
import contextlib
import os
import pathlib
import re
import sys
import tempfile
import time

import contest
import figures
from gateway import Gateway, socket_of
from kernel_router import KernelRouter

SEED = 7
_ROOT = pathlib.Path(__file__).resolve().parents[2]
_HUGE_PAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")
_SHORT = 20_000  # bytes
_USUAL = {"repeat": 5, "seconds": 3, "flows": 1_400_000, "elements": 1_000_000}
_QUICK = {"repeat": 1, "seconds": 0.2, "flows": 200_000, "elements": 70_000}


class Bench:
    """A context: what it has made is gone afterwards."""

    def __init__(self, options, build=None):
        self.build = build or options.build
        self.repeat, self.seconds, self.cpu, self.seed = options.repeat, options.seconds, options.cpu, options.seed
        self.flows, self.elements, self.quick = options.flows, options.elements, options.quick
        self.commands = {}  # of the case
        self._stack, self._router = contextlib.ExitStack(), None

    def __enter__(self):
        # Captures of millions of packets are read from memory, not from a disk.
        made = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-bench-", dir="/dev/shm"))
        self.folder = pathlib.Path(made)
        return self

    def __exit__(self, *_):
        self._stack.close()

    @property
    def socket(self):
        """Of Sluice, for configurations."""
        return socket_of(self.folder)

    def gateway(self, build, config, within=(), number=0):
        """Sluice, as built there, with that configuration; of several at once each has a number."""
        folder = self.folder / f"gateway{number}" if number else self.folder
        if number:
            folder.mkdir(exist_ok=True)
            text = config.read_text().replace(str(self.socket), str(socket_of(folder)))
            config = config.with_suffix(f".{number}.yaml")
            config.write_text(text)
        made = Gateway(build, config, folder, within)
        self.ran(made.command, config)
        return made

    def ran(self, command, config=None):
        """What stands in the JSON; of configurations those that are short."""
        text = config.read_text() if config and config.stat().st_size < _SHORT else None
        self.commands[" ".join(map(str, command))] = text

    def reserve(self, megabytes):
        """That many in huge pages are free, for Sluice or for testpmd; those it adds go when all has run."""
        told = dict(re.findall(r"^(\w+): +(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE))
        size = int(told["Hugepagesize"])
        missing = megabytes * 1024 // size + 1 - int(told["HugePages_Free"])
        if missing <= 0:
            return
        before = int(_HUGE_PAGES.read_text())
        if missing * size < int(told["MemAvailable"]) * 0.9:
            _HUGE_PAGES.write_text(str(before + missing))
            self._stack.callback(_give_back, before, int(_HUGE_PAGES.read_text()))
        if int(_HUGE_PAGES.read_text()) < before + missing:
            raise contest.Skipped(f"{megabytes} MB of huge pages cannot be reserved")

    @property
    def other_cpu(self):
        """For what must not disturb the worker."""
        return 0 if self.cpu else 1

    @property
    def router(self):
        """The kernel between two pairs of devices: only where kernel_router.why_not() says nothing."""
        if self._router is None:
            self._router = self._stack.enter_context(KernelRouter(self.build, self.cpu))
        return self._router


def _give_back(before, reserved):
    """Unless others have changed it since."""
    if int(_HUGE_PAGES.read_text()) == reserved:
        _HUGE_PAGES.write_text(str(before))


def parser(text, program=None):
    made = argparse.ArgumentParser(prog=program, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--case", action="append", metavar="NAME", help="only this one; may be given again")
    made.add_argument("--repeat", type=int, metavar="N", help="runs of each contestant (5)")
    made.add_argument("--seconds", type=float, help="what is measured of a run (3)")
    made.add_argument("--seed", type=int, default=SEED, help=f"of the traffic ({SEED})")
    made.add_argument("--flows", type=int, help="frames of the source of new flows, each of a flow of its own (1400000)")
    made.add_argument("--elements", type=int, help="elements of large sets (1000000)")
    made.add_argument("--cpu", type=int, default=1, help="the worker's (1)")
    made.add_argument("--json", type=pathlib.Path, metavar="FILE", help="figures of every run, the machine, the build")
    made.add_argument("--quick", action="store_true", help="a few small cases once, for a moment: does it all work?")
    made.add_argument("--list", action="store_true", help="names of the cases, and no more")
    return made


def settle(options):
    """Arguments as the cases want them."""
    for name, value in (_QUICK if options.quick else _USUAL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def chosen(parts, options):
    """(part, name, maker) of the cases asked for. `parts` are modules with PART, {name: maker} CASES and names QUICK."""
    every = [(part.PART, name, maker, name in part.QUICK) for part in parts for name, maker in part.CASES.items()]
    if unknown := set(options.case or ()) - {name for _, name, _, _ in every}:
        sys.exit(f"no such case: {', '.join(sorted(unknown))}; --list names them")
    return [(part, name, maker) for part, name, maker, is_quick in every
            if (name in options.case if options.case else is_quick or not options.quick)]


def print_names(cases):
    for part, name, _ in cases:
        print(f"{part:10} {name}")


def attempt(case, run):
    """The figures that `run` brings, or why there are none: the other cases go on."""
    if reason := case.why_not():
        return {"skipped": reason}
    try:
        case.prepare()
        return run()
    except contest.Skipped as error:
        return {"skipped": str(error)}
    except Exception as error:  # whatever it was: it is told, and the program ends with an error
        return {"failed": f"{type(error).__name__}: {error}" if not isinstance(error, contest.Failed) else str(error)}
    finally:
        case.clean()


def print_missing(case, told):
    """Whether there are no figures."""
    for key in ("skipped", "failed"):
        if key in told:
            print(f"{case.name}: {key}: {told[key]}", flush=True)
            return True
    return False


def with_build(made):
    made.add_argument("--build", type=lambda name: pathlib.Path(name).absolute(), metavar="DIR",
                      default=pathlib.Path(os.environ.get("SLUICE_BUILD", _ROOT / "build")), help="programs to run (build)")
    return made


def main(options, parts_of):
    """`parts_of` tells from the options which. Ends with 1 if a case failed."""
    figures.clean_up_when_ended()
    cases = chosen(parts_of(settle(options)), options)
    if options.list:
        print_names(cases)
        return
    told = {"machine": figures.machine(), "build": figures.build(options.build), "command": sys.argv, "seed": options.seed,
            "results": []}
    figures.print_machine(told["machine"], told["build"])
    with Bench(options) as bench:
        for number, (part, name, maker) in enumerate(cases):
            if number == 0 or cases[number - 1][0] != part:
                print(f"\n== {part}", flush=True)
                contest.print_head()
            bench.commands = {}
            case, began = maker(name, bench), time.monotonic()
            result = attempt(case, lambda case=case: contest.report(case, case.measure()))
            if not print_missing(case, result):
                contest.print_report(case, result)
            told["results"].append({"part": part, "case": name, **result, "commands": bench.commands,
                                    "took": round(time.monotonic() - began, 1)})
            figures.write(options.json, told)
    _close(told["results"])


def _close(results):
    lines = [line for result in results for line in result.get("lines", ())]
    met = [line["met"] for line in lines if "met" in line]
    failed = [result["case"] for result in results if "failed" in result]
    skipped = [result["case"] for result in results if "skipped" in result]
    print(f"\n{len(results)} cases; {sum(met)} of {len(met)} aims met"
          + (f"; skipped: {', '.join(skipped)}" if skipped else "") + (f"; failed: {', '.join(failed)}" if failed else ""))
    sys.exit(1 if failed else 0)


def main_of(name):
    """For a part that is run by itself."""
    part = sys.modules[name]
    main(with_build(parser(part.__doc__)).parse_args(), lambda _: [part])


def cycles(of_runs, what=""):
    """A remark on the last run's stages."""
    return f"cycles a packet{what}: " + " ".join(f"{stage} {value:.0f}" for stage, value in of_runs[-1].items())
