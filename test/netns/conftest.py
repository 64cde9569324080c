"""Fixtures of the namespace tests; see docs/testing.md."""
import os
import shutil
import subprocess

import lab as lab_module
import pytest
from lab import LAN, WAN, Lab, two_hosts
from waiting import need

_TOOLS = ("ip", "ethtool", "ping", "traceroute", "curl", "iperf3", "tcpdump")


def pytest_addoption(parser):
    parser.addoption("--kinds", default=os.environ.get("SLUICE_KINDS", ",".join(lab_module.KINDS)),
                     help="device kinds to test on: tap,af_packet,af_xdp")
    parser.addoption("--router", default=os.environ.get("ROUTER", "sluice"), choices=("sluice", "linux"),
                     help="linux: the kernel forwards instead, as an oracle for the tests")


def pytest_configure(config):
    config.addinivalue_line("markers", "sluice_only: asks for what only Sluice has")
    config.addinivalue_line("markers", "one_kind: the kind of device makes no difference")
    config.addinivalue_line("markers", "not_tap: asks for what a TAP device moved to its host cannot have")
    config.addinivalue_line("markers", "timing: measures, which sanitizers would spoil")


def _kinds(config) -> list[str]:
    return ["linux"] if config.getoption("--router") == "linux" else config.getoption("--kinds").split(",")


def pytest_generate_tests(metafunc):
    if "kind" in metafunc.fixturenames:
        kinds = _kinds(metafunc.config)
        if metafunc.definition.get_closest_marker("one_kind"):
            kinds = ["af_packet" if "af_packet" in kinds else kinds[0]]
        if metafunc.definition.get_closest_marker("not_tap"):
            kinds = [kind for kind in kinds if kind != "tap"]
        metafunc.parametrize("kind", kinds, scope="module")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if config.getoption("--router") == "linux" and item.get_closest_marker("sluice_only"):
            item.add_marker(pytest.mark.skip(reason="the kernel is the router"))
        if os.environ.get("SLUICE_SANITIZED") == "1" and item.get_closest_marker("timing"):
            item.add_marker(pytest.mark.skip(reason="measures time or memory; not under a sanitizer"))


@pytest.fixture(scope="session", autouse=True)
def machine():
    need(os.geteuid() == 0, "needs root")
    need(subprocess.run(["unshare", "-n", "true"]).returncode == 0, "network namespaces cannot be created here")
    missing = [tool for tool in _TOOLS if not shutil.which(tool)]
    need(not missing, f"not installed: {', '.join(missing)}; run scripts/setup")


@pytest.fixture(scope="session")
def loadable(tmp_path_factory):
    """Which kinds of device start at all, each tried once: {kind: why not}."""
    tried: dict[str, str] = {}

    def reason(kind: str) -> str:
        if kind != "af_xdp":
            return ""
        if kind not in tried:
            trial = Lab(kind, tmp_path_factory.mktemp("trial"))
            try:
                trial.connect(**LAN)
                trial.start({"interfaces": {"lan": {"addresses": ["192.168.1.1/24"]}}})
                tried[kind] = ""
            except AssertionError:
                lines = [line for line in trial.router.log().splitlines() if line.strip()]
                tried[kind] = f"{kind} does not load here: {lines[-1] if lines else 'no log'}"
            finally:
                trial.close()
        return tried[kind]

    return reason


def _make(kind, directory, loadable):
    if why := loadable(kind):
        pytest.skip(why)
    return Lab(kind, directory)


@pytest.fixture
def lab(kind, tmp_path, loadable):
    """An empty laboratory for the test alone: connect() hosts, then start() a configuration."""
    laboratory = _make(kind, tmp_path, loadable)
    yield laboratory
    laboratory.close()


@pytest.fixture(scope="module")
def net(kind, tmp_path_factory, loadable):
    """The hosts lan and wan and a started router, shared by the tests of a file that leave it as it was."""
    laboratory = _make(kind, tmp_path_factory.mktemp(f"net-{kind}"), loadable)
    try:
        laboratory.connect(**LAN)
        laboratory.connect(**WAN)
        laboratory.start(two_hosts())
        yield laboratory
    finally:
        laboratory.close()


@pytest.fixture(autouse=True)
def invariant(request):
    """After every test all packets are accounted for."""
    laboratory = next((request.getfixturevalue(f) for f in ("lab", "net") if f in request.fixturenames), None)
    yield
    if laboratory is not None and getattr(laboratory.router, "api", None):
        laboratory.router.check_invariant()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for laboratory in item.funcargs.values():
            if isinstance(laboratory, Lab):
                try:
                    report.sections.append(("router", laboratory.describe()))
                except (AssertionError, OSError, subprocess.SubprocessError) as error:
                    report.sections.append(("router", f"cannot be described: {error}"))
