"""What was still to be captured when somebody asked is found later, and is held or deleted like the rest."""

from __future__ import annotations

from typing import Any, cast

import pytest

from recorder import subject_requests
from recorder.capture import pushing
from recorder.errors import ConsentMissingError
from recorder.ports import Service
from recorder.subject_requests import matching
from tests.api.conftest import House, speech
from tests.conftest import MovingClock
from tests.recorder.asking import DPO, PHONE, approve, ask, link_rows, matches, request_row, stored
from tests.recorder.stored import held


def test_what_was_still_to_be_captured_when_they_asked_is_found_later_and_held(
    service: Service, clock: MovingClock
) -> None:
    house = House(service, clock, cast("Any", None))
    house.call("pbx-1")
    request = ask(service, clock)
    assert matches(service, request.id) == []

    clock.advance(minutes=30)
    pushing.push(service, "pbx-1", "r-pbx-1", "audio/wav", iter([speech()]), None, clock())
    clock.advance(days=1)
    stored(service, clock, "pbx-2")  # a call of later, with a yes of its own
    for _ in range(2):
        subject_requests.due(service, clock())

    (found,) = matches(service, request.id)
    assert {one.recording_id for one in matches(service, ask(service, clock, call="pbx-1").id)} == {found.recording_id}
    assert "access" in held(service, found.recording_id)
    approve(service, clock, request.id, found.recording_id)
    assert len(link_rows(service, request.id)) == 1


@pytest.mark.parametrize("about", [{"phone": PHONE}, {"account": "A-1001"}, {"call": "pbx-1"}])
def test_p1_an_approved_withdrawal_reaches_what_is_still_to_be_captured(
    service: Service, clock: MovingClock, about: dict[str, str]
) -> None:
    """Whoever writes right after the call, or while its platform is away, is not told that nothing was found."""
    house = House(service, clock, cast("Any", None))
    house.call("pbx-1", account="A-1001")
    house.call("pbx-2", **{"from": "+4520123457", "account": "A-1002"})

    request = subject_requests.open_request(service, "withdrawal", **about, actor=DPO, now=clock())  # type: ignore[arg-type]
    approve(service, clock, request.id, *(one.recording_id for one in matches(service, request.id)))

    assert request_row(service, request.id).outcome == "deleted"
    with pytest.raises(ConsentMissingError):
        pushing.push(service, "pbx-1", "r-pbx-1", "audio/wav", iter([speech()]), None, clock())
    assert pushing.push(service, "pbx-2", "r-pbx-2", "audio/wav", iter([speech()]), None, clock()) == "created"


def test_p1_what_is_still_to_be_captured_is_looked_through_page_by_page(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "PAGE", 2)
    house = House(service, clock, cast("Any", None))
    for number in range(5):
        house.call(f"pbx-{number}", account="A-1001")
    house.call("pbx-5", **{"from": "+4520123457", "account": "A-1002"})

    request = subject_requests.open_request(service, "withdrawal", phone=PHONE, actor=DPO, now=clock())

    assert len(matches(service, request.id)) == 5
