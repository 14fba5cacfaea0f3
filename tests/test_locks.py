"""The hashed locks install on any later day, not only on the one they were made."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[([^]]*)\])?==", re.MULTILINE)


def locked(name: str) -> dict[str, set[str]]:
    """What a lock pins, and the extras it names."""
    pins = _PINNED.findall((ROOT / name).read_text("utf-8"))
    return {canonicalize_name(pin): {one.strip() for one in extras.split(",") if one.strip()} for pin, extras in pins}


def asked(distribution: str, extras: set[str]) -> list[Requirement]:
    """What an installed distribution needs here, with those of its extras."""
    needed = [Requirement(line) for line in requires(distribution) or ()]
    return [
        one
        for one in needed
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras | {""})
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_every_extra_that_is_asked_for(name: str) -> None:
    """pip below 23.3 takes `coverage[toml]` for something else than the pinned `coverage`, finds the newest of it, and
    stops because that one is not pinned: from the day a newer one is out, nothing installs any more."""
    pins = locked(name)
    missing = set()
    for distribution, extras in pins.items():
        try:
            needs = asked(distribution, extras)
        except PackageNotFoundError:  # pinned for another system or Python
            continue
        missing |= {
            f"{need.name}[{extra}], for {distribution}"
            for need in needs
            for extra in need.extras - pins.get(canonicalize_name(need.name), set())
        }

    assert missing == set()


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host(name: str) -> None:
    assert "://" not in (ROOT / name).read_text("utf-8")
