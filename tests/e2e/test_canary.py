"""A test call goes the way of every other call; each thing that can break on it is seeded, and found by name."""

from __future__ import annotations

import threading
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from api.demo.exchange import Call, Exchange
from api.server import listening
from recorder import canary, tokens
from recorder.audio import tones
from recorder.canary import Report
from recorder.errors import InvalidInputError
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from storage.catalogue import recordings, tasks
from storage.catalogue.recordings import Filter
from storage.clock import utc_now
from tests.servers.ports import free_port

CANARY, ANSWERS = "+4570999901", "+4570999902"
ASKS, ASKED_ELSEWHERE = "+4570123456", "+4570123457"
STEPS = ["called", "asked", "answered", "recorded", "stored", "heard", "cleared_at_platform", "erased"]
Ends = tuple[tones.Samples, tones.Samples]
Spoil = Callable[[tones.Samples, tones.Samples], Ends]


def whole(caller: tones.Samples, agent: tones.Samples) -> Ends:
    return caller, agent


@dataclass
class TestExchange(Exchange):
    """Telephones for the two ends of a test call, and what may be wrong with them."""

    __test__ = False
    deaf: bool = False  # the key never gets through
    wrong_key: bool = False
    lost: bool = False  # the call never reaches the line
    unrecorded: bool = False
    keeps: bool = False  # recordings cannot be deleted
    spoil: Spoil = whole
    seen: threading.Event = field(default_factory=threading.Event)
    talking: threading.Thread | None = None

    def placed(self, fields: dict[str, str]) -> bool:
        self.talking = threading.Thread(target=self._talk, args=[fields])
        self.talking.start()
        return True

    def _talk(self, fields: dict[str, str]) -> None:
        if self.lost:
            return
        caller = ET.fromstring(fields["Twiml"])
        key = next(play.get("digits") for play in caller.iter("Play") if play.get("digits"))
        ends = self.spoil(self._played(caller), self._played(self._answering()))
        size = max(map(len, ends))
        wav = tones.wav([np.pad(end, (8000, size - len(end) + 8000)) for end in ends])
        self.call(
            customer=fields["From"],
            line=fields["To"],
            key=None if self.deaf else "2" if self.wrong_key else key,
            audio=wav,
            seconds=tones.seconds() + 2,
        )

    def _answering(self) -> ET.Element:
        fields = {"AccountSid": self.account_sid, "CallSid": "CA" + "7" * 32, "From": CANARY, "To": ANSWERS}
        return self._post(f"{self.webhooks}/webhooks/twilio/canary", fields, Call("", CANARY, ANSWERS))

    def _played(self, twiml: ET.Element) -> tones.Samples:
        url = next(play.text for play in twiml.iter("Play") if play.text)
        with urllib.request.urlopen(url) as answer:
            return np.frombuffer(answer.read()[44:], "<i2")

    def _record(self, *args: object) -> None:  # type: ignore[override]
        if not self.unrecorded:
            super()._record(*args)  # type: ignore[arg-type]

    def talk(self, call: Call, seconds: float) -> None:
        """Nobody hangs up on a call that is not recorded before the test call has seen why."""
        if call.recording is None:
            assert self.seen.wait(60)

    def delete(self, sid: str) -> bool:
        return False if self.keeps else super().delete(sid)


@dataclass
class Setting:
    service: Service
    exchange: TestExchange

    def run(self, line: str = ASKS, patience_s: float = 30) -> Report:
        try:
            return canary.run(self.service, line, patience_s=patience_s)
        finally:
            self.exchange.seen.set()

    def left(self) -> list[str]:
        with self.service.database.read() as connection:
            page = recordings.search(connection, Filter())
        return [one.state for one in page.items if one.state not in {"erased", "discarded"}]

    def stored_files(self) -> int:
        folder = self.service.settings.data_dir / "objects"
        return sum(1 for path in folder.rglob("*") if path.is_file() and path.name != ".recorder-store")


def lately() -> datetime:
    """The exchange's clock when a call begins, so that it has ended when the webhooks say so."""
    return utc_now() - timedelta(seconds=tones.seconds() + 3)


