"""P3 with replicas: what one destroys, the others forget in time, and refuse at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from recorder import erasure, listening
from recorder.actors import Actor
from recorder.errors import RecordingNotFoundError
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import Settings
from storage.errors import KeyDestroyedError
from tests.conftest import MovingClock
from tests.recorder.stored import AUDIO, hear, row, store

DPO = Actor("tok_dpo", "dpo")


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


@pytest.fixture
def replicas(settings: Settings, clock: MovingClock) -> Iterator[tuple[Service, Service]]:
    with opened(settings, clock=clock) as one, opened(settings, clock=clock) as other:
        yield one, other


def heard(service: Service, recording_id: str, clock: MovingClock) -> bytes:
    found = listening.open_for_staff(
        service, recording_id, actor=DPO, purpose="access", rendition="original", now=clock.now
    )
    return b"".join(found.reader.read(0, found.size))


def test_p3_an_erased_recording_is_refused_by_who_has_its_keys_in_memory(
    replicas: tuple[Service, Service], clock: MovingClock
) -> None:
    one, other = replicas
    recording = store(one, clock.now)
    assert heard(other, recording.id, clock) == AUDIO

    erasure.erase(one, recording.id, reason="dpo_order", actor=DPO, now=clock.now)

    with pytest.raises(RecordingNotFoundError):
        heard(other, recording.id, clock)


def test_p3_a_destroyed_day_key_leaves_every_replicas_memory_within_ten_minutes(
    replicas: tuple[Service, Service], clock: MovingClock
) -> None:
    """Even for who has kept the row, as a backup has."""
    one, other = replicas
    kept = row(one, store(one, clock.now).id)
    assert kept.key_id is not None
    assert hear(other, kept, clock.now) == AUDIO

    one.keyring.destroy(kept.key_id, clock.now)
    with pytest.raises(KeyDestroyedError):
        hear(one, kept, clock.advance(seconds=31))  # its data key was in memory for half a minute

    clock.advance(minutes=10)
    with pytest.raises(KeyDestroyedError):
        other.keyring.key(kept.key_id, clock.now)
    with pytest.raises(KeyDestroyedError):
        hear(other, kept, clock.now)


def test_replicas_share_their_keys(replicas: tuple[Service, Service], clock: MovingClock) -> None:
    """Ids are claimed by unique rows: what one seals for a day to come, the other opens."""
    one, other = replicas
    for _ in range(3):
        clock.advance(days=30)
        for service in replicas:
            service.keyring.ensure(clock.now)
        assert hear(other, row(other, store(one, clock.now).id), clock.now) == AUDIO
        assert one.keyring.inbox_key(clock.now).id == other.keyring.inbox_key(clock.now).id
