"""Whoever asks gets one answer, a true one: no request ends in silence, and none is overtaken by a deletion."""

from __future__ import annotations

import pytest

from recorder import chores, erasure, subject_requests
from recorder.actors import Actor
from recorder.delivery import bounces
from recorder.errors import ConflictError
from recorder.ports import Service
from recorder.subject_requests import course
from storage.catalogue import holds, recordings
from tests.conftest import MovingClock
from tests.recorder.asking import (
    DPO,
    PHONE,
    approve,
    ask,
    granted,
    link_rows,
    mails,
    matches,
    passes,
    request_row,
    stored,
    visiting,
)
from tests.recorder.post import deliver_due
from tests.recorder.stored import state
from tests.recorder.waiting import open_tasks

OPERATOR = Actor("tok_operator", "operator")
ANSWER, LINK = "Svar på din henvendelse", "Din samtale med Flexii er klar"


def asked_for(service: Service, clock: MovingClock, kind: str) -> str:
    return subject_requests.open_request(service, kind, phone=PHONE, actor=DPO, now=clock()).id


def letters(service: Service) -> list[str]:
    return [mail["Subject"] for mail in mails(service)]


def text(service: Service) -> str:
    body = mails(service)[-1].get_body(("plain",))
    assert body is not None
    return body.get_content()


@pytest.mark.parametrize("kind", ["withdrawal", "erasure"])
def test_nothing_is_deleted_between_the_wish_for_a_copy_and_its_answer(
    service: Service, clock: MovingClock, kind: str
) -> None:
    """A copy comes first. Who asked for both in one mail has two requests, and one may be granted first."""
    recording_id = stored(service, clock)
    access, deletion = ask(service, clock).id, asked_for(service, clock, kind)

    approve(service, clock, deletion)
    deliver_due(service, clock())
    assert (state(service, recording_id), request_row(service, deletion).outcome) == ("stored", "waits_for_hold")
    assert "Mindst én af dem må vi gemme lidt endnu, fordi du også har bedt om den" in text(service)

    approve(service, clock, access)
    deliver_due(service, clock())
    assert visiting(service, clock)
    passes(service, clock, days=32)
    erasure.finish_erasures(service, clock())
    assert state(service, recording_id) == "gone"


def test_who_has_their_answer_is_not_made_to_wait_for_the_deletion(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    granted(service, clock)

    approve(service, clock, asked_for(service, clock, "withdrawal"))

    assert state(service, recording_id) == "gone"


@pytest.mark.parametrize("came_back", [False, True])
def test_a_link_that_never_arrived_is_no_answer(service: Service, clock: MovingClock, came_back: bool) -> None:
    """The request, its hold and its task wait for people; silence would end all three."""
    recording_id = stored(service, clock)
    directory = service.settings.data_dir / "directory.csv"
    known = directory.read_text()
    if not came_back:
        directory.write_text(known.replace("anna@example.com", ""))
    request_id = granted(service, clock)
    if came_back:
        bounces.report(service, mails(service)[-1]["Message-ID"], OPERATOR, clock())

    for _ in range(4):
        passes(service, clock, days=24)
    expected = [("delivery_failed" if came_back else "contact_missing", request_id)]
    assert (request_row(service, request_id).state, state(service, recording_id)) == ("answered", "stored")
    assert open_tasks(service) == expected

    directory.write_text(known)
    subject_requests.reissue(service, request_id, DPO, clock())
    passes(service, clock, minutes=1)
    assert (letters(service)[-1], open_tasks(service)) == (LINK, [])
    passes(service, clock, days=32)
    assert request_row(service, request_id).outcome == "lapsed"


def test_people_may_let_a_request_go_whose_link_cannot_arrive(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request_id = granted(service, clock)
    bounces.report(service, mails(service)[-1]["Message-ID"], OPERATOR, clock())
    chores.close(service, "delivery_failed", request_id, actor=DPO, now=clock())

    passes(service, clock, days=32)
    assert request_row(service, request_id).outcome == "lapsed"


@pytest.mark.parametrize("by", ["order", "withdrawal"])
def test_what_was_deleted_before_its_link_could_be_sent_is_told(service: Service, clock: MovingClock, by: str) -> None:
    recording_id = stored(service, clock)
    access = ask(service, clock).id
    approve(service, clock, access)
    if by == "order":
        erasure.erase(service, recording_id, reason="ordered", actor=DPO, now=clock())
    else:
        approve(service, clock, asked_for(service, clock, "withdrawal"), recording_id)

    passes(service, clock, minutes=1)
    passes(service, clock, hours=1)
    assert letters(service) == [ANSWER] * (1 if by == "order" else 2)
    assert LINK not in letters(service)
    assert (request_row(service, access).outcome, request_row(service, access).sealed) == ("deleted", None)
    assert any("Optagelserne er blevet slettet, siden du skrev" in _plain(mail) for mail in mails(service))


def test_what_was_deleted_after_its_link_arrived_is_told_once(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    request_id = granted(service, clock)
    erasure.erase(service, recording_id, reason="ordered", actor=DPO, now=clock())

    passes(service, clock, hours=1)
    assert (letters(service), request_row(service, request_id).outcome) == ([LINK], "deleted")


def test_of_what_is_gone_no_link_is_promised(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    request_id = ask(service, clock).id
    erasure.erase(service, recording_id, reason="ordered", actor=DPO, now=clock())

    with pytest.raises(ConflictError):
        approve(service, clock, request_id, recording_id)
    assert (request_row(service, request_id).state, link_rows(service, request_id)) == ("received", [])


def test_a_restriction_of_what_is_gone_does_not_say_that_it_is_kept(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    request_id = asked_for(service, clock, "restriction")
    erasure.erase(service, recording_id, reason="ordered", actor=DPO, now=clock())

    approve(service, clock, request_id, recording_id)
    deliver_due(service, clock())
    assert "Optagelserne er slettet." in text(service)


def test_a_withdrawal_reaches_no_yes_of_a_later_day(service: Service, clock: MovingClock) -> None:
    """A letter may lie a week before it is entered; whoever said yes again meanwhile has not taken that back."""
    before = stored(service, clock)
    written = clock()
    clock.advance(days=3)
    stored(service, clock, "pbx-2")

    request = subject_requests.open_request(
        service, "withdrawal", phone=PHONE, received_at=written, actor=DPO, now=clock()
    )
    assert [one.recording_id for one in matches(service, request.id)] == [before]


def test_one_requests_trouble_keeps_no_other_from_being_let_go(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both were refused by a process that died; the recording of one is damaged, and cannot be moved to its old key."""
    damaged, sound = stored(service, clock), stored(service, clock, "pbx-2", **{"from": "+4520123457"})
    clock.advance(days=10)
    service.keyring.ensure(clock())
    with monkeypatch.context() as dying:
        dying.setattr(course, "let_go", lambda *_: None)
        for one in (ask(service, clock), ask(service, clock, phone="+4520123457")):
            subject_requests.refuse(service, one.id, DPO, clock(), "not_theirs")
    with service.database.write() as connection:
        row = recordings.get(connection, damaged)
        assert row is not None
        assert row.dek is not None
        recordings.change(connection, damaged, dek=bytes(len(row.dek)))
    service.vault.prune(clock.advance(minutes=1))

    subject_requests.due(service, clock())
    with service.database.read() as connection:
        assert list(holds.standing(connection, [damaged, sound])) == [damaged]


def _plain(mail: object) -> str:
    body = mail.get_body(("plain",))  # type: ignore[attr-defined]  # a mail
    return str(body.get_content())
