"""Fixtures of the replay tests: a gateway, with or without a configuration of the test's own."""
import os
import pathlib

import pytest
from gateway import Gateway

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def sluice() -> pathlib.Path:
    """The program under test: SLUICE, or the one in SLUICE_BUILD or build/."""
    build = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))
    places = [build / "app" / "sluice", build / "app" / "sluice" / "sluice"]
    if "SLUICE" in os.environ:
        places = [pathlib.Path(os.environ["SLUICE"])]
    for place in places:
        if place.is_file():
            return place.resolve()
    pytest.fail(f"sluice is not built: no {places[0]}; run scripts/build or set SLUICE")


@pytest.fixture
def gateway(sluice, tmp_path) -> Gateway:
    """The gateway of net.py, in a directory of its own; gateway.config may be changed before frames are sent."""
    return Gateway(sluice, tmp_path)
