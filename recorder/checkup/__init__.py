"""The truth about every part, for `recorder doctor` and for every start: what was found, and what to do about it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from recorder.checkup import house, machine, outside
from recorder.checkup.findings import KINDS, Finding, found
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import Settings
from storage.clock import utc_now
from storage.errors import RecorderError

__all__ = ["KINDS", "Finding", "consult", "examine", "examine_machine", "examine_start"]

Whole = TypeVar("Whole")
Look = Callable[[Whole, datetime], Iterator[Finding]]

OF_THE_MACHINE: dict[str, Look[Settings]] = {
    "data folder": machine.folder,
    "disk": machine.disk,
    "process": machine.process,
    "root key": machine.root_key,
    "ffmpeg": machine.ffmpeg_works,
    "platforms": outside.platforms,
    "mail": outside.mail,
    "sms": outside.sms,
    "outside": outside.parties,
    "public url": outside.public_url,
    "organisation": outside.organisation,
}
OF_THE_HOUSE: dict[str, Look[Service]] = {
    "clock": house.clock,
    "database": house.database,
    "key ring": house.keys,
    "store": house.store,
    "lines": house.lines,
    "directory": house.directory,
}
# What does not hang on somebody who may be away for a minute, and can break a promise or has strangers rung up.
AT_START = ("data folder", "process", "root key", "organisation", "clock", "database", "key ring", "store")


def examine(service: Service, now: datetime) -> Iterator[Finding]:
    """One finding or more for each part; a part that fails is a fault and never stops the others.

    Writes one small object into the store and deletes it again.
    """
    yield from _asked(OF_THE_HOUSE, service, now)
    yield from examine_machine(service.settings, now)


def examine_machine(settings: Settings, now: datetime) -> Iterator[Finding]:
    """The parts that can be asked without a service."""
    yield from _asked(OF_THE_MACHINE, settings, now)


def examine_start(service: Service, now: datetime) -> list[Finding]:
    """What a start must know, without asking those who may be away for a minute. A finding that `blocks` forbids it."""
    of_the_house = {part: look for part, look in OF_THE_HOUSE.items() if part in AT_START}
    of_the_machine = {part: look for part, look in OF_THE_MACHINE.items() if part in AT_START}
    return [*_asked(of_the_house, service, now), *_asked(of_the_machine, service.settings, now)]


def consult(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Iterator[Finding]:
    """Every finding as soon as it is there; where the service does not even start, what can be asked without it."""
    try:
        with opened(settings, clock=clock) as service:
            yield from examine(service, clock())
    except RecorderError as error:
        refused = found("start_refused", why=error, error=error.code)
        yield replace(refused, advice=error.hint or refused.advice)
        yield from examine_machine(settings, clock())


def _asked(looks: dict[str, Look[Whole]], whole: Whole, now: datetime) -> Iterator[Finding]:
    for part, look in looks.items():
        try:
            yield from look(whole, now)
        except (RecorderError, OSError, subprocess.SubprocessError) as exc:
            why, code = (exc, exc.code) if isinstance(exc, RecorderError) else (type(exc).__name__, "internal")
            failed = found("part_failed", why=why, error=code)
            yield replace(failed, part=part, advice=getattr(exc, "hint", None) or failed.advice)
