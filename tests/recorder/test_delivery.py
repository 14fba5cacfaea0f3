"""The outbox: nothing lost, nothing doubled, and each answer of a courier means what it means."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest

from recorder import access_links, delivery, subject_requests
from recorder.couriers import mailer_for, texter_for
from recorder.couriers.folders import FolderMailer
from recorder.errors import ConfigurationError, DeliveryError, DeliveryRefusedError, DeliveryUnknownError, LinkError
from recorder.ports import Service
from recorder.settings import Settings, load
from storage.catalogue import requests
from tests.conftest import MovingClock
from tests.recorder.asking import (
    DPO,
    ask,
    code,
    directory,
    granted,
    link_rows,
    mails,
    matches,
    stored,
    texts,
    token,
    visiting,
)
from tests.recorder.post import deliver_due
from tests.recorder.waiting import open_tasks


def test_files_are_whole_and_for_their_owner_only(tmp_path: Path) -> None:
    FolderMailer(tmp_path / "mail").send("anna@example.com", b"hello")
    (file,) = (tmp_path / "mail").iterdir()
    assert (file.suffix, file.read_bytes(), file.stat().st_mode & 0o777) == (".eml", b"hello", 0o600)

    (tmp_path / "blocked").write_text("a file where the folder should be")
    with pytest.raises(DeliveryError):
        FolderMailer(tmp_path / "blocked").send("anna@example.com", b"hello")


@pytest.mark.parametrize(
    ("section", "url", "make"), [("mail", "http://x", mailer_for), ("sms", "smtp://x", texter_for)]
)
def test_a_kind_that_is_not_spoken_stops_the_start(
    settings: Settings, section: str, url: str, make: Callable[[Settings], object]
) -> None:
    changed = settings.model_copy(update={section: getattr(settings, section).model_copy(update={"url": url})})
    with pytest.raises(ConfigurationError):
        make(changed)


@pytest.mark.parametrize("sender", ["dpø@flexii.dk", "Flexii <dpo@flexii.dk>", "flexii.dk"])
@pytest.mark.parametrize("setting", ["mail__sender", "mail__bounces_to", "organisation__dpo_email"])
def test_an_address_no_mail_can_be_sent_from_stops_the_start(sender: str, setting: str) -> None:
    relay = {"RECORDER_MAIL__URL": "smtp://localhost"}
    mailer_for(load(relay | {f"RECORDER_{setting.upper()}": "dpo@blåbærgrød.dk"}))
    with pytest.raises(ConfigurationError, match="send mail from"):
        mailer_for(load(relay | {f"RECORDER_{setting.upper()}": sender}))


class Answering:
    """A courier that answers as told, then delivers; what it was handed is noted either way."""

    def __init__(self, *answers: DeliveryError) -> None:
        self.answers = list(answers)
        self.handed: list[Any] = []

    def send(self, to: str, message: Any) -> None:
        self.handed.append(message)
        if self.answers:
            raise self.answers.pop(0)

    def links(self) -> list[str]:
        return [link_in(message) for message in self.handed]


def link_in(message: bytes) -> str:
    body = cast("EmailMessage", message_from_bytes(message, policy=policy.default)).get_body(("plain",))
    assert body is not None
    return body.get_content().partition("/access/#")[2].split()[0]


def works(service: Service, link: str, clock: MovingClock) -> bool:
    try:
        return access_links.send_code(service, access_links.open_link(service, link, clock()), clock()) is not None
    except LinkError:
        return False


def test_p4_a_mail_refused_for_now_is_tried_with_a_new_link_and_the_last_opens_nothing(
    service: Service, clock: MovingClock
) -> None:
    stored(service, clock)
    courier = Answering(DeliveryError())
    flaky = replace(service, mailer=courier)
    approved(flaky, clock)
    deliver_due(flaky, clock())
    clock.advance(minutes=1)
    deliver_due(flaky, clock())

    first, second = courier.links()
    assert (works(service, first, clock), works(service, second, clock)) == (False, True)


def test_p6_a_mail_whose_answer_was_lost_is_repeated_with_the_same_link(service: Service, clock: MovingClock) -> None:
    """It may have arrived: whatever the relay says of the repetition, the first link must not die of it."""
    stored(service, clock)
    courier = Answering(DeliveryUnknownError(), DeliveryError())
    flaky = replace(service, mailer=courier)
    approved(flaky, clock)
    for _ in range(3):
        deliver_due(flaky, clock())
        clock.advance(minutes=2)

    assert len(courier.handed) == 3
    assert len(set(courier.links())) == 1
    assert works(service, courier.links()[0], clock)


def test_p6_the_same_rule_holds_for_codes(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    granted(service, clock)
    for answers, alike in (((DeliveryUnknownError(),), True), ((DeliveryError(),), False)):
        courier = Answering(*answers)
        flaky = replace(service, texter=courier)
        cookie = access_links.open_link(flaky, token(flaky), clock())
        assert access_links.send_code(flaky, cookie, clock())
        deliver_due(flaky, clock())
        clock.advance(minutes=1)
        deliver_due(flaky, clock())
        first, second = (re.findall(r"\b\d{6}\b", text)[0] for text in courier.handed)

        assert (first == second) is alike
        assert access_links.verify_code(flaky, cookie, second, clock()).outcome == "verified"
        clock.advance(hours=2)


def test_p4_a_mail_refused_for_good_stops_its_link_and_asks_people(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    courier = Answering(DeliveryRefusedError())
    flaky = replace(service, mailer=courier)
    request_id = approved(flaky, clock)
    deliver_due(flaky, clock())
    clock.advance(days=1)
    assert deliver_due(flaky, clock()) == 0

    assert len(courier.handed) == 1
    assert [link.state for link in link_rows(service, request_id)] == ["void"]
    assert not works(service, courier.links()[0], clock)
    assert open_tasks(service) == [("delivery_failed", request_id)]
    subject_requests.reissue(service, request_id, DPO, clock())
    deliver_due(service, clock())
    assert visiting(service, clock)


def test_a_number_that_takes_no_code_is_for_people_and_the_link_lives_on(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request_id = granted(service, clock)
    refusing = replace(service, texter=Answering(DeliveryRefusedError()))
    access_links.send_code(refusing, access_links.open_link(refusing, token(service), clock()), clock())
    deliver_due(refusing, clock())

    assert open_tasks(service) == [("delivery_failed", request_id)]
    assert [link.state for link in link_rows(service, request_id)] == ["open"]


def test_a_slow_relay_holds_up_no_code(service: Service, clock: MovingClock) -> None:
    """Mail and codes are claimed apart: who waits for a code does not wait for somebody's mail."""
    stored(service, clock)
    granted(service, clock)
    access_links.send_code(service, access_links.open_link(service, token(service), clock()), clock())
    approved(service, clock)

    assert delivery.deliver_next(service, clock(), delivery.CODES) == "sent"
    assert delivery.deliver_next(service, clock(), delivery.CODES) is None
    assert len(texts(service)) == 1


