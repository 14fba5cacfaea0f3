"""P1: what is told only once a recording is stored counts too: a pause mutes what is kept, a withdrawal erases it."""

from __future__ import annotations

from sqlalchemy import func, select

from recorder import capture
from recorder.ports import Service
from storage import columns
from storage.catalogue import forecast, recordings
from storage.tables import metadata
from tests.recorder.captured import SOUND, at, only, opened, told
from tests.recorder.exchange import Exchange
from tests.recorder.sounds import RATE, decoded
from tests.recorder.stored import objects


def test_p1_a_late_pause_mutes_what_is_stored(service: Service, exchange: Exchange) -> None:
    story = told(service, exchange)
    capture.capture_due(service, at(13))
    before = only(service)
    story.tell("recording.paused", 2, recording_id=story.recording)
    story.tell("recording.resumed", 3, recording_id=story.recording)
    assert capture.capture_due(service, at(20)) == 1
    after = only(service)
    kept = decoded(opened(service, after), "flac").reshape(-1, 2)
    assert len(kept) == 6 * RATE
    assert not kept[2 * RATE : 3 * RATE].any()
    assert (kept[: 2 * RATE] == SOUND[: 2 * RATE]).all()
    assert (kept[3 * RATE :] == SOUND[3 * RATE :]).all()
    assert after.dek != before.dek
    assert (after.expires_at, after.next_try_at, after.lease) == (before.expires_at, None, None)
    capture.erase_leftovers(service)
    assert len(objects(service)) == 3
    assert capture.capture_due(service, at(30)) == 0
    with service.database.read() as connection:
        assert forecast.expected(connection, "20261202") == 1
        key = service.keyring.key(after.key_id or "", at(20))
        assert recordings.find_marked(connection, [columns.mark(key, "phone", "+4520123456")]) == [after]


def test_p1_a_late_pause_narrows_what_was_cut_before(service: Service, exchange: Exchange) -> None:
    story = told(service, exchange, consent_s=1.5)
    capture.capture_due(service, at(13))
    story.tell("recording.paused", 4, recording_id=story.recording)
    capture.capture_due(service, at(20))
    kept = decoded(opened(service, only(service)), "flac").reshape(-1, 2)
    wanted = SOUND[12_000:]
    audible = int(2.5 * RATE)
    assert len(kept) == len(wanted)
    assert not kept[audible:].any()
    assert (kept[: audible - 16] == wanted[: audible - 16]).all()


def test_p1_a_late_withdrawal_erases_what_is_stored(service: Service, exchange: Exchange) -> None:
    story = told(service, exchange)
    capture.capture_due(service, at(13))
    story.consent(15, "withdrawn")
    capture.capture_due(service, at(20))
    assert objects(service) == []
    with service.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(metadata.tables["recordings"])).scalar_one() == 0
        assert connection.execute(select(metadata.tables["tombstones"].c.reason)).scalar_one() == "withdrawn"
