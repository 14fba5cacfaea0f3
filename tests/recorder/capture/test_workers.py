"""P6: workers in trouble, and several at once: a full store, a row that cannot be opened, a lease that runs out or is
renewed. Nothing is lost and nothing is kept twice.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder import capture, faultpoints
from recorder.capture import uploading
from recorder.ports import Service
from storage.catalogue import forecast, recordings
from storage.errors import StoreFullError
from tests.recorder.captured import PATH, WHOLE, acts, at, only, opened, told
from tests.recorder.exchange import Exchange, reply
from tests.recorder.stored import objects, row


def test_p6_a_full_store_loses_nothing(service: Service, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    told(service, exchange)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("storage.objects_folder.uploading.os.write", full)
        with pytest.raises(StoreFullError):
            capture.capture_one(service, only(service), at(13))
    assert (only(service).state, only(service).tries) == ("announced", 0)
    assert objects(service) == []
    capture.capture_due(service, at(60))
    assert opened(service, only(service)) == WHOLE


def test_p6_a_recording_that_cannot_be_opened_holds_up_no_other_and_is_tried_less_and_less(
    service: Service, exchange: Exchange
) -> None:
    told(service, exchange)
    broken = only(service)
    with service.database.write() as connection:
        recordings.change(connection, broken.id, sealed=b"not what was sealed")
    told(service, exchange)
    assert capture.capture_due(service, at(13)) == 1
    for now, wait in ((at(13), capture.WHILE_AWAY), (at(10_000), capture.LONGEST_WAIT)):
        assert capture.capture_due(service, now) == 0
        waiting = row(service, broken.id)
        assert (waiting.state, waiting.lease) == ("announced", None)
        assert waiting.next_try_at is not None
        assert timedelta() <= waiting.next_try_at - now - wait < timedelta(seconds=5)


def test_p6_of_two_workers_one_keeps_and_the_other_deletes_its_own(service: Service, exchange: Exchange) -> None:
    """While one worker fetches, its lease runs out and another does the whole work."""
    told(service, exchange)

    def overtaken(handler: object) -> None:
        exchange.recordings[PATH] = WHOLE
        assert capture.capture_one(service, only(service), at(120))
        reply(handler, WHOLE)  # type: ignore[arg-type] -- the server's own handler

    exchange.recordings[PATH] = overtaken
    assert not capture.capture_one(service, only(service), at(13))
    assert (only(service).state, only(service).attempt) == ("stored", 2)
    assert opened(service, only(service)) == WHOLE
    assert len(objects(service)) == 2
    assert acts(service).count("recording.stored") == 1
    with service.database.read() as connection:
        assert forecast.expected(connection, "20261202") == 1


def test_p6_a_lease_is_renewed_also_while_there_is_nothing_left_to_receive(
    service: Service, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of silence come in a few blocks, and are worked on for longer than a lease lasts."""
    told(service, exchange)
    leases = {}

    def hook(step: str) -> None:
        if step in {"capture.receiving", "capture.produced"}:
            leases[step] = only(service).lease_until

    monkeypatch.setattr(uploading, "RENEW_AFTER_S", 0)
    monkeypatch.setattr(faultpoints, "hook", hook)
    capture.capture_due(service, at(13))

    assert leases["capture.receiving"] < leases["capture.produced"]


def test_a_worker_with_a_lease_is_left_alone(service: Service, exchange: Exchange) -> None:
    told(service, exchange)

    def meanwhile(handler: object) -> None:
        assert capture.capture_due(service, at(40)) == 0
        reply(handler, WHOLE)  # type: ignore[arg-type] -- the server's own handler

    exchange.recordings[PATH] = meanwhile
    assert capture.capture_due(service, at(13)) == 1
    assert only(service).attempt == 1
