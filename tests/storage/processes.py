"""Processes that begin at the same moment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from subprocess import PIPE


def at_once(code: str, argument_lists: Sequence[Sequence[str]]) -> None:
    """Run the code once with each of these arguments: each says that it is ready and waits for a line. All succeed."""
    processes = [
        subprocess.Popen([sys.executable, "-c", code, *given], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
        for given in argument_lists
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=120)[1] for process in processes]

    assert errors == [""] * len(processes)
    assert [process.returncode for process in processes] == [0] * len(processes)
