"""`recorder serve` as a process, everything its libraries say at their most talkative, a whole story, and faults."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest
from standardwebhooks.webhooks import Webhook

from api.demo.exchange import Exchange
from api.demo.stage import ANNA, BENT, DIRECTORY, LINE, LINES, DemoClock
from api.demo.visitor import Visitor
from recorder.service import opened
from recorder.settings import load
from storage.clock import rfc3339
from tests.conftest import STANDARD_SECRET
from tests.e2e.conftest import House
from tests.e2e.journeys import SPEECH, recorded_call, until
from tests.e2e.test_nothing_in_clear import ACCOUNT, AGENT, CASE, GUEST, PEOPLE, spellings, what_people_do
from tests.servers.ports import free_port

POSTMAN = "postbud"
PASSWORD = "kodeord-til-posten"
NAME = "Anna Holm-Sørensen"
TALKATIVE = "import logging\nlogging.basicConfig(level=logging.DEBUG)\n"
EVENTS = count(1)


@dataclass
class Street:
    """A house that is started and stopped as a process, with all it says in one file."""

    environment: dict[str, str]
    house: House
    log: Path
    talkative: Path

    @contextmanager
    def serving(self, **settings: str) -> Iterator[None]:
        python = os.pathsep.join([str(self.talkative), *filter(None, [os.environ.get("PYTHONPATH")])])
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "api.cli", "serve"],
                env={**os.environ, "PYTHONPATH": python, **self.environment, **settings},
                stdout=log,
                stderr=log,
            )
        try:
            until("it listens", lambda: Visitor(self.house.url).get("/healthz").status == 200 if self._open() else None)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0

    def said(self, what: str) -> None:
        until(f"the log says {what}", lambda: what.encode() in self.log.read_bytes())

    def tell(self, kind: str, call_id: str, **data: object) -> int:
        """A signed canonical event; the status it is answered with."""
        now, name = datetime.now(UTC), f"msg-{next(EVENTS)}"
        body = json.dumps({"type": kind, "timestamp": now.isoformat(), "data": {"call_id": call_id, **data}})
        signed = Webhook(STANDARD_SECRET).sign(name, now, body)
        headers = {"webhook-id": name, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signed}
        return self.post("/webhooks/events", body, headers)

    def post(self, path: str, body: str, headers: dict[str, str]) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            connection.request("POST", path, body.encode(), headers)
            return connection.getresponse().status

    def raw(self, text: str) -> None:
        """Whatever a scanner sends."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as connection:
            connection.sendall(text.encode())
            connection.recv(100)

    @property
    def _port(self) -> int:
        return int(self.environment["RECORDER_HTTP__PORT"])

    def _open(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    data, talkative = tmp_path / "data", tmp_path / "talkative"
    data.mkdir(mode=0o700)
    talkative.mkdir()
    (talkative / "sitecustomize.py").write_text(TALKATIVE)
    (data / "lines.toml").write_text(LINES, "utf-8")
    (data / "directory.csv").write_text(DIRECTORY, "utf-8")
    port = free_port()
    url, clock = f"http://127.0.0.1:{port}", DemoClock()
    clock.back = timedelta(minutes=1)  # its calls are over when it says so, by the service's real clock too
    exchange = Exchange("AC" + "0" * 32, "1" * 32, url, clock, clock.pass_by)
    with exchange.answering():
        environment = {
            "RECORDER_DATA_DIR": str(data),
            "RECORDER_HTTP__PORT": str(port),
            "RECORDER_HTTP__PUBLIC_URL": url,
            "RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID": exchange.account_sid,
            "RECORDER_PLATFORMS__TWILIO__AUTH_TOKENS": exchange.auth_token,
            "RECORDER_PLATFORMS__TWILIO__API_URL": exchange.rest_url,
            "RECORDER_PLATFORMS__STANDARD__SECRETS": STANDARD_SECRET,
        }
        with opened(load(environment), clock=clock) as service:
            house = House(service, exchange, clock, url)
            yield Street(environment, house, tmp_path / "log", talkative)


def test_p2_nothing_personal_and_no_secret_is_in_the_log_of_a_whole_run(street: Street) -> None:
    house = street.house
    staff = house.token("dpo")
    secrets = [*PEOPLE, NAME, staff, PASSWORD, STANDARD_SECRET, house.exchange.auth_token]
    with street.serving():
        recorded_call(house)
        refused = house.exchange.call(customer=BENT, line=LINE, key="2", audio=b"", seconds=5)
        secrets += [refused.sid, *a_call_told_by_an_exchange(street)]
        secrets += what_people_do(house, staff)
        secrets += audio_that_is_a_page(street)
        requests_that_are_refused(street)
        events_that_cannot_be_applied(street)
        a_database_that_is_busy(street)
    with refusing_relay() as relay, street.serving(RECORDER_MAIL__URL=relay):
        a_mail_that_does_not_leave(street)

    log = street.log.read_bytes()
    needles = {needle: secret for secret in secrets for needle in spellings(secret)}
    assert sorted({secret for needle, secret in needles.items() if needle in log}) == []
    # All of it was really said, by both processes and by the libraries, and the search does find what is there.
    for line in (
        b"http.request",
        b"DEBUG:apscheduler",
        b"event.failed",
        b"message.not_delivered",
        b"connected_unrecorded",
    ):
        assert line in log
    assert any(needle in log + street.house.data.joinpath("directory.csv").read_bytes() for needle in spellings(ANNA))


def a_call_told_by_an_exchange(street: Street) -> list[str]:
    call, recording = "pbx-call-5521", "pbx-rec-77120"
    who = {"direction": "inbound", "from": ANNA, "to": LINE, "customer_type": "private", "queue": "billing"}
    yes, begun, joined = (rfc3339(datetime.now(UTC) - timedelta(seconds=ago)) for ago in (50, 45, 30))
    guest = {"role": "outside", "number": GUEST}
    assert street.tell("call.started", call, **who, account=ACCOUNT, agent=AGENT, case=CASE) == 204
    assert street.tell("consent.granted", call, method="verbal", agent=AGENT, script="inbound-da@1", at=yes) == 204
    assert street.tell("recording.started", call, recording_id=recording, at=begun) == 204
    assert street.tell("party.joined", call, party=guest, leg_id="leg-guest-88", at=joined) == 204
    assert street.tell("call.ended", call) == 204
    audio = (SPEECH / "broadband-da.wav").read_bytes()
    headers = {"Authorization": f"Bearer {street.house.token('platform')}", "Content-Type": "audio/wav"}

    def pushed() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", street._port, timeout=30)
        with closing(connection):
            connection.request("PUT", f"/v1/calls/{call}/recordings/{recording}", audio, headers)
            return connection.getresponse().status == 201

    until("the audio is taken", pushed)
    return [call, recording, "leg-guest-88"]


def audio_that_is_a_page(street: Street) -> list[str]:
    """The platform answers with a page about whom it is."""
    page = f"<html>{NAME} {ANNA} {ACCOUNT}</html>".encode()
    call = street.house.exchange.call(customer=ANNA, line=LINE, key="1", audio=page, seconds=5)
    until("it was fetched", lambda: _count(street, "SELECT count(*) FROM recordings WHERE tries > 0"))
    assert call.recording is not None
    return [call.sid, call.recording]


def requests_that_are_refused(street: Street) -> None:
    Visitor(street.house.url, "rec_dpo_" + "x" * 43).get("/v1/recordings")
    dpo = street.house.visitor("dpo")
    dpo.post_json("/v1/recordings/search", {"phone": f"{NAME} {ANNA}"})
    dpo.get(f"/v1/recordings/{quote(ANNA)}?phone={quote(ANNA)}")
    dpo.get("/v1/recordings?cursor=" + quote(ACCOUNT))
    street.post(f"/webhooks/twilio/voice?From={quote(ANNA)}", f"From={quote(ANNA)}", {"X-Twilio-Signature": "x"})
    street.post("/webhooks/events", f'{{"from": "{ANNA}"', {"webhook-id": ANNA})
    street.post(f"/{ANNA}", "", {"X-Request-ID": ANNA.strip("+") * 2, "Cookie": f"session={ANNA}"})
    street.raw(f"GET /{ANNA} HTTP/9.9\r\nHost: {NAME}\r\n\r\n")
    street.raw(f"POST /webhooks/events HTTP/1.1\r\nHost: x\r\nContent-Length: {ANNA}{ACCOUNT}\r\n\r\n")


def events_that_cannot_be_applied(street: Street) -> None:
    for call in ("pbx-other-1", "pbx-other-2"):
        street.tell("call.started", call, **{"direction": "inbound", "from": ANNA, "to": LINE, "account": ACCOUNT})
        street.tell("recording.started", call, recording_id="rec-of-two")  # the second time it is another call's
    street.said("event.failed")


def a_database_that_is_busy(street: Street) -> None:
    """Somebody else writes for longer than a caller can be kept waiting."""
    calling: Callable[[], object] = lambda: street.house.exchange.call(  # noqa: E731
        customer=ANNA, line=LINE, key=None, audio=b"", seconds=1
    )
    with closing(sqlite3.connect(street.house.data / "recorder.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        caller = threading.Thread(target=_quietly, args=(calling,))
        caller.start()
        street.said("connected_unrecorded")
        other.execute("ROLLBACK")
    caller.join()


def a_mail_that_does_not_leave(street: Street) -> None:
    dpo = street.house.visitor("dpo")
    request = dpo.post_json("/v1/subject-requests", {"kind": "access", "phone": ANNA}).json()
    document = {"recordings": request["matches"], "identity": {"method": "callback"}}
    assert dpo.post_json(f"/v1/subject-requests/{request['id']}/approve", document).status == 200
    street.said("message.not_delivered")


@contextmanager
def refusing_relay() -> Iterator[str]:
    """A relay that knows no TLS, and quotes what it was told."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb", buffering=0) as talk:
                talk.write(b"220 relay\r\n")
                while line := talk.readline():
                    talk.write(b"250 relay\r\n" if line[:4].upper() in {b"EHLO", b"HELO"} else b"554 " + line)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield f"smtp://{POSTMAN}:{PASSWORD}@127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def _quietly(act: Callable[[], object]) -> None:
    with suppress(OSError, http.client.HTTPException):
        act()


def _count(street: Street, query: str) -> int:
    with street.house.service.database.read() as connection:
        return int(connection.exec_driver_sql(query).scalar_one())
