"""P6: what is asked for under a key is done once, whoever repeats it, whatever dies in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from recorder import buttons, once, subject_requests, sweep
from recorder.actors import Actor
from recorder.errors import ConflictError, KeyInUseError, KeyReusedError, RequestNotFoundError
from recorder.once import Once
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from storage.catalogue import evidence, requests
from storage.tables import metadata
from tests.conftest import MovingClock
from tests.recorder.asking import PHONE, granted, link_rows, stored

DPO, OTHER = Actor("tok_dpo", "dpo"), Actor("tok_other", "dpo")
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


def opening(service: Service, clock: MovingClock) -> Callable[[Once], str]:
    def act(leave: Once) -> str:
        return subject_requests.open_request(service, "access", phone=PHONE, actor=DPO, now=clock(), once=leave).id

    return act


def open_requests(service: Service) -> list[str]:
    with service.database.read() as connection:
        return [one.id for one in requests.open_ones(connection)]


def rows(service: Service) -> list[dict[str, object]]:
    with service.database.read() as connection:
        return [dict(row) for row in connection.execute(select(metadata.tables["idempotency"])).mappings()]


def test_p6_the_same_again_is_answered_with_what_was_done(service: Service, clock: MovingClock) -> None:
    first, earlier = once.do(service, DPO, KEY, b"open", opening(service, clock), clock())
    clock.advance(hours=23)
    again, repeated = once.do(service, DPO, KEY, b"open", opening(service, clock), clock())

    assert (again, earlier, repeated) == (first, False, True)
    assert open_requests(service) == [first]


def test_another_request_under_the_same_key_is_refused(service: Service, clock: MovingClock) -> None:
    once.do(service, DPO, KEY, b"open", opening(service, clock), clock())
    with pytest.raises(KeyReusedError):
        once.do(service, DPO, KEY, b"other", opening(service, clock), clock())
    assert len(open_requests(service)) == 1


def test_p4_a_key_is_its_tokens_own(service: Service, clock: MovingClock) -> None:
    mine, _ = once.do(service, DPO, KEY, b"open", opening(service, clock), clock())
    theirs, repeated = once.do(service, OTHER, KEY, b"open", opening(service, clock), clock())

    assert not repeated
    assert mine != theirs


def test_a_key_is_forgotten_after_a_day(service: Service, clock: MovingClock) -> None:
    first, _ = once.do(service, DPO, KEY, b"open", opening(service, clock), clock())
    clock.advance(hours=24)
    second, repeated = once.do(service, DPO, KEY, b"something else", opening(service, clock), clock())
    assert (second == first, repeated) == (False, False)

    clock.advance(hours=24, seconds=1)
    sweep.sweep(service, clock(), unattended=False)
    assert rows(service) == []


def test_what_failed_may_be_asked_for_again(service: Service, clock: MovingClock) -> None:
    def failing(leave: Once) -> str:
        subject_requests.refuse(service, "req_none", DPO, clock(), once=leave)
        return "req_none"

    for _ in range(2):
        with pytest.raises(RequestNotFoundError):
            once.do(service, DPO, KEY, b"open", failing, clock())
    assert rows(service) == []
    assert not once.do(service, DPO, KEY, b"open", opening(service, clock), clock())[1]


def test_p6_of_many_at_once_one_happens(service: Service, clock: MovingClock) -> None:
    def attempt(_: int) -> str | None:
        try:
            return once.do(service, DPO, KEY, b"open", opening(service, clock), clock())[0]
        except KeyInUseError:
            return None

    with ThreadPoolExecutor(8) as pool:
        answers = {answer for answer in pool.map(attempt, range(24)) if answer}
    assert answers == set(open_requests(service))
    assert len(answers) == 1


def test_p6_who_was_thought_dead_and_comes_late_undoes_its_own(service: Service, clock: MovingClock) -> None:
    """The act takes longer than the lease, and somebody else did it meanwhile."""
    done: list[str] = []

    def slow(leave: Once) -> str:
        clock.advance(seconds=61)
        done.append(once.do(service, DPO, KEY, b"open", opening(service, clock), clock())[0])
        return opening(service, clock)(leave)

    with pytest.raises(ConflictError):
        once.do(service, DPO, KEY, b"open", slow, clock())
    assert open_requests(service) == done
    assert once.do(service, DPO, KEY, b"open", opening(service, clock), clock()) == (done[0], True)


def test_a_repeated_button_is_one_press(service: Service, clock: MovingClock) -> None:
    stored(service, clock)

    def press(leave: Once) -> str:
        return buttons.stop(service, "pbx-1", actor=Actor("tok_agent", "agent"), now=clock(), once=leave)

    call_id, _ = once.do(service, DPO, KEY, b"stop", press, clock())
    press(Once(once_mark(service), "lse_another"))  # the first one died before it could answer
    with service.database.read() as connection:
        said = [one.decision for one in evidence.consents_of(connection, [call_id])]
    assert said.count("withdrawn") == 1


def once_mark(service: Service) -> bytes:
    (row,) = rows(service)
    assert isinstance(row["mark"], bytes)
    return row["mark"]


def test_p6_a_link_sent_again_under_one_key_is_sent_once(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request_id = granted(service, clock)

    def again(leave: Once) -> str:
        subject_requests.reissue(service, request_id, DPO, clock(), once=leave)
        return request_id

    for _ in range(3):
        once.do(service, DPO, KEY, b"again", again, clock())
    assert len(link_rows(service, request_id)) == 2


def test_p2_nothing_of_the_request_is_kept_in_clear(service: Service, clock: MovingClock) -> None:
    once.do(service, DPO, KEY, PHONE.encode(), opening(service, clock), clock())
    (row,) = rows(service)
    assert PHONE not in str(row)
    assert KEY not in str(row)
    assert {len(row["mark"]), len(row["fingerprint"])} == {32}  # type: ignore[arg-type]  # both are bytes


DYING = """
import os, signal, sys
from datetime import datetime
from recorder import faultpoints, once, subject_requests
from recorder.actors import Actor
from recorder.service import opened
from recorder.settings import load

faultpoints.hook = lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == "once.acted" else None
now = datetime.fromisoformat(sys.argv[1])
dpo = Actor("tok_dpo", "dpo")
with opened(load(), clock=lambda: now) as service:
    act = lambda leave: subject_requests.open_request(
        service, "access", phone=sys.argv[2], actor=dpo, now=now, once=leave
    ).id
    once.do(service, dpo, sys.argv[3], b"open", act, now)
"""


def test_p6_killed_between_doing_and_answering_it_is_not_done_again(
    environment: dict[str, str], clock: MovingClock
) -> None:
    root = Path(__file__).parents[2]
    died = subprocess.run(
        [sys.executable, "-c", DYING, clock().isoformat(), PHONE, KEY],
        env={**os.environ, **environment, "PYTHONPATH": str(root)},
        check=False,
        timeout=60,
    )
    assert died.returncode == -signal.SIGKILL
    with opened(load(environment), clock=clock) as service:
        (done,) = open_requests(service)
        with pytest.raises(KeyInUseError):  # for all we know it is being done
            once.do(service, DPO, KEY, b"open", opening(service, clock), clock())
        clock.advance(seconds=61)
        assert once.do(service, DPO, KEY, b"open", opening(service, clock), clock()) == (done, True)
        assert open_requests(service) == [done]
