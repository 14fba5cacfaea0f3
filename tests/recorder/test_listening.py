"""P4: staff hear with a role and a purpose, and every listening is written down before its first byte."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from recorder import erasure, holds, listening
from recorder.actors import Actor
from recorder.errors import ForbiddenError, InvalidInputError, RecordingNotFoundError
from recorder.listening import Listening
from recorder.ports import Service
from storage.catalogue import attempts, evidence, listenings
from storage.catalogue.evidence import Consent
from storage.catalogue.listenings import Listened
from storage.tables import metadata
from tests.conftest import MovingClock
from tests.recorder.asking import DPO, stored
from tests.recorder.stored import row, store

REVIEWER = Actor("tok_reviewer", "reviewer")


def hear(
    service: Service,
    clock: MovingClock,
    recording_id: str,
    purpose: str,
    actor: Actor = REVIEWER,
    rendition: str = "playback",
) -> Listening:
    return listening.open_for_staff(
        service, recording_id, actor=actor, purpose=purpose, rendition=rendition, now=clock()
    )


def noted(service: Service, recording_id: str) -> list[Listened]:
    with service.database.read() as connection:
        return listenings.of_recording(connection, recording_id)


def audited(service: Service) -> int:
    audit = metadata.tables["audit"]
    with service.database.read() as connection:
        statement = select(func.count()).where(audit.c.type == "recording.listened")
        return connection.execute(statement).scalar_one()


def test_p4_a_listening_is_on_record_before_its_first_byte(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    heard = hear(service, clock, recording_id, "quality")

    assert [(one.actor, one.role, one.purpose) for one in noted(service, recording_id)] == [
        ("tok_reviewer", "reviewer", "quality")
    ]
    assert audited(service) == 1
    assert b"".join(heard.reader.read(0, 4)) == b"RIFF"
    assert heard.content_type == "audio/wav"


def test_one_entry_per_person_recording_and_purpose_in_half_an_hour(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    for actor, purpose, minutes in (
        (REVIEWER, "quality", 0),
        (REVIEWER, "quality", 29),
        (REVIEWER, "training", 0),
        (DPO, "quality", 0),
        (REVIEWER, "quality", 2),
    ):
        clock.advance(minutes=minutes)
        hear(service, clock, recording_id, purpose, actor)

    assert len(noted(service, recording_id)) == 4
    assert audited(service) == 4


def test_ranges_asked_for_at_once_are_one_listening(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    with ThreadPoolExecutor(32) as players:
        list(players.map(lambda _: hear(service, clock, recording_id, "quality"), range(32)))

    assert len(noted(service, recording_id)) == 1


@pytest.mark.parametrize(
    ("role", "purpose", "allowed"),
    [
        ("reviewer", "quality", True),
        ("reviewer", "training", True),
        ("reviewer", "documentation", False),
        ("reviewer", "access", False),
        ("dpo", "documentation", True),
        ("dpo", "access", True),
        ("dpo", "dispute", False),
        ("agent", "quality", False),
        ("operator", "quality", False),
        ("auditor", "quality", False),
        ("platform", "quality", False),
    ],
)
def test_p4_roles_have_purposes(service: Service, clock: MovingClock, role: str, purpose: str, allowed: bool) -> None:
    recording_id = stored(service, clock)
    actor = Actor("tok_x", role)
    if allowed:
        assert hear(service, clock, recording_id, purpose, actor).size > 0
    else:
        with pytest.raises(ForbiddenError):
            hear(service, clock, recording_id, purpose, actor)
        assert noted(service, recording_id) == []


def test_what_is_no_purpose_or_rendition_is_refused(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    with pytest.raises(InvalidInputError):
        hear(service, clock, recording_id, "curiosity")
    with pytest.raises(InvalidInputError):
        hear(service, clock, recording_id, "quality", rendition="peaks")
    with pytest.raises(RecordingNotFoundError):
        hear(service, clock, "rec_unknown", "quality")


def test_each_rendition_is_heard_as_itself(service: Service, clock: MovingClock) -> None:
    recording_id = store(service, clock()).id
    with service.database.read() as connection:
        kept = attempts.kept(connection, recording_id)

    for rendition in listening.RENDITIONS:
        assert hear(service, clock, recording_id, "access", DPO, rendition).etag == kept[rendition].id


def test_p3_a_stream_ends_when_its_recording_does(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    clock.advance(days=89)
    service.keyring.ensure(clock())
    heard = hear(service, clock, recording_id, "quality")
    heard.recheck(clock())

    with pytest.raises(RecordingNotFoundError):
        heard.recheck(clock() + timedelta(days=1))
    erasure.erase(service, recording_id, reason="other", actor=DPO, now=clock())
    with pytest.raises(RecordingNotFoundError):
        heard.recheck(clock())


def test_a_restriction_leaves_that_purpose_only_and_ends_what_is_heard(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    heard = hear(service, clock, recording_id, "quality")
    holds.place(service, recording_id, "restriction", "case-7", DPO, clock())

    for purpose in ("quality", "access"):
        with pytest.raises(ForbiddenError):
            hear(service, clock, recording_id, purpose, DPO)
    assert hear(service, clock, recording_id, "restriction", DPO).size
    with pytest.raises(ForbiddenError):
        heard.recheck(clock())


@pytest.mark.parametrize("kinds", [(), ("access",), ("legal",), ("restriction",), ("access", "dispute")])
@pytest.mark.parametrize("withdrawn", [False, True])
@pytest.mark.parametrize("days", [0, 95])
def test_what_is_offered_to_be_heard_for_is_what_it_may_be_heard_for(
    service: Service, clock: MovingClock, kinds: tuple[str, ...], withdrawn: bool, days: int
) -> None:
    recording_id = stored(service, clock)
    for kind in kinds:
        holds.place(service, recording_id, kind, None, DPO, clock(), review_at=clock() + timedelta(days=90))
    if withdrawn:
        said = Consent("con_no", row(service, recording_id).call_id, "withdrawn", clock(), at=clock(), clock="platform")
        with service.database.write() as connection:
            evidence.add_consent(connection, said)
    clock.advance(days=days)
    service.keyring.ensure(clock())

    opened = []
    for purpose in listening.PURPOSES:
        with suppress(ForbiddenError, RecordingNotFoundError):
            hear(service, clock, recording_id, purpose, DPO)
            opened.append(purpose)
    assert listening.purposes(service, recording_id, actor=DPO, now=clock()) == opened
    reviewer = Actor("tok_r", "reviewer")
    assert listening.purposes(service, recording_id, actor=reviewer, now=clock()) == [
        one for one in opened if one in {"quality", "training"}
    ]


def test_p4_what_was_agreed_to_before_a_withdrawal_opens_nothing_after_it(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    call_id = row(service, recording_id).call_id
    taken_back = clock.advance(minutes=1)
    again = clock.advance(minutes=1)
    with service.database.write() as connection:
        no = Consent("con_no", call_id, "withdrawn", taken_back, at=taken_back, clock="platform")
        yes = Consent("con_yes", call_id, "granted", again, at=again, clock="platform", purposes=["training"])
        for one in (no, yes):
            evidence.add_consent(connection, one)

    assert hear(service, clock, recording_id, "training").size
    with pytest.raises(ForbiddenError):
        hear(service, clock, recording_id, "quality")