def test_an_address_that_is_none_is_refused_and_named_nowhere(
    service: Service, clock: MovingClock, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(service, clock)
    directory(service, "+4520123456,A-1001,<anna@example.com>,+4520123456,private,da")
    request_id = granted(service, clock)

    assert open_tasks(service) == [("delivery_failed", request_id)]
    assert "anna" not in "".join(capsys.readouterr())


class Flaky:
    """A courier that fails so many times, then delivers into a list."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.sent: list[Any] = []

    def send(self, to: str, message: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise DeliveryError
        self.sent.append(message)


def approved(service: Service, clock: MovingClock) -> str:
    request = ask(service, clock)
    chosen = [one.recording_id for one in matches(service, request.id)]
    subject_requests.approve(service, request.id, chosen, "callback", DPO, clock())
    return request.id


def test_p6_a_mail_is_tried_until_it_is_taken(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    courier = Flaky(failures=3)
    flaky = replace(service, mailer=courier)
    approved(flaky, clock)

    assert deliver_due(flaky, clock()) == 0
    assert deliver_due(flaky, clock()) == 0, "not before its wait is over"
    for _ in range(3):
        clock.advance(minutes=2)
        deliver_due(flaky, clock())
    assert len(courier.sent) == 1
    clock.advance(hours=1)
    assert deliver_due(flaky, clock()) == 0


def test_a_mail_nobody_takes_for_two_days_is_for_people_to_look_at(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    flaky = replace(service, mailer=Flaky(failures=10_000))
    request_id = approved(flaky, clock)
    for _ in range(60):
        clock.advance(hours=1, minutes=1)
        deliver_due(flaky, clock())

    assert open_tasks(service) == [("delivery_failed", request_id)]


def test_p6_a_crash_after_handing_over_repeats_the_mail_with_the_same_link(
    service: Service, clock: MovingClock
) -> None:
    stored(service, clock)

    class CrashError(BaseException):
        pass

    class Crashing:
        def send(self, to: str, message: bytes) -> None:
            service.mailer.send(to, message)
            raise CrashError

    approved(service, clock)
    with pytest.raises(CrashError):
        deliver_due(replace(service, mailer=Crashing()), clock())
    first = token(service)
    assert deliver_due(service, clock()) == 0, "the lease of the dead still stands"
    clock.advance(minutes=3)
    assert deliver_due(service, clock()) == 1

    assert token(service) == first
    assert len({mail["Message-ID"] for mail in mails(service)}) == 1
    assert visiting(service, clock)


def test_p6_many_workers_send_each_message_once(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    for _ in range(5):
        approved(service, clock)
    with ThreadPoolExecutor(8) as workers:
        sent = sum(workers.map(lambda _: deliver_due(service, clock()), range(8)))

    assert (sent, len(mails(service))) == (5, 5)


@pytest.mark.parametrize("changed", ["eve@example.com,+4520123456", "anna@example.com,+4520666666"])
def test_p4_a_changed_address_or_mobile_stops_at_a_person(service: Service, clock: MovingClock, changed: str) -> None:
    stored(service, clock)
    request_id = granted(service, clock)
    cookie = access_links.open_link(service, token(service), clock())
    directory(service, f"+4520123456,A-1001,{changed},private,da")

    access_links.send_code(service, cookie, clock())
    assert deliver_due(service, clock()) == 0
    assert (texts(service), open_tasks(service)) == ([], [("contact_changed", request_id)])

    subject_requests.reissue(service, request_id, DPO, clock())
    deliver_due(service, clock())
    assert open_tasks(service) == []
    assert visiting(service, clock)


@pytest.mark.parametrize(
    "row",
    [
        "+4520123456,A-1001,,+4520123456,private,da",
        "+4520123456,A-1001,anna@example.com,,private,da",
        "+4520123456,A-1001,anna@example.com,+8613800000000,private,da",
    ],
)
def test_where_nobody_can_be_reached_people_are_asked(service: Service, clock: MovingClock, row: str) -> None:
    stored(service, clock)
    directory(service, row)
    request_id = granted(service, clock)

    assert (mails(service), open_tasks(service)) == ([], [("contact_missing", request_id)])


def test_a_code_is_not_sent_when_it_is_too_late(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    granted(service, clock)
    cookie = access_links.open_link(service, token(service), clock())
    access_links.send_code(service, cookie, clock())
    clock.now += timedelta(minutes=11)

    assert deliver_due(service, clock()) == 0
    assert texts(service) == []
    assert code(service, clock, cookie)


def test_the_mail_speaks_the_persons_language(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    directory(service, "+4520123456,A-1001,anna@example.com,+4520123456,private,en")
    request_id = granted(service, clock)

    (mail,) = mails(service)
    assert (mail["Subject"], mail["To"]) == ("Your call with Flexii is ready", "anna@example.com")
    assert link_rows(service, request_id)[0].language == "en"


def test_a_refused_requests_mail_is_not_sent(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request_id = approved(service, clock)
    subject_requests.revoke(service, request_id, DPO, clock())

    assert deliver_due(service, clock()) == 0
    assert mails(service) == []


def test_a_message_whose_person_can_no_longer_be_known_is_for_people_to_look_at(
    service: Service, clock: MovingClock
) -> None:
    stored(service, clock)
    request_id = approved(service, clock)
    with service.database.write() as connection:
        requests.change(connection, request_id, when=["answered"], key_id=None)

    assert deliver_due(service, clock()) == 0
    assert open_tasks(service) == [("delivery_failed", request_id)]
