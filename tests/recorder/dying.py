"""A process that dies at a named step, played in this one: nothing after the step happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from recorder import faultpoints


class KilledError(BaseException):
    """The process ends here."""


@contextmanager
def dying(step: str) -> Iterator[None]:
    """Run the block to that step, which it must reach."""

    def die(name: str) -> None:
        if name == step:
            raise KilledError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(faultpoints, "hook", die)
        yield
