"""Drop reasons by the names that drops.def gives them."""
import pathlib
import re

_LIB = pathlib.Path(__file__).resolve().parents[2] / "lib"
_KNOWN = {name for file in _LIB.glob("*/drops.def") for name in re.findall(r"^SLUICE_DROP\((\w+)", file.read_text(), re.M)}


def __getattr__(name: str) -> str:
    """reason.ip4_bad_checksum; one that no drops.def has is an error of the test."""
    if name.startswith("__") or name not in _KNOWN:
        raise AttributeError(f"no drops.def has a drop reason {name}; there are {', '.join(sorted(_KNOWN))}")
    return name
