"""A file that people write again and again."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path


def rewriting(path: Path) -> Callable[[str], Path]:
    """Writes it; every writing is a change, however fast it follows the last."""
    times = itertools.count(1_000_000_000)

    def put(text: str) -> Path:
        path.write_text(text, "utf-8")
        os.utime(path, (next(times),) * 2)
        return path

    return put
