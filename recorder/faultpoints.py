"""Named moments at which a test may end the process, to show that nothing is lost or doubled by it."""

from __future__ import annotations

from collections.abc import Callable

hook: Callable[[str], None] | None = None


def reached(name: str) -> None:
    """Say that a step is done. Does nothing unless a test listens."""
    if hook is not None:
        hook(name)
