"""What must hold however often the process died: nothing lost, nothing doubled, nothing kept without a yes."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from recorder import access_links, calls, listening
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from storage import audit
from storage.catalogue import attempts, recordings
from storage.catalogue.recordings import Filter, Recording
from storage.tables import metadata
from tests.faults.story import KEPT, Told


def kept(environment: dict[str, str], now: datetime, told: list[Told], spool: Path, *, asked: bool) -> list[str]:
    """What is wrong once everything has settled, within the 90 days of the calls; empty where nothing is wrong."""
    with opened(load(environment), clock=lambda: now) as service:
        return [
            *(fault for one in told for fault in _call(service, one, spool, now)),
            *_objects(service),
            *_entries(service, "recording.stored", set(_stored(service))),
            *_log(service),
            *_told(spool, "recording.stored", _stored(service)),
            *(_mails(service, now) if asked else ()),
        ]


def gone(environment: dict[str, str], now: datetime, told: list[Told], spool: Path, stored: int) -> list[str]:
    """What is wrong once the 90 days are over and everything has settled."""
    with opened(load(environment), clock=lambda: now) as service:
        faults = [f"{one.id}: the exchange still has its copy" for one in told if (spool / one.recording).exists()]
        faults += [f"still {state}" for state in _states(service) if state not in {"erased", "discarded"}]
        faults += [f"{count} objects are left" for count in [len(list(service.vault.objects.keys("")))] if count]
        with service.database.read() as connection:
            stones = connection.execute(select(func.count()).select_from(metadata.tables["tombstones"])).scalar_one()
            days = [
                row.day
                for row in connection.execute(select(metadata.tables["keys"]))
                if row.purpose == "day" and row.state != "destroyed" and row.day < f"{now:%Y%m%d}"
            ]
        faults += [f"{stones} tombstones of {stored} recordings"] if stones < stored else []
        faults += [f"the key of {day} still exists" for day in days]
        return faults + list(_once_each(service, "recording.erased")) + list(_log(service))


def _call(service: Service, told: Told, spool: Path, now: datetime) -> Iterator[str]:
    with service.database.read() as connection:
        call_id = calls.resolve(service, connection, "standard", told.id)
        found = recordings.of_call(connection, call_id) if call_id else []
    held = [one for one in found if one.state == "stored"]
    what = f"{told.id} ({told.kind})"
    if told.kind in KEPT:
        if len(held) != 1:
            yield f"{what}: {len(held)} stored recordings, {[one.state for one in found]}"
        elif _sound(service, held[0], now) != hashlib.sha256(told.sound).hexdigest():
            yield f"{what}: other bytes are kept than were recorded"
    elif held:
        yield f"{what}: kept without consent"
    if (spool / told.recording).exists():
        yield f"{what}: the exchange still has its copy"


def _sound(service: Service, recording: Recording, now: datetime) -> str:
    with service.database.read() as connection:
        attempt = attempts.kept(connection, recording.id)["original"]
    digest = hashlib.sha256()
    reader = listening.open_rendition(service, recording, attempt, now)
    for piece in reader.read(0, reader.size):
        digest.update(piece)
    return digest.hexdigest()


def _stored(service: Service) -> list[str]:
    with service.database.read() as connection:
        return [one.id for one in recordings.search(connection, Filter(state="stored"), limit=500).items]


def _states(service: Service) -> list[str]:
    with service.database.read() as connection:
        return [one.state for one in recordings.search(connection, Filter(), limit=500).items]


def _objects(service: Service) -> Iterator[str]:
    """The store must hold the objects of stored recordings, and nothing else."""
    with service.database.read() as connection:
        wanted = {one.object_key for name in _stored(service) for one in attempts.kept(connection, name).values()}
    found = set(service.vault.objects.keys(""))
    if found != wanted:
        yield f"{len(wanted - found)} objects are missing, {len(found - wanted)} are nobody's"
    folder = service.settings.data_dir / "objects"
    unfinished = [path for path in folder.rglob("*") if path.is_file() and path.suffix == ".part"]
    if unfinished:
        yield f"{len(unfinished)} unfinished uploads are left"


def _entries(service: Service, kind: str, wanted: set[str]) -> Iterator[str]:
    counts = _counted(service, kind)
    missing = wanted - counts.keys()
    if missing:
        yield f"{len(missing)} recordings have no entry {kind}"
    yield from _once_each(service, kind)


def _once_each(service: Service, kind: str) -> Iterator[str]:
    doubled = [subject for subject, count in _counted(service, kind).items() if count > 1]
    if doubled:
        yield f"{len(doubled)} recordings have more than one entry {kind}"


def _counted(service: Service, kind: str) -> Counter[str]:
    entries = metadata.tables["audit"]
    with service.database.read() as connection:
        return Counter(connection.execute(select(entries.c.subject).where(entries.c.type == kind)).scalars())


def _told(spool: Path, kind: str, wanted: list[str]) -> Iterator[str]:
    """Subscribers must be told at least once."""
    file = spool / "told"
    told = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    missing = set(wanted) - {one["data"]["recording_id"] for one in told if one["type"] == kind}
    if missing:
        yield f"of {len(missing)} recordings no {kind} was told"


def _log(service: Service) -> Iterator[str]:
    report = audit.verify(service.database)
    if not report.ok:
        yield f"the audit log is not in order: {report.faults[:3]}"


def _mails(service: Service, now: datetime) -> Iterator[str]:
    """Mails may repeat, but the link of the last one must open."""
    mails = sorted(
        (service.settings.data_dir / "outbox" / "mail").glob("*.eml"), key=lambda one: one.stat().st_mtime_ns
    )
    if not mails:
        yield "no mail was sent"
        return
    body: Any = message_from_bytes(mails[-1].read_bytes(), policy=policy.default)
    token = re.search(r"/access/#([A-Za-z0-9_-]+)", body.get_body(("plain",)).get_content())
    cookie = access_links.open_link(service, token.group(1) if token else "", now)
    if not access_links.known(service, cookie, now):
        yield "the link of the last mail does not open"
