"""P6: a process that dies between a decision and what follows from it leaves nothing half done, nothing unheld and
nothing held for ever.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recorder import subject_requests, sweep
from recorder.actors import SYSTEM
from recorder.ports import Service
from recorder.subject_requests import course
from recorder.subject_requests.listing import open_requests
from tests.conftest import MovingClock
from tests.recorder.asking import DPO, approve, ask, granted, request_row, stored
from tests.recorder.stored import held, state


class CrashError(BaseException):
    """The process dies here."""


def crash(*_: object, **__: object) -> None:
    raise CrashError


@pytest.mark.parametrize("crash_after", ["opened", "approved", "refused"])
def test_p6_what_a_crash_leaves_half_done_is_finished(
    service: Service, clock: MovingClock, crash_after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after the transaction that decided, before what follows from it."""
    first, second = stored(service, clock), stored(service, clock, "pbx-2")
    steps: dict[str, tuple[str, Callable[[], object]]] = {
        "opened": ("settle_matches", lambda: ask(service, clock)),
        "approved": ("carry_out", lambda: approve(service, clock, request_id, first)),
        "refused": ("let_go", lambda: subject_requests.refuse(service, request_id, DPO, clock())),
    }
    request_id = "" if crash_after == "opened" else ask(service, clock).id
    name, step = steps[crash_after]
    with monkeypatch.context() as broken:
        broken.setattr(course, name, crash)
        with pytest.raises(CrashError):
            step()

    subject_requests.due(service, clock())
    expected = {
        "opened": (["access"], ["access"]),
        "approved": (["access"], []),
        "refused": ([], []),
    }
    assert (held(service, first), held(service, second)) == expected[crash_after]


def test_p4_what_is_approved_is_held_though_the_process_died_before_it_was(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = stored(service, clock), stored(service, clock, "pbx-2")
    with monkeypatch.context() as broken, pytest.raises(CrashError):
        broken.setattr(course, "settle_matches", crash)
        ask(service, clock)
    (opened,) = open_requests(service).items

    approve(service, clock, opened.id, first)

    assert (held(service, first), held(service, second)) == (["access"], [])


def test_p3_what_an_ended_request_held_is_let_go_though_the_process_died_and_the_key_went(
    service: Service, clock: MovingClock
) -> None:
    recording = stored(service, clock)
    request_id = granted(service, clock)
    with service.database.write() as connection:  # and here it dies
        course.end(connection, request_id, "closed", "answered", SYSTEM, clock())
    clock.advance(days=122)
    service.keyring.ensure(clock())
    sweep.sweep(service, clock(), unattended=False)
    assert request_row(service, request_id).sealed is None
    assert held(service, recording) == ["access"]

    subject_requests.due(service, clock())
    sweep.sweep(service, clock(), unattended=False)

    assert (held(service, recording), state(service, recording)) == ([], "gone")
