"""What `recorder doctor` finds out: asks every part for the truth, and says what to do about what is wrong."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from recorder.audio import ffmpeg
from recorder.ports import Service
from recorder.settings import is_loopback
from storage import audit
from storage.clock import new_id
from storage.errors import RecorderError

NOBODY = "+4500000000"
BEHIND = timedelta(minutes=5)


@dataclass(frozen=True)
class Finding:
    level: Literal["ok", "warning", "fault"]
    part: str
    text: str
    advice: str = ""


def examine(service: Service, now: datetime) -> Iterator[Finding]:
    """One finding or more for each part; a part that fails is a fault and never stops the others.

    Writes one small object into the store and deletes it again.
    """
    for part, look in PARTS.items():
        try:
            yield from look(service, now)
        except (RecorderError, OSError, subprocess.SubprocessError) as exc:
            advice = getattr(exc, "hint", None) or ""
            yield Finding("fault", part, f"{exc}" if isinstance(exc, RecorderError) else type(exc).__name__, advice)


def _clock(service: Service, now: datetime) -> Iterator[Finding]:
    with service.database.read() as connection:
        latest = audit.latest(connection)
    server = service.database.server_time()
    if latest is not None and now + BEHIND < latest:
        yield Finding("fault", "clock", "time is behind the last audit entry", "set the clock; the sweep waits for it")
    elif server is not None and abs(server - now) > BEHIND:
        yield Finding(
            "fault", "clock", "the database server's clock disagrees by more than 5 minutes", "set both by NTP"
        )
    else:
        yield Finding("ok", "clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _database(service: Service, _now: datetime) -> Iterator[Finding]:
    with service.database.write():
        pass  # a transaction that begins and commits is what webhooks need
    yield Finding("ok", "database", "takes transactions; its schema is this version's")


def _keys(service: Service, now: datetime) -> Iterator[Finding]:
    service.keyring.ensure(now)
    live = len(service.keyring.search_keys(now))
    yield Finding("ok", "key ring", f"{live} day keys are ready, and the root key fits")
    if not service.settings.keys.mirror_url:
        text = "there is no mirror: losing the ring loses every recording"
        yield Finding("warning", "key ring", text, "set RECORDER_KEYS__MIRROR_URL to a second place")
    if not service.settings.keys.url:
        text = "the ring lies in the folder of database and recordings: a snapshot of that folder stays readable"
        yield Finding(
            "warning", "key ring", text, "set RECORDER_KEYS__URL elsewhere, or keep 'keys' out of every backup"
        )


def _store(service: Service, _now: datetime) -> Iterator[Finding]:
    objects, name = service.vault.objects, f"doctor/{new_id('probe')}"
    upload = objects.create(name, {"probe": "1"})
    upload.write(b"probe")
    upload.commit()
    read = b"".join(objects.read(name, 1, 3))
    objects.delete(name)
    if read != b"ro":
        yield Finding("fault", "store", "a range came back wrong", "do not use this store")
    elif objects.remaining(name):
        yield Finding(
            "fault", "store", "a deleted object is still there", "do not use this store: nothing would be gone"
        )
    else:
        yield Finding("ok", "store", "writes, reads ranges, and deletes for good")


def _folder(service: Service, _now: datetime) -> Iterator[Finding]:
    mode = stat.S_IMODE(service.settings.data_dir.stat().st_mode)
    if mode & 0o077:
        yield Finding("fault", "data folder", f"others may look into it ({mode:o})", "chmod 700")
    else:
        yield Finding("ok", "data folder", "only this user may look into it")


def _ffmpeg(_service: Service, _now: datetime) -> Iterator[Finding]:
    ran = subprocess.run([ffmpeg(), "-version"], capture_output=True, text=True, timeout=10, check=True, env={})  # noqa: S603 -- our own choice of program
    yield Finding("ok", "ffmpeg", " ".join(ran.stdout.split()[:3]))


def _lines(service: Service, now: datetime) -> Iterator[Finding]:
    with service.database.read() as connection:
        faults = service.lines.check(connection, now)
    for fault in faults:
        yield Finding("fault", "lines", fault, "recorder lines check")
    if not faults:
        count = len(service.lines.all())
        yield Finding("ok" if count else "warning", "lines", f"{count} lines", "" if count else "write lines.toml")


def _directory(service: Service, _now: datetime) -> Iterator[Finding]:
    service.directory.by_phone(NOBODY)
    yield Finding("ok", "directory", "answers")


def _platforms(service: Service, _now: datetime) -> Iterator[Finding]:
    settings = service.settings.platforms
    on = [
        name
        for name, secrets in (("twilio", settings.twilio.auth_tokens), ("standard", settings.standard.secrets))
        if secrets
    ]
    if on:
        yield Finding("ok", "platforms", ", ".join(on))
    else:
        yield Finding("warning", "platforms", "none has a secret: every webhook is refused", "see docs/platforms.md")


def _messages(service: Service, _now: datetime) -> Iterator[Finding]:
    for part, url in (("mail", service.settings.mail_url), ("sms", service.settings.sms_url)):
        if url.startswith("file:"):
            level: Literal["ok", "warning"] = "ok" if is_loopback(service.settings.http.public_url) else "warning"
            yield Finding(level, part, "written to files, for trying out")
        else:
            yield Finding("ok", part, "a gateway is set")


PARTS: dict[str, Callable[[Service, datetime], Iterator[Finding]]] = {
    "clock": _clock,
    "data folder": _folder,
    "database": _database,
    "key ring": _keys,
    "store": _store,
    "ffmpeg": _ffmpeg,
    "lines": _lines,
    "directory": _directory,
    "platforms": _platforms,
    "messages": _messages,
}
