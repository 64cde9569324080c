"""The program holds a driver for each kind of device that has a profile."""
import os
import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SLUICE = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build")) / "app/sluice"


# One driver, known by its two buses.
TELLS_OF_ITSELF_AS = {"mlx5_pci": "mlx5_eth", "mlx5_auxiliary": "mlx5_eth"}


@pytest.fixture(scope="module")
def linked_in():
    """What DPDK's drivers tell of themselves in the program's text, as dpdk-pmdinfo finds it."""
    names = set(re.findall(rb'PMD_INFO_STRING= {"name": "(\w+)"', SLUICE.read_bytes()))
    if not names:
        pytest.skip("built with -Ddpdk=shared: drivers are plugins")
    return {name.decode() for name in names}


@pytest.mark.parametrize("profile", sorted((ROOT / "drivers-config").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_drivers_of_a_profile_are_linked_in(profile, linked_in):
    drivers = yaml.safe_load(profile.read_text())["driver"]
    assert {TELLS_OF_ITSELF_AS.get(driver, driver) for driver in drivers} <= linked_in
