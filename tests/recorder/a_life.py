"""What surrounds a request while it lives: a post that fails, a process that dies between two steps, days that pass."""

from __future__ import annotations

import calendar
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from email import message_from_bytes, policy
from random import Random
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, select, update

from recorder import subject_requests, sweep
from recorder.errors import DeliveryError, DeliveryRefusedError, DeliveryUnknownError, RecorderError
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from storage import audit
from storage.tables import metadata
from tests.conftest import BEGINNING, MovingClock
from tests.recorder.backups import House
from tests.recorder.post import deliver_due
from tests.recorder.stored import store

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
PURPOSES = ["documentation", "quality", "training"]
TROUBLE = {"away": DeliveryError, "refuses": DeliveryRefusedError, "silent": DeliveryUnknownError}


def month_end(day: date, months: int) -> datetime:
    """The last second of the same date so many months on, or of that month's last day (Regulation 1182/71)."""
    year, month = day.year + (day.month - 1 + months) // 12, (day.month - 1 + months) % 12 + 1
    last = min(day.day, calendar.monthrange(year, month)[1])
    return datetime.combine(date(year, month, last), time(23, 59, 59), COPENHAGEN).astimezone(UTC)


@dataclass(frozen=True)
class Clock:
    """By when a request must be answered, and whether we are waiting for somebody."""

    due_at: datetime
    extended: bool = False
    identity_asked_at: datetime | None = None


@dataclass
class Kept:
    expires_at: datetime
    withdrawn: bool = False
    ordered: bool = False  # an officer's order, or the person's wish to have it gone at once


class DiedError(BaseException):
    """The process is gone; another one goes on."""


@dataclass
class Letter:
    id: str
    template: str
    request_id: str
    token: str | None
    at: datetime


@dataclass
class World:
    """One house, its post and its clock. The process dies `dies_in` transactions from now."""

    service: Service
    clock: MovingClock
    mood: str = "well"
    letters: list[Letter] = field(default_factory=list)  # every one handed over, repeated ones too
    texts: list[str] = field(default_factory=list)
    dies_in: int = 0

    def send(self, _to: str, message: bytes | str) -> None:
        """The post: it takes codes always, and mail according to its mood."""
        if isinstance(message, str):
            self.texts += re.findall(r"^.*?(\d{6})", message)
            return
        if self.mood in {"away", "refuses"}:
            raise TROUBLE[self.mood]
        self.letters.append(self._letter(message))
        if self.mood == "silent":
            raise DeliveryUnknownError

    def _letter(self, message: bytes) -> Letter:
        mail = message_from_bytes(message, policy=policy.default)
        known = str(mail["Message-ID"])[1:].partition("@")[0]
        (row,) = self.rows("outbox", id=known)
        links = self.rows("links", id=row["subject_id"])
        found = re.search(rb"/access/#([A-Za-z0-9_-]+)", message.replace(b"=\r\n", b""))
        token = found[1].decode() if found else None
        request_id = links[0]["request_id"] if links else row["subject_id"]
        return Letter(known, row["template"], request_id, token, self.clock())

    def rows(self, table: str, **having: object) -> list[dict[str, Any]]:
        columns = metadata.tables[table].c
        with self.service.database.read() as connection:
            wanted = select(metadata.tables[table]).where(*(columns[name] == one for name, one in having.items()))
            return [dict(row) for row in connection.execute(wanted).mappings()]

    def entries(self) -> list[tuple[str, str, str]]:
        with self.service.database.read() as connection:
            return [(kind, subject, body) for _seq, kind, subject, body in audit.after(connection, 0, 100_000)]

    def keep(self, ago: timedelta = timedelta()) -> str:
        """A recording of a call with a yes to everything, ended so long ago."""
        kept = store(self.service, self.clock() - ago)
        consents = metadata.tables["consents"]
        with self.service.database.write() as connection:
            connection.execute(update(consents).where(consents.c.call_id == kept.call_id).values(purposes=PURPOSES))
        return kept.id

    def act(self, does: Callable[[], object], dies_in: int = 0) -> str:
        """How an act went: done, refused, or died."""
        self.dies_in = dies_in
        try:
            does()
        except RecorderError:
            return "refused"
        except DiedError:
            return "died"
        finally:
            self.dies_in = 0
        return "done"

    def works(self) -> None:
        """Do everything that runs by itself, once each."""
        now = self.clock()
        self.service.keyring.ensure(now)
        subject_requests.due(self.service, now)
        deliver_due(self.service, now)
        subject_requests.due(self.service, now)
        sweep.sweep(self.service, now, unattended=False)

    def passes(self, days: int, stride: int = 3) -> None:
        """Let days pass. What runs by itself does so only every `stride` days: enough to see what became of things."""
        until = self.clock() + timedelta(days=days)
        while self.clock() < until:
            self.clock.now = min(until, self.clock() + timedelta(days=stride))
            self.works()


@contextmanager
def world(house: House, prepared: Any) -> Iterator[World]:
    """A house as after its first start."""
    shutil.rmtree(house.data)
    shutil.copytree(prepared.data, house.data)
    url = None
    if prepared.database_url:
        server = house.request.getfixturevalue("postgresql_server")
        house.environment["RECORDER_DATABASE__URL"] = url = server.create(prepared.database_url)
    (house.data / "directory.csv").write_text(
        "phone,account,email,mobile,customer_type,language\n"
        "+4520123456,A-1001,anna@example.com,+4520123456,private,da\n",
        "utf-8",
    )
    house.clock.now = BEGINNING
    with opened(load(house.environment), clock=house.clock) as service, pytest.MonkeyPatch.context() as patched:
        here = World(service, house.clock)
        here.service = replace(service, mailer=here, texter=here)
        real = service.database.write

        @contextmanager
        def write(**how: bool) -> Iterator[Connection]:
            with real(**how) as connection:
                yield connection
            if here.dies_in:
                here.dies_in -= 1
                if not here.dies_in:
                    raise DiedError

        patched.setattr(service.database, "write", write)
        # Ids are random elsewhere; here the same story, told twice, must go the same way twice.
        patched.setattr("storage.clock.secrets", SimpleNamespace(token_bytes=Random(0).randbytes))
        yield here
    if url:
        with suppress(KeyError):
            server.drop(url)
