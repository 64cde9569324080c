"""Fixtures of the differential tests."""
import os

import kernel
import pytest
import sluice


@pytest.fixture(scope="session")
def boxes() -> None:
    """The kernel can be asked and Sluice is built; else the tests are skipped with the reason, or fail in CI."""
    why = kernel.why_not()
    if why and os.environ.get("SLUICE_STRICT") == "1":
        pytest.fail(why)
    if why:
        pytest.skip(why)
    if not sluice.program().is_file():
        pytest.fail(f"sluice is not built: no {sluice.program()}; run scripts/build or set SLUICE")
