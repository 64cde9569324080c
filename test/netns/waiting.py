"""Waiting for events with a deadline, and what to do when a test cannot run here."""
import os
import time

import pytest


def wait_for(condition, what: str, timeout: float = 10.0, pause: float = 0.01):
    """Calls `condition` until it returns something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for: {what}")
        time.sleep(pause)


def need(condition, reason: str) -> None:
    """Skips the test with `reason` unless `condition`; fails it where everything should be there (SLUICE_STRICT=1)."""
    if condition:
        return
    if os.environ.get("SLUICE_STRICT") == "1":
        pytest.fail(f"cannot run, although it should here: {reason}")
    pytest.skip(reason)
