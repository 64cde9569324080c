"""Cases whose figure comes from a stretch of time in the life of a gateway: of one, or of several builds at once on one CPU."""
import contextlib
import pathlib
import shutil
import signal
import tempfile
import time

import bench
from contest import Case
from gateway import PROGRAM

_TURN = 0.01  # seconds


class Stretched(Case):
    config = None  # what prepare() writes
    buffers = 16384  # of packets

    @contextlib.contextmanager
    def running(self, builds):
        """Gateways, one of each build, that run at once and are ready to be measured."""
        if len(builds) > 1:
            self.bench.reserve(len(builds) * max(150, self.buffers * 6 // 2048))
        with contextlib.ExitStack() as stack:
            gateways = [stack.enter_context(self.bench.gateway(build, self.config, self.within(), number))
                        for number, build in enumerate(builds)]
            self.make_ready(gateways)
            yield gateways

    def within(self):
        """What stands before the program's command, such as `ip netns exec`."""
        return ()

    def make_ready(self, gateways):
        """They have just started."""
        for gateway in gateways:
            gateway.await_packets()

    def figure(self, gateway, first, last):
        """What a stretch between two of its samples tells."""
        raise NotImplementedError

    def ours(self, build):
        with self.running([build]) as [gateway]:
            figure = self.figure(gateway, *gateway.stretch(self.bench.seconds))
            self.note("cycles_per_packet", gateway.worker()["stages"])
            self.notes["memory"] = gateway.status()["memory"]
        return figure

    def at_once(self, builds):
        """Figures of stretches that all builds were measured in: a list for each. They share one CPU, a moment each, so that
        whatever else happens on the machine happens to all of them. Each stretch is of programs that have just been copied
        and started, in another order: where they come to lie in memory makes up to two percent."""
        runs = [[] for _ in builds]
        for number in range(self.bench.repeat):
            with tempfile.TemporaryDirectory(dir=self.bench.folder) as folder:
                copies = [_copy(build, pathlib.Path(folder) / str(place)) for place, build in enumerate(builds)]
                order = [(place + number) % len(builds) for place in range(len(builds))]
                for place, figure in zip(order, self._stretch_of([copies[place] for place in order])):
                    runs[place].append(figure)
        return runs

    def _stretch_of(self, builds):
        with self.running(builds) as gateways:
            first = [gateway.sample() for gateway in gateways]
            _take_turns(gateways, self.bench.seconds)
            last = [gateway.sample() for gateway in gateways]
            return [self.figure(*of_one) for of_one in zip(gateways, first, last)]

    def remarks(self):
        return [bench.cycles(self.notes["cycles_per_packet"])]


def _take_turns(gateways, seconds):
    """Each has its CPU to itself, with all that its cache holds, and keeps it for as long as it takes to fill that."""
    turns = max(1, round(seconds / _TURN))
    try:
        for _ in range(turns):
            for running in gateways:
                for each in gateways:
                    each.process.send_signal(signal.SIGCONT if each is running else signal.SIGSTOP)
                time.sleep(_TURN)
    finally:
        for each in gateways:
            each.process.send_signal(signal.SIGCONT)


def _copy(build, folder):
    """Its program."""
    program = folder / PROGRAM
    program.parent.mkdir(parents=True)
    shutil.copy(build / PROGRAM, program)
    return folder
