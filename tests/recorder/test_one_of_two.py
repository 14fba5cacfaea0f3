"""One of a call's two recordings goes: what was said in the call counts for the other, and goes with that."""

from __future__ import annotations

import pytest

from recorder import capture, erasure
from recorder.actors import Actor
from recorder.capture import pushing
from recorder.ports import Service
from recorder.sources import recording_ref
from storage.catalogue import evidence, recordings
from storage.catalogue.evidence import Consent
from storage.catalogue.recordings import Recording
from tests.recorder.captured import START, WHOLE, at
from tests.recorder.exchange import Story

DPO = Actor("tok_dpo", "dpo")
LATE = 25 * 3600  # seconds; what is not proven to be covered by then goes
ONE, OTHER = "pbx-81-a", "pbx-81-b"


def row(service: Service, name: str) -> Recording:
    with service.database.read() as connection:
        found = recordings.by_ref(connection, recording_ref(service, "standard", name))
    assert found is not None
    return found


def said(service: Service, call_id: str) -> list[Consent]:
    with service.database.read() as connection:
        return evidence.consents_of(connection, [call_id])


def push(service: Service, name: str, seconds: float) -> None:
    pushing.push(service, "pbx-81", name, "audio/wav", iter([WHOLE]), None, at(seconds))


def erase(service: Service, name: str, seconds: float) -> None:
    erasure.erase(service, row(service, name).id, reason="ordered", actor=DPO, now=at(seconds))


@pytest.mark.parametrize("state", ["stored", "announced"])
@pytest.mark.parametrize(
    ("call", "place"),
    [("pbx-81", {}), ("pbx-81", {"recording_id": ONE, "offset_ms": 3000}),
     ("pbx-82", {"recording_id": ONE, "offset_ms": 3000})],
    ids=["at a time", "in the first", "in the first, told of a linked call"],
)  # fmt: skip
def test_p6_a_yes_covers_the_second_recording_when_the_first_has_gone(
    service: Service, call: str, place: dict[str, object], state: str
) -> None:
    story, linked = Story(service, START, "pbx-81"), Story(service, START, "pbx-82")
    story.begin()
    linked.begin(parent_call_id="pbx-81")
    for seconds, name in ((0, ONE), (1, OTHER)):
        story.tell("recording.started", seconds, recording_id=name)
    (story if call == story.call_id else linked).consent(3, method="verbal", **place)
    story.end(10)
    linked.end(10)
    if state == "stored":
        push(service, ONE, 12)
        push(service, OTHER, 12)
    erase(service, ONE, 13)
    if state == "announced":
        push(service, OTHER, 14)

    service.keyring.ensure(at(LATE))
    story.tell("call.updated", LATE, agent="a-18")  # has what is stored looked at again
    capture.capture_due(service, at(LATE))

    kept = row(service, OTHER)
    assert (kept.state, kept.spans and kept.spans["keep"][0][0]) == ("stored", 2000)
    assert {(one.at, one.recording_id, one.offset_ms) for one in said(service, kept.call_id)} <= {(at(3), None, None)}

    erase(service, OTHER, LATE)
    assert said(service, kept.call_id) == []