@pytest.fixture
def setting(environment: dict[str, str]) -> Iterator[Setting]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    exchange = TestExchange("AC" + "1" * 32, "f" * 32, url, lately, lambda _: None)
    with exchange.answering():
        environment |= {
            "RECORDER_HTTP__PORT": str(port),
            "RECORDER_HTTP__PUBLIC_URL": url,
            "RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID": exchange.account_sid,
            "RECORDER_PLATFORMS__TWILIO__AUTH_TOKENS": exchange.auth_token,
            "RECORDER_PLATFORMS__TWILIO__API_URL": exchange.rest_url,
            "RECORDER_CANARY__NUMBER": CANARY,
            "RECORDER_CANARY__ANSWERS": ANSWERS,
        }
        with opened(load(environment)) as service, listening(service):
            yield Setting(service, exchange)
            exchange.seen.set()
            if exchange.talking:
                exchange.talking.join()


def test_a_good_call_passes_every_step_and_leaves_nothing(setting: Setting) -> None:
    report = setting.run()

    assert report.ok, report
    assert [name for name, _ in report.passed] == STEPS
    assert setting.left() == []
    assert setting.stored_files() == 0
    assert setting.exchange.recordings == {}


def test_a_line_asked_elsewhere_is_called_in_the_exchanges_place(setting: Setting) -> None:
    report = setting.run(ASKED_ELSEWHERE)

    assert report.ok, report
    assert [name for name, _ in report.passed] == [name for name in STEPS if name != "asked"]
    assert setting.left() == []
    assert tokens.list_tokens(setting.service) == []


def silent(end: tones.Samples) -> tones.Samples:
    return np.zeros_like(end)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda caller, agent: (silent(caller), silent(agent)), "silent"),
        (lambda caller, agent: (caller, silent(agent)), "one_way"),
        (lambda caller, agent: (agent, caller), "swapped"),
        (lambda caller, agent: (caller[:20000], agent), "truncated"),
    ],
    ids=["silent", "one way", "swapped", "truncated"],
)
def test_spoilt_sound_is_found(setting: Setting, spoil: Spoil, why: str) -> None:
    setting.exchange.spoil = spoil

    report = setting.run()

    assert (report.failed, report.why) == ("heard", (why,))
    assert setting.left() == []


@pytest.mark.parametrize(
    ("fault", "step", "why"),
    [
        ("lost", "called", "never_arrived"),
        ("deaf", "answered", "unanswered"),
        ("wrong_key", "answered", "refused"),
        ("unrecorded", "recorded", "no_recording"),
        ("keeps", "cleared_at_platform", "kept_at_platform"),
    ],
)
def test_the_step_that_broke_is_named(setting: Setting, fault: str, step: str, why: str) -> None:
    setattr(setting.exchange, fault, True)

    report = setting.run(patience_s=4)

    assert (report.failed, report.why) == (step, (why,))
    assert setting.left() == []


def test_a_question_nobody_asks_is_found(setting: Setting) -> None:
    lines = setting.service.settings.lines_path
    lines.write_text(lines.read_text("utf-8").replace('script = "inbound-da"', 'script = "inbound-xx"'), "utf-8")

    report = setting.run(patience_s=4)

    assert report.failed == "called"
    assert report.why == ("invalid_input",)


def test_a_failure_is_a_task_until_a_call_goes_well(setting: Setting) -> None:
    setting.exchange.lost = True
    setting.run(patience_s=1)
    assert _failures(setting.service) == [ASKS]

    setting.exchange.lost = False
    setting.run()
    assert _failures(setting.service) == []


def test_lines_are_called_when_their_minutes_are_over(setting: Setting, environment: dict[str, str]) -> None:
    lines = Path(environment["RECORDER_DATA_DIR"], "lines.toml")
    lines.write_text(
        lines.read_text("utf-8").replace(
            'consent = "asked_elsewhere"', 'consent = "asked_elsewhere"\ncanary_minutes = 60'
        )
    )
    now = utc_now()

    assert canary.run_due(setting.service, now) == 1
    assert canary.run_due(setting.service, now) == 0
    assert canary.run_due(setting.service, now.replace(year=now.year + 1)) == 1


def test_only_lines_of_ours_are_called(setting: Setting) -> None:
    with pytest.raises(InvalidInputError):
        setting.run("+4570123499")


def _failures(service: Service) -> list[str]:
    with service.database.read() as connection:
        return [one.subject_id for one in tasks.open_tasks(connection) if one.kind == canary.TASK]
