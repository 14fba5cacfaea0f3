"""One run: a random story, some lives that end badly, some that do not, and the verdict."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from recorder.sweep import REMEMBERED
from tests.conftest import BEGINNING, STANDARD_SECRET, furnish
from tests.faults import verdict
from tests.faults.acts import ACTS, Act
from tests.faults.faults import Fault, fault, outside
from tests.faults.life import forked, live
from tests.faults.story import KEPT, call

BETWEEN = timedelta(minutes=7)  # every lease of a dead process has run out
CALLS = 2
BAD_LIVES = 3
SETTLING = (timedelta(hours=2), timedelta(hours=26), timedelta(hours=30))
EXPIRED = timedelta(days=91)
DAILY = frozenset({"capture", "source", "deliver", "hold", "bulletin", "erase"})  # acts before the 90 days are over
LAST = frozenset({"sweep", "erase", "bulletin"})


@dataclass
class Outcome:
    """`faults` is what was wrong in the end; the counters say what happened on the way: steps, and kinds of faults."""

    seed: int
    faults: list[str] = field(default_factory=list)
    reached: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    suffered: Counter[str] = field(default_factory=Counter)
    story: list[str] = field(default_factory=list)


class Run:
    """`prepared` is a data folder as a first start leaves it; `folder` is this run's own."""

    def __init__(self, seed: int, prepared: Path, folder: Path, spool: Path, port: int) -> None:
        self._chance = Random(seed)
        self._spool, self._folder = spool, folder
        self._notes = folder / "notes"
        self._data = folder / "data"
        shutil.copytree(prepared, self._data)
        self._data.chmod(0o700)
        self._notes.mkdir()
        furnish(self._data)
        origin = f"http://127.0.0.1:{port}"
        self._environment = {
            "RECORDER_DATA_DIR": str(self._data),
            "RECORDER_PLATFORMS__STANDARD__SECRETS": STANDARD_SECRET,
            "RECORDER_PLATFORMS__STANDARD__MEDIA_ORIGINS": origin,
            "RECORDER_SUBSCRIBERS__CRM__URL": f"{origin}/told",
            "RECORDER_SUBSCRIBERS__CRM__SECRETS": STANDARD_SECRET,
        }
        self._now = BEGINNING
        self._told = [call(number, self._chance, BEGINNING, origin) for number in range(CALLS)]
        self._outcome = Outcome(seed)
        self._acts = [Act(told.kind, told.id) for told in self._told if told.kind in ACTS]
        self._acts += [Act("ask")] if self._chance.random() < 0.4 else []

    def __call__(self) -> Outcome:
        (self._spool / "told").unlink(missing_ok=True)
        for told in self._told:
            (self._spool / told.recording).write_bytes(told.sound)
        try:
            self._through()
        finally:
            for told in self._told:
                (self._spool / told.recording).unlink(missing_ok=True)
            for line in self._lines("reached"):
                step, _, killed = line.partition(" ")
                (self._outcome.killed if killed else self._outcome.reached)[step] += 1
        return self._outcome

    def _through(self) -> None:
        for _ in range(self._chance.randint(1, BAD_LIVES)):
            self._live(fault(self._chance, DAILY))
        for pause in SETTLING:
            self._now += pause
            self._live(None)
        asked = str(Act("ask")) in self._lines("acknowledged")
        self._judge(lambda: verdict.kept(self._environment, self._now, self._told, self._spool, asked=asked))
        self._acts += [Act("release", told.id) for told in self._told if told.kind == "held"]
        stored = sum(told.kind in KEPT for told in self._told)
        self._now = BEGINNING + EXPIRED + (timedelta(days=31) if asked else timedelta())
        self._acts = [act for act in self._acts if act.name != "ask"]
        for _ in range(self._chance.randint(0, BAD_LIVES)):
            self._live(fault(self._chance, LAST))
        for _ in range(2):
            self._live(None, person=True)
        self._judge(lambda: verdict.gone(self._environment, self._now, self._told, self._spool, stored))

    def _live(self, broken: Fault | None, *, person: bool = False) -> None:
        """One life. What the process did not acknowledge, it is told again in the next."""
        self._now += BETWEEN
        acknowledged = set(self._lines("acknowledged"))
        events = [one for told in self._told for one in told.events if one.key not in acknowledged]
        if self._now < BEGINNING + REMEMBERED:  # later it would pass for news, but no signature would be fresh enough
            events += [one for told in self._told for one in told.events if self._chance.random() < 0.1]
        acts = [act for act in self._acts if str(act) not in acknowledged]
        chance = Random(self._chance.random())
        with outside(broken, self._data, self._spool):
            status = forked(
                lambda: live(
                    self._environment,
                    self._now,
                    events,
                    chance,
                    broken=broken,
                    notes=self._notes,
                    acts=acts,
                    person=person,
                )
            )
        self._outcome.story.append(f"{self._now:%m-%d %H:%M} {broken or 'well'} -> {status}")
        if broken is not None:
            self._outcome.suffered[broken.kind] += 1
        elif status != 0:
            self._outcome.faults.append(f"a life without a fault ended with {status}")

    def _judge(self, look: Callable[[], list[str]]) -> None:
        answer = self._notes / "answer"
        answer.unlink(missing_ok=True)
        forked(lambda: _write(answer, json.dumps(look())))
        self._outcome.faults += json.loads(answer.read_text()) if answer.exists() else ["the verdict cannot be read"]

    def _lines(self, name: str) -> list[str]:
        file = self._notes / name
        return file.read_text().splitlines() if file.exists() else []


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def prepare(folder: Path) -> None:
    """A data folder as a first start leaves it, at `BEGINNING`; made in a child, for threads and forks do not mix."""

    def start() -> None:
        from recorder.service import opened
        from recorder.settings import load

        with opened(load({"RECORDER_DATA_DIR": str(folder)}), clock=_beginning):
            pass

    if forked(start) != 0:
        raise SystemExit("the data folder could not be prepared")


def _beginning() -> datetime:
    return BEGINNING
