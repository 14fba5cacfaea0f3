"""Run as a process: capture what is due, and die by SIGKILL at a named step."""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime, timedelta

from recorder import capture, faultpoints, sources
from recorder.service import opened
from recorder.settings import load


def main(now: str, step: str) -> None:
    def die(name: str) -> None:
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    faultpoints.hook = die
    moment = datetime.fromisoformat(now)
    with opened(load(), clock=lambda: moment) as service:
        capture.capture_due(service, moment)
        capture.erase_leftovers(service)
        sources.delete_at_sources(service, moment + timedelta(minutes=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
