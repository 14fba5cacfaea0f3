"""Letters about a request: what the law asks for, sent once, to the address on file, and then forgotten."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import product
from typing import cast

import pytest

from recorder import holds, notices, subject_requests
from recorder.errors import ConflictError, InvalidInputError
from recorder.ports import Service
from recorder.settings import Organisation
from recorder.subject_requests import EXTENSIONS, KINDS, REFUSALS
from tests.conftest import MovingClock
from tests.recorder.asking import DPO, PHONE, ask, mails, matches, request_row, stored, subjects
from tests.recorder.post import deliver_due
from tests.recorder.waiting import kinds_of_tasks

NOW = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
REASONS = {
    "extended": EXTENSIONS,
    "refused": REFUSALS,
    "granted": ("deleted", "waits_for_hold", "answered"),
}
LETTERS = ("receipt", "extended", "granted", "refused", "identity", "identity_reminder", "identity_closed")


def written(kind: str, about: str, reason: str, language: str, **changes: str) -> tuple[EmailMessage, str, str]:
    letter = notices.Letter(
        kind=kind,
        about=about,
        language=language,
        organisation=Organisation().model_copy(update=changes),
        sender="databeskyttelse@flexii.dk",
        to="anna@example.com",
        message_id="msg_" + "a" * 26,
        received_at=NOW,
        due_at=NOW + timedelta(days=30),
        asked_at=NOW + timedelta(days=1),
        closes_at=datetime(2026, 10, 4, 22, tzinfo=UTC),
        reason=reason,
    )
    mail = cast("EmailMessage", message_from_bytes(notices.letter_mail(letter, NOW), policy=policy.default))
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    return mail, *(part.get_content().replace("\r\n", "\n") for part in (plain, html))


@pytest.mark.parametrize(("kind", "language"), [*product(LETTERS, ("da", "en"))])
def test_every_letter_is_whole_and_carries_nothing_that_loads_or_counts(kind: str, language: str) -> None:
    for about, reason in product(KINDS, REASONS.get(kind, ("",))):
        mail, plain, html = written(kind, about, reason, language)

        assert mail["Subject"]
        assert (mail["Auto-Submitted"], mail["Content-Language"]) == ("auto-generated", language)
        assert mail["Message-ID"] == "<msg_aaaaaaaaaaaaaaaaaaaaaaaaaa@flexii.dk>"
        assert "List-Unsubscribe" not in mail
        assert not re.findall(r"\w+://", plain + html)
        assert not re.search(r"<(a|img|script|link|iframe|object|form|video|audio|style)\b", html)
        assert not re.search(r"[{}]|None|\n\n\n| \n|  ", plain)
        assert plain.startswith("Hej\n" if language == "da" else "Hello\n")
        for paragraph in plain.strip().split("\n\n")[:-1]:
            assert paragraph.replace("'", "&#39;") in html


@pytest.mark.parametrize("language", ["da", "en"])
def test_a_refusal_and_an_extension_say_where_to_complain(language: str) -> None:
    for kind, reason in (
        ("refused", "unfounded"),
        ("granted", "deleted"),
        ("extended", "many"),
        ("identity_closed", ""),
    ):
        plain = written(kind, "access", reason, language)[1]
        assert "Datatilsynet, Carl Jacobsens Vej 35, 2500 Valby" in plain
        assert ("domstolene" if language == "da" else "go to court") in plain
        assert "databeskyttelse@flexii.dk" in plain


def test_the_receipt_says_when_and_that_nothing_is_deleted_meanwhile() -> None:
    danish = written("receipt", "access", "", "da")[1]
    assert "Det modtog vi den 3. september 2026, og du får svar senest den 3. oktober 2026." in danish
    assert "sletter vi ikke, før du har fået svar, medmindre du beder os om det." in danish
    assert "sletter" not in written("receipt", "withdrawal", "", "da")[1]


def test_the_last_day_to_answer_is_one_that_is_wholly_left() -> None:
    assert "senest den 4. oktober 2026, lukker vi sagen" in written("identity", "access", "", "da")[1]


def test_lines_about_what_is_not_configured_are_left_out() -> None:
    plain = written("identity", "access", "", "da", phone="", self_service_url="")[1]
    assert "Skriv til databeskyttelse@flexii.dk og bed os ringe til det nummer, vi har på dig." in plain
    assert not re.search(r"ring til os|Log på", plain)


def test_a_request_that_waits_an_hour_is_acknowledged_once(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    ask(service, clock)
    assert subjects(service, clock) == []

    clock.advance(minutes=61)
    assert subjects(service, clock) == ["Vi har modtaget din henvendelse"]
    clock.advance(days=1)
    assert len(subjects(service, clock)) == 1
    assert mails(service)[0]["To"] == "anna@example.com"


def test_a_request_answered_within_the_hour_gets_its_answer_only(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request = ask(service, clock)
    chosen = [one.recording_id for one in matches(service, request.id)]
    subject_requests.approve(service, request.id, chosen, "callback", DPO, clock())
    clock.advance(hours=2)
    assert subjects(service, clock) == ["Din samtale med Flexii er klar"]


def test_an_extension_is_told_with_its_reason(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request = ask(service, clock)
    with pytest.raises(InvalidInputError):
        subject_requests.extend(service, request.id, DPO, clock(), "holidays")
    subject_requests.extend(service, request.id, DPO, clock(), "many")

    assert subjects(service, clock) == ["Vi har brug for mere tid til at svare dig"]
    body = mails(service)[0].get_body(("plain",))
    assert body is not None
    assert "flere henvendelser" in body.get_content()
    assert "senest den 3. december 2026" in body.get_content()


@pytest.mark.parametrize(
    ("kind", "held", "said"),
    [
        ("withdrawal", None, "Optagelserne er slettet."),
        ("erasure", "legal", "Mindst én af dem må vi gemme lidt endnu"),
        ("restriction", None, "Vi gemmer optagelserne, men bruger dem ikke"),
        ("rectification", None, "Vores databeskyttelsesrådgiver har taget sig af det."),
    ],
)
def test_what_was_granted_is_told_and_only_then_is_the_person_forgotten(
    service: Service, clock: MovingClock, kind: str, held: str | None, said: str
) -> None:
    """The receipt promises an answer, and GDPR art. 12(3) one on what was done."""
    recording = stored(service, clock)
    if held:
        holds.place(service, recording, held, "case 7", DPO, clock())
    request = subject_requests.open_request(service, kind, phone=PHONE, actor=DPO, now=clock())
    subject_requests.approve(service, request.id, [recording], "callback", DPO, clock())
    assert request_row(service, request.id).sealed is not None

    deliver_due(service, clock())
    subject_requests.due(service, clock())
    (mail,) = mails(service)
    body = mail.get_body(("plain",))
    assert body is not None
    assert (mail["Subject"], mail["To"]) == ("Svar på din henvendelse", "anna@example.com")
    assert said in body.get_content()
    assert request_row(service, request.id).sealed is None


def test_a_refusal_is_told_and_only_then_is_the_person_forgotten(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request = ask(service, clock)
    subject_requests.refuse(service, request.id, DPO, clock(), "not_theirs")
    assert request_row(service, request.id).sealed is not None
    subject_requests.due(service, clock())
    assert request_row(service, request.id).sealed is not None, "the letter is not out yet"

    assert subjects(service, clock) == ["Svar på din henvendelse"]
    subject_requests.due(service, clock())
    row = request_row(service, request.id)
    assert (row.sealed, row.request_key, row.key_id) == (None, None, None)


def test_the_dpos_own_words_are_said_and_lie_nowhere_in_clear(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request = ask(service, clock)
    words = "Du talte på vegne af en anden, <Bo Holm>."
    subject_requests.refuse(service, request.id, DPO, clock(), "other", words)
    deliver_due(service, clock())

    body, html = (mails(service)[0].get_body((kind,)) for kind in ("plain", "html"))
    assert body is not None
    assert html is not None
    assert words in body.get_content()
    assert "&lt;Bo Holm&gt;" in html.get_content()
    assert kinds_of_tasks(service) == []
    for file in service.settings.data_dir.glob("recorder.sqlite*"):
        assert b"Bo Holm" not in file.read_bytes()


def test_a_refusal_without_a_reason_leaves_a_task(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    subject_requests.refuse(service, ask(service, clock).id, DPO, clock())
    assert kinds_of_tasks(service) == ["reason_owed"]
    with pytest.raises(InvalidInputError):
        subject_requests.refuse(service, ask(service, clock).id, DPO, clock(), "other", "x" * 3000)


def test_who_cannot_be_written_to_is_told_by_people(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    (service.settings.data_dir / "directory.csv").write_text("phone,account,email,mobile,customer_type,language\n")
    request = ask(service, clock)
    clock.advance(hours=2)
    deliver_due(service, clock())
    assert kinds_of_tasks(service) == [], "a receipt is a courtesy"
    subject_requests.refuse(service, request.id, DPO, clock(), "nothing_found")
    deliver_due(service, clock())

    assert (mails(service), kinds_of_tasks(service)) == ([], ["contact_missing"])
    with pytest.raises(ConflictError):
        subject_requests.refuse(service, request.id, DPO, clock(), "nothing_found")
