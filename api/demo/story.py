"""The whole promise, told with real speech: every step goes through the same doors as in production."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes, policy
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from api import logs
from api.demo.exchange import Exchange
from api.demo.player import play
from api.demo.restore import read_everything
from api.demo.stage import ANNA, BENT, LINE, DemoClock, prepare, staged
from api.demo.visitor import Visitor
from api.server import listening
from recorder import subject_requests, sweep, tokens
from recorder.actors import SYSTEM
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import Settings
from storage import audit
from storage.errors import RecorderError

T = TypeVar("T")
DAYS = timedelta(days=1)
PATIENCE_SECONDS = 60.0


@dataclass
class Stage:
    """What the acts share."""

    service: Service
    exchange: Exchange
    clock: DemoClock
    console: Console

    @property
    def data(self) -> Path:
        return self.service.settings.data_dir

    @property
    def url(self) -> str:
        return self.service.settings.http.public_url

    def act(self, title: str) -> None:
        self.console.print(f"\n[bold]{self.clock():%d %B %Y}  {title}[/bold]")

    def tell(self, text: str) -> None:
        self.console.print(f"  {text}", highlight=False, soft_wrap=True)

    def token(self, role: str) -> str:
        return tokens.create(self.service, role, f"demo {role}", self.clock(), actor=SYSTEM)[0]


def tell(settings: Settings, *, once: bool) -> None:
    """Play the story in the data folder; without `once`, keep serving afterwards until Ctrl-C.

    Raises `ConfigurationError` where the data folder cannot be used, and `AssertionError` where a promise broke.
    """
    data_dir = settings.data_dir if settings.data_dir != Path("data") else Path("data-demo")
    settings = settings.model_copy(update={"data_dir": data_dir})
    console, clock = Console(), DemoClock()
    exchange = Exchange("AC" + secrets.token_hex(16), secrets.token_hex(16), "", clock, clock.pass_by)
    with prepare(data_dir), exchange.answering():
        settings = staged(
            settings, account_sid=exchange.account_sid, auth_token=exchange.auth_token, rest_url=exchange.rest_url
        )
        exchange.webhooks = settings.http.public_url
        clock.back = 91 * DAYS
        with (
            (data_dir / "recorder.log").open("a") as log,
            opened(settings, clock=clock) as service,
            listening(service),
        ):
            logs.configure(log)
            stage = Stage(service, exchange, clock, console)
            console.print("[bold]Only with a yes. Sealed. Heard by the right person. Gone on time. Provably.[/bold]")
            recording = _a_call_with_a_yes(stage)
            _a_call_with_a_no(stage)
            _the_customer_listens(stage, recording)
            _ninety_one_days_later(stage, recording)
            if not once:
                _stay(stage)


def _speech(name: str) -> bytes:
    return (resources.files("api.demo") / "speech" / name).read_bytes()


def _a_call_with_a_yes(stage: Stage) -> str:
    stage.act("Anna calls, and says yes")
    call = stage.exchange.call(customer=ANNA, line=LINE, key="1", audio=_speech("billing-da.wav"), seconds=37)
    stage.tell(f'she hears:   "{call.prompt[0]}"')
    stage.tell(f'             "{call.prompt[1]}"')
    stage.tell(f'she presses 1: "{call.answer[0]}"  and is put through to {call.connected_to}')
    dpo = Visitor(stage.url, stage.token("dpo"))
    item = _until("the recording is stored", lambda: _first(dpo, "stored"))
    stage.tell(f"kept:        {item['id']}, {item['duration_ms'] / 1000:.1f} s, class {item['segment']}")
    stage.tell(f"expires:     {item['expires_at']}, 90 days after the call's end, to the second")
    _show_sealed_bytes(stage)
    _until("the exchange's copy is deleted", lambda: stage.exchange.deleted)
    stage.tell("the exchange's own copy is deleted")
    return str(item["id"])


def _show_sealed_bytes(stage: Stage) -> None:
    sealed = max(
        (path for path in (stage.data / "objects").rglob("*") if path.is_file()), key=lambda p: p.stat().st_size
    )
    with sealed.open("rb") as file:
        head = file.read(16).hex(" ")
    stage.tell(f"on disk:     {sealed.relative_to(stage.data)}: {head} …")
    sound, words = play(sealed)
    _must("a media player hears nothing in the sealed bytes", not sound)
    stage.tell(f'ffmpeg says: "{words.split(": ")[-1]}"')


def _a_call_with_a_no(stage: Stage) -> None:
    stage.act("Bent calls, and says no")
    before, asked = _bytes_kept(stage), len(stage.exchange.requests)
    call = stage.exchange.call(customer=BENT, line=LINE, key="2", audio=_speech("broadband-da.wav"), seconds=18)
    stage.tell(f'he presses 2: "{call.answer[0]}"  and is put through to {call.connected_to}, the same place')
    _must("nothing was recorded at the exchange", call.recording is None)
    _must("nothing was fetched", len(stage.exchange.requests) == asked)
    kept = _bytes_kept(stage) - before
    _must("0 bytes were kept", kept == 0)
    stage.tell(f"{kept} bytes kept")


def _the_customer_listens(stage: Stage, recording: str) -> None:
    stage.clock.back -= 1 * DAYS
    stage.act("Anna asks to hear it")
    link = _send_link(stage, ANNA)
    stage.tell(f"her mail carries one link: {stage.url}/access/#…  (a link alone opens nothing)")
    anna = Visitor(stage.url)
    _must("the link opens", anna.post_form("/access/open", token=link).status == 200)  # noqa: PLR2004 -- HTTP
    sent = len(_texts(stage))
    anna.post_form("/access/code")
    code = _until("the code arrives", lambda: _code(stage, sent))
    stage.tell("the code comes by SMS to the number on file")
    page = anna.post_form("/access/verify", code=code)
    source = re.search(r'<(?:audio|source)[^>]*\ssrc="([^"]+)"', page.text)
    _must("her page has a player", source is not None)
    assert source is not None  # noqa: S101 -- for the type checker; _must has said it
    heard = anna.get(source.group(1), Range="bytes=0-65535")
    _must("a range of the recording plays", heard.status == 206)  # noqa: PLR2004 -- HTTP
    stage.tell(f"she listens: {heard.status}, {heard.headers['content-type']}, {heard.headers['content-range']}")
    _must("it is hers", recording in page.text)


def _ninety_one_days_later(stage: Stage, recording: str) -> None:
    stage.clock.back = 1 * DAYS + timedelta(hours=2)
    _settle(stage)
    stage.act("A backup is taken, the day before")
    backup = Path(tempfile.mkdtemp(prefix="recorder-demo-"))
    try:
        _copy(stage, backup)
        stage.tell("database and recordings are copied; keys are never backed up")
        stage.clock.back = timedelta(minutes=1)  # for the calls that are still to come
        stage.act("91 days after the call")
        _settle(stage)
        _must("no sealed byte is left", _bytes_kept(stage) == 0)
        dpo = Visitor(stage.url, stage.token("dpo"))
        gone = dpo.get(f"/v1/recordings/{recording}").json()
        _must("it is gone", gone.get("state", "erased") == "erased")
        stage.tell(f"erased: {recording}; 0 bytes left, its day key destroyed")
        verdict = _open_backup(stage, backup)
        stage.tell(f"yesterday's backup, restored beside today's key ring: \"{verdict}\"")
    finally:
        shutil.rmtree(backup)
    report = audit.verify(stage.service.database)
    _must("the audit log is whole", report.ok)
    stage.tell(f"audit log: {report.size} entries, all in order")


def _settle(stage: Stage) -> None:
    """Do now what the jobs would do by themselves within minutes: the story does not wait."""
    now = stage.clock()
    stage.service.keyring.ensure(now)
    subject_requests.due(stage.service, now)
    sweep.sweep(stage.service, now, unattended=False)


def _copy(stage: Stage, backup: Path) -> None:
    source, copy = (sqlite3.connect(folder / "recorder.sqlite") for folder in (stage.data, backup))
    with closing(source), closing(copy):
        source.backup(copy)
    shutil.copytree(stage.data / "objects", backup / "objects")


def _open_backup(stage: Stage, backup: Path) -> str:
    """Try to read the backup with everything that exists today; gives why it cannot. Raises where it can."""
    try:
        read_everything(stage.service, backup, stage.clock())
    except RecorderError as refusal:
        return f"{refusal} ({refusal.code})"
    raise AssertionError("a backup opened after its recordings had expired")


def _stay(stage: Stage) -> None:
    stage.act("Today: look around")
    stage.exchange.call(customer=ANNA, line=LINE, key="1", audio=_speech("billing-da.wav"), seconds=37)
    stage.exchange.call(customer=ANNA, line=LINE, key="1", audio=_speech("broadband-da.wav"), seconds=18)
    dpo_token = stage.token("dpo")
    dpo = Visitor(stage.url, dpo_token)
    _until("both calls are stored", lambda: len(dpo.get("/v1/recordings?state=stored").json()["items"]) == 2)  # noqa: PLR2004 -- two calls
    link = _send_link(stage, ANNA)
    stage.tell(f"[bold]the customer's page[/bold]  {stage.url}/access/#{link}")
    stage.tell(f"   her code arrives in       {stage.data / 'outbox' / 'sms'}/")
    stage.tell(f"[bold]the DPO's console[/bold]    {stage.url}/console/")
    stage.tell(f"   sign in with              {dpo_token}")
    stage.tell(f"   mails lie in              {stage.data / 'outbox' / 'mail'}/")
    stage.tell("Ctrl-C ends it.")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        stage.tell("bye")


def _send_link(stage: Stage, phone: str) -> str:
    """A DPO opens and approves an access request; gives the token of the mail that went out."""
    dpo = Visitor(stage.url, stage.token("dpo"))
    request = dpo.post_json("/v1/subject-requests", {"kind": "access", "phone": phone}).json()
    before = len(_mails(stage))
    answer = dpo.post_json(
        f"/v1/subject-requests/{request['id']}/approve",
        {"recordings": request["matches"], "identity": {"method": "callback"}},
    )
    _must("the request is approved", answer.status in {200, 201, 202})
    return str(_until("the mail is handed over", lambda: _token(stage, before)))


def _mails(stage: Stage) -> list[Path]:
    return sorted((stage.data / "outbox" / "mail").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)


def _texts(stage: Stage) -> list[Path]:
    return sorted((stage.data / "outbox" / "sms").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)


def _token(stage: Stage, before: int) -> str | None:
    if len(mails := _mails(stage)) <= before:
        return None
    mail: Any = message_from_bytes(mails[-1].read_bytes(), policy=policy.default)
    found = re.search(r"/access/#([A-Za-z0-9_-]+)", mail.get_body(("plain",)).get_content())
    return found.group(1) if found else None


def _code(stage: Stage, before: int) -> str | None:
    if len(texts := _texts(stage)) <= before:
        return None
    found = re.search(r"\b\d{6}\b", json.loads(texts[-1].read_text())["text"])
    return found.group(0) if found else None


def _first(dpo: Visitor, state: str) -> dict[str, Any] | None:
    items: list[dict[str, Any]] = dpo.get(f"/v1/recordings?state={state}").json()["items"]
    return items[0] if items else None


def _bytes_kept(stage: Stage) -> int:
    return sum(path.stat().st_size for path in (stage.data / "objects").rglob("*") if path.is_file())


def _until(what: str, look: Callable[[], T | None]) -> T:
    """Look until it is there. Raises `AssertionError` after a minute: the story does not pretend."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain: {what}")


def _must(what: str, held: bool) -> None:
    if not held:
        raise AssertionError(f"a promise broke: {what}")
