"""A mail that comes back stops its link and asks people; nothing else that comes to that address does anything."""

from __future__ import annotations

from contextlib import suppress
from email.message import EmailMessage
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder import access_links, subject_requests
from recorder.actors import Actor
from recorder.delivery import bounces
from recorder.errors import InvalidInputError, LinkError, NotFoundError
from recorder.ports import Service
from storage import audit
from tests.conftest import BEGINNING, MovingClock
from tests.recorder.asking import DPO, ask, granted, link_rows, mails, matches, stored, token, visiting
from tests.recorder.post import deliver_due
from tests.recorder.waiting import open_tasks

OPERATOR = Actor("tok_operator", "operator")

DSN = """\
From: MAILER-DAEMON@mx.example.com
To: bounces@flexii.dk
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain; charset=us-ascii

<anna@example.com>: host mx.example.com said: 550 5.1.1 User unknown

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
Arrival-Date: Thu, 3 Sep 2026 10:12:00 +0200

Final-Recipient: rfc822; anna@example.com
Action: {action}
Status: 5.1.1

--b
Content-Type: {returned}

{header}: <{message_id}>
Subject: Din samtale med Flexii er klar

--b--
"""


def dsn(
    message_id: str, *, action: str = "failed", returned: str = "message/rfc822", header: str = "Message-ID"
) -> bytes:
    text = DSN.format(action=action, returned=returned, header=header, message_id=message_id)
    return text.replace("\n", "\r\n").encode()


def entries(service: Service) -> list[str]:
    with service.database.read() as connection:
        return [kind for _seq, kind, _subject, _body in audit.after(connection, 0, 1000)]


@pytest.fixture
def request_id(service: Service, clock: MovingClock) -> str:
    stored(service, clock)
    return granted(service, clock)


def sent(service: Service) -> str:
    return str(mails(service)[-1]["Message-ID"]).strip("<>")


@pytest.mark.parametrize(
    ("returned", "header"),
    [("message/rfc822", "Message-ID"), ("text/rfc822-headers", "Message-Id"), ("message/rfc822", "MESSAGE-ID")],
)
def test_p4_a_bounce_stops_the_link_and_asks_people(
    service: Service, clock: MovingClock, request_id: str, returned: str, header: str
) -> None:
    cookie = access_links.open_link(service, token(service), clock())
    came_back = dsn(sent(service), returned=returned, header=header)

    assert bounces.report_mail(service, came_back, OPERATOR, clock()) == "stopped"
    assert bounces.report_mail(service, came_back, OPERATOR, clock()) == "nothing"
    assert [link.state for link in link_rows(service, request_id)] == ["void"]
    assert open_tasks(service) == [("delivery_failed", request_id)]
    with pytest.raises(LinkError):
        access_links.send_code(service, cookie, clock())

    subject_requests.reissue(service, request_id, DPO, clock())
    deliver_due(service, clock())
    assert open_tasks(service) == []
    assert visiting(service, clock)


def test_a_bounce_of_a_letter_asks_people(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request = subject_requests.open_request(service, "access", phone="+4520123456", actor=DPO, now=clock())
    subject_requests.refuse(service, request.id, DPO, clock(), "not_theirs")
    deliver_due(service, clock())

    assert bounces.report(service, f"<{sent(service)}>", OPERATOR, clock()) == "stopped"
    assert open_tasks(service) == [("delivery_failed", request.id)]


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed"])
def test_what_is_no_failure_changes_nothing(service: Service, clock: MovingClock, request_id: str, action: str) -> None:
    greeting = EmailMessage()
    greeting["Subject"] = "Autosvar: jeg har ferie"
    greeting["In-Reply-To"] = f"<{sent(service)}>"
    greeting.set_content(f"Message-ID: <{sent(service)}>\nHilsen Anna")

    for mail in (dsn(sent(service), action=action), greeting.as_bytes(), b"", b"\xff\x00 no mail"):
        assert bounces.report_mail(service, mail, OPERATOR, clock()) == "nothing"
    assert visiting(service, clock)
    assert open_tasks(service) == []


def test_what_is_not_ours_or_says_nothing_is_told_so(service: Service, clock: MovingClock, request_id: str) -> None:
    for mail in (dsn("20260903.1@other.example"), dsn(sent(service), header="X-Message")):
        with pytest.raises(InvalidInputError):
            bounces.report_mail(service, mail, OPERATOR, clock())
    with pytest.raises(NotFoundError):
        bounces.report_mail(service, dsn("msg_" + "a" * 26 + "@flexii.dk"), OPERATOR, clock())
    for text in ("", "anna@example.com", "lnk_" + "a" * 26, "msg_short"):
        with pytest.raises(InvalidInputError) as refusal:
            bounces.report(service, text, OPERATOR, clock())
        assert "anna" not in str(refusal.value)
    assert visiting(service, clock)


@pytest.mark.parametrize(
    "mail",
    [
        b"Content-Type: message/rfc822\n\n" * 2000,
        b'Content-Type: multipart/mixed; a="' + b";" * 2_000_000,
        b"Content-Type: multipart/mixed;\n" + b" a=b;\n" * 400_000,
    ],
    ids=["nested", "quoted", "folded"],
)
def test_a_mail_made_to_keep_us_busy_does_not(service: Service, clock: MovingClock, mail: bytes) -> None:
    """Otherwise this takes hours."""
    with suppress(InvalidInputError):
        assert bounces.report_mail(service, mail, OPERATOR, clock()) == "nothing"


SCRAPS = [
    b"Content-Type: ", b"multipart/report; boundary=b", b"message/delivery-status", b"message/rfc822",
    b"text/rfc822-headers", b"; charset*0*=x'y'%ff", b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable",
    b"x-uuencode", b"begin 666 x\n", b"Action: failed", b"Message-ID: ", b"<msg_short@flexii.dk>", b"=?utf-8?q?=ff?=",
    b"\n", b"\n\n", b"--b\n", b"--b--\n", b"\xff", b"\x00",
]  # fmt: skip


@given(st.lists(st.sampled_from(SCRAPS), max_size=40).map(b"".join))
@settings(deadline=None)
def test_no_mail_makes_reading_it_raise_anything_else(mail: bytes) -> None:
    nobody = cast("Service", None)  # none of these names a mail of ours
    with suppress(InvalidInputError):
        assert bounces.report_mail(nobody, mail, OPERATOR, BEGINNING) == "nothing"


def test_an_old_bounce_leaves_a_newer_link_alone(service: Service, clock: MovingClock, request_id: str) -> None:
    old = sent(service)
    subject_requests.reissue(service, request_id, DPO, clock())
    deliver_due(service, clock())

    assert bounces.report_mail(service, dsn(old), OPERATOR, clock()) == "nothing"
    assert visiting(service, clock)


def test_p5_a_bounce_that_ends_a_link_is_written_down_though_people_were_asked_already(
    service: Service, clock: MovingClock
) -> None:
    stored(service, clock)
    request = ask(service, clock)
    clock.advance(hours=2)
    deliver_due(service, clock())
    assert bounces.report(service, sent(service), OPERATOR, clock()) == "stopped"  # the receipt came back
    found = [one.recording_id for one in matches(service, request.id)]
    subject_requests.approve(service, request.id, found, "callback", DPO, clock())
    deliver_due(service, clock())
    before = entries(service)

    assert bounces.report(service, sent(service), OPERATOR, clock()) == "stopped"

    assert [link.state for link in link_rows(service, request.id)] == ["void"]
    assert entries(service) == [*before, "message.stopped"]
    assert bounces.report(service, sent(service), OPERATOR, clock()) == "nothing"
