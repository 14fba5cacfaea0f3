"""What is left of people in the database when all is over: counts, random ids and days, whatever way it went."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from recorder import access_links, calls, capture, chores, erasure, holds, sources, subject_requests, sweep
from recorder.actors import Actor
from recorder.calls import settling
from recorder.disclosure import withdrawing
from recorder.ports import Service
from recorder.subject_requests import identity_check
from storage.catalogue import calls as calls_rows
from storage.catalogue import recordings
from storage.clock import midnight, utc_day
from storage.tables import metadata
from tests.conftest import MovingClock
from tests.recorder import asking, captured
from tests.recorder.captured import PATH, WHOLE
from tests.recorder.exchange import Exchange, Story, environment, exchange, reply
from tests.recorder.post import deliver_due
from tests.recorder.stored import store

__all__ = ["environment", "exchange"]  # fixtures

DPO = Actor("tok_dpo", "dpo")
OURS = {"alembic_version", "audit", "audit_head", "compatibility", "forecast", "keys", "leases", "scripts", "tokens"}
STAYS = {  # by table, what may still stand in a row
    "calls": "id platform line direction customer_type call_kind segment brand language queue state opened_at opened",
    "recordings": "id call_id platform segment direction queue state reason by_answer maybe_by_answer call_started_at "
    "holds attempt tries",
    "requests": "id kind state outcome received_at due_at extended reminded_at identity_method identity_by identity_at "
    "identity_asked_at identity_reminded_at answered_at closed_at",
    "matches": "request_id recording_id ticked doubt approved",
    "links": "id request_id state token_hash language created_at expires_at openings failures",
    "tombstones": "recording_id certificate_id segment reason ordered_by due_at key_destroyed_at erased_at verified_at "
    "objects_deleted unreadable_from",
    "tasks": "id kind subject_id opened_at closed_at closed_by",
}
DAYS_ONLY = {"calls": ["opened_at"], "recordings": ["call_started_at"]}

Life = Callable[[Service, MovingClock, Exchange], None]


def told(service: Service, clock: MovingClock, exchange: Exchange, answer: str = "granted") -> Story:
    story = captured.told(service, exchange, start=clock.now, answer=answer, channels=2, content_type="audio/wav")
    clock.advance(seconds=15)
    return story


def refused(service: Service, clock: MovingClock, exchange: Exchange) -> None:
    told(service, clock, exchange, "refused")


def expired(service: Service, clock: MovingClock, _: Exchange) -> None:
    asking.stored(service, clock)


def withdrawn_while_it_was_fetched(service: Service, clock: MovingClock, exchange: Exchange) -> None:
    story = told(service, clock, exchange)

    def withdrawing_now(handler: object) -> None:
        story.consent(14, "withdrawn")
        reply(handler, WHOLE)  # type: ignore[arg-type] -- the server's own handler

    exchange.recordings[PATH] = withdrawing_now
    capture.capture_due(service, clock.now)
    capture.capture_due(service, clock.advance(seconds=5))


def given_up(service: Service, clock: MovingClock, exchange: Exchange) -> None:
    told(service, clock, exchange)
    exchange.recordings[PATH] = b"OggS no audio at all" * 200
    for _ in range(20):
        capture.capture_due(service, clock.advance(minutes=40))


def never_there(service: Service, clock: MovingClock, exchange: Exchange) -> None:
    told(service, clock, exchange)
    del exchange.recordings[PATH]
    capture.capture_due(service, clock.now)


def never_was_there_after_all(service: Service, clock: MovingClock, exchange: Exchange) -> None:
    story = told(service, clock, exchange)
    exchange.recordings[PATH] = b"<html>soon</html>"
    capture.capture_due(service, clock.now)
    story.tell("recording.absent", 20, recording_id=story.recording)


def withdrawn_on_the_page(service: Service, clock: MovingClock, _: Exchange) -> None:
    for name in ("pbx-1", "pbx-2"):
        asking.stored(service, clock, name)
    asking.granted(service, clock)
    visit = asking.visiting(service, clock)
    withdrawing.withdraw_all(service, visit, "delete_now", clock())


def asked_and_heard(service: Service, clock: MovingClock, _: Exchange) -> None:
    asking.stored(service, clock)
    asking.granted(service, clock)
    asking.visiting(service, clock)


def ordered_away_while_it_was_held(service: Service, clock: MovingClock, _: Exchange) -> None:
    recording = asking.stored(service, clock)
    asking.granted(service, clock)
    erasure.erase(service, recording, reason="ordered", actor=DPO, now=clock())


def refused_with_words(service: Service, clock: MovingClock, _: Exchange) -> None:
    asking.stored(service, clock)
    request = asking.ask(service, clock)
    subject_requests.refuse(service, request.id, DPO, clock(), "other", "Because of Bent.")


def disputed(service: Service, clock: MovingClock, _: Exchange) -> None:
    recording = asking.stored(service, clock)
    hold = holds.place(service, recording, "dispute", "case-7", DPO, clock())
    holds.release(service, hold.id, DPO, clock())


def never_said_who_it_is(service: Service, clock: MovingClock, _: Exchange) -> None:
    asking.stored(service, clock)
    identity_check.ask(service, asking.ask(service, clock).id, DPO, clock())


def locked_out(service: Service, clock: MovingClock, _: Exchange) -> None:
    asking.stored(service, clock)
    request_id = asking.granted(service, clock)
    for _ in range(2):
        cookie = access_links.open_link(service, asking.token(service), clock())
        digits = asking.wrong(asking.code(service, clock, cookie))
        for _ in range(5):
            access_links.verify_code(service, cookie, digits, clock.advance(minutes=1))
    chores.close(service, "link_locked", request_id, actor=DPO, now=clock())


def one_of_two_ordered_away(service: Service, clock: MovingClock, _: Exchange) -> None:
    recording = asking.stored(service, clock)
    with service.database.read() as connection:
        call = recordings.get(connection, recording).call_id  # type: ignore[union-attr] -- it was stored just now
        of_call = calls_rows.get(connection, call)
    store(service, clock(), call=of_call)
    erasure.erase(service, recording, reason="ordered", actor=DPO, now=clock())


def went_on_in_another(service: Service, clock: MovingClock, exchange: Exchange) -> None:
    first, second = told(service, clock, exchange), Story(service, clock.now)
    second.begin()
    second.tell("party.joined", 1, party={"role": "outside", "number": "+4531987654"}, parent_call_id=first.call_id)
    second.consent(2, "refused")
    second.end(3)
    capture.capture_due(service, clock.advance(seconds=20))


LIVES: list[Life] = [
    refused,
    expired,
    withdrawn_while_it_was_fetched,
    given_up,
    never_there,
    never_was_there_after_all,
    withdrawn_on_the_page,
    asked_and_heard,
    ordered_away_while_it_was_held,
    refused_with_words,
    disputed,
    never_said_who_it_is,
    locked_out,
    one_of_two_ordered_away,
    went_on_in_another,
]


def works(service: Service, clock: MovingClock, days: int) -> None:
    """Time passes, and then everything that runs by itself does."""
    now = clock.advance(days=days)
    service.keyring.ensure(now)
    calls.apply_pending(service, now)
    settling.settle(service, now)
    capture.capture_due(service, now)
    sources.delete_at_sources(service, now)
    subject_requests.due(service, now)
    deliver_due(service, now)
    subject_requests.due(service, now)
    sweep.sweep(service, now, unattended=False)


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.__name__)
def test_p3_when_all_is_over_ids_and_days_are_left(
    service: Service, clock: MovingClock, exchange: Exchange, life: Life
) -> None:
    life(service, clock, exchange)
    deliver_due(service, clock())
    for days in (1, 1, 9, 30, 60, 101, 1):
        works(service, clock, days)

    left = []
    with service.database.read() as connection:
        for name, table in metadata.tables.items():
            if name in OURS:
                continue
            for row in connection.execute(select(table)).mappings():
                said = {column for column, value in row.items() if value is not None}
                left += [f"{name}.{column}" for column in said - set(STAYS.get(name, "").split())]
                moments = [row[column] for column in DAYS_ONLY.get(name, [])]
                assert all(moment == midnight(utc_day(moment)) for moment in moments if moment is not None)
    assert sorted(set(left)) == []
