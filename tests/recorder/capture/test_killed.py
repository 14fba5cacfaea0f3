"""P6: a capture killed by SIGKILL at any step goes on from there, and nothing is doubled, lost or left lying."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from recorder import capture
from recorder.ports import Service
from recorder.service import opened as opening
from recorder.settings import load
from storage import audit
from storage.catalogue import forecast
from storage.tables import metadata
from tests.recorder import capture_until
from tests.recorder.captured import WHOLE, acts, at, only, opened, told
from tests.recorder.exchange import Exchange
from tests.recorder.stored import objects

STEPS = [
    "capture.claimed",
    "capture.opened",
    "capture.receiving",
    "capture.produced",
    "capture.uploaded",
    "capture.stored",
    "source.deleted",
]
AFTER_THE_LEASE = at(13) + timedelta(seconds=61)


def captured_until(environment: dict[str, str], now: datetime, step: str) -> int:
    """The exit code of a process that captured what is due, or was killed at the step."""
    root = Path(capture_until.__file__).parents[2]
    return subprocess.run(
        [sys.executable, capture_until.__file__, now.isoformat(), step],
        env={**os.environ, **environment, "PYTHONPATH": str(root)},
        cwd=root,
        check=False,
        timeout=60,
    ).returncode


def left_lying(service: Service) -> list[Path]:
    """Every file of the store that is neither an object on record nor the store's own."""
    root = service.vault.objects.path  # type: ignore[attr-defined] -- the folder store's
    with service.database.read() as connection:
        table = metadata.tables["attempts"]
        kept = set(connection.execute(select(table.c.object_key).where(table.c.state == "kept")).scalars())
    files = [path for path in root.rglob("*") if path.is_file() and path.suffix not in {".tags", ".recorder-store"}]
    return [path for path in files if str(path.relative_to(root)) not in kept and path.name != ".recorder-store"]


@pytest.mark.parametrize("step", STEPS)
def test_p6_a_capture_killed_at_any_step_resumes_and_never_doubles(
    environment: dict[str, str], clock: object, exchange: Exchange, step: str
) -> None:
    with opening(load(environment), clock=clock) as service:  # type: ignore[arg-type] -- the shared clock
        told(service, exchange)
    assert captured_until(environment, at(13), step) == -signal.SIGKILL
    assert captured_until(environment, AFTER_THE_LEASE, "never") == 0
    with opening(load(environment), clock=clock) as service:  # type: ignore[arg-type] -- the shared clock
        kept = only(service)
        assert kept.state == "stored"
        assert opened(service, kept) == WHOLE
        assert len(objects(service)) == 2
        assert left_lying(service) == []
        assert acts(service).count("recording.stored") == 1
        assert acts(service).count("source.deleted") == 1
        assert audit.verify(service.database).ok
        with service.database.read() as connection:
            assert forecast.expected(connection, kept.expiry_day or "") == 1
        assert capture.capture_due(service, AFTER_THE_LEASE) == 0
    assert set(exchange.deletes) == {"/r/1.wav"}
    assert WHOLE[44:2044] not in b"".join(
        path.read_bytes() for path in Path(environment["RECORDER_DATA_DIR"]).rglob("*") if path.is_file()
    )


@pytest.mark.parametrize("step", ["capture.opened", "capture.produced", "capture.uploaded"])
def test_p6_a_narrowing_killed_at_any_step_is_done_the_next_time(
    environment: dict[str, str], clock: object, exchange: Exchange, step: str
) -> None:
    with opening(load(environment), clock=clock) as service:  # type: ignore[arg-type] -- the shared clock
        story = told(service, exchange)
        assert capture.capture_due(service, at(13)) == 1
        story.tell("recording.paused", 2, recording_id=story.recording)
    assert captured_until(environment, at(20), step) == -signal.SIGKILL
    with opening(load(environment), clock=clock) as service:  # type: ignore[arg-type] -- the shared clock
        assert opened(service, only(service)) == WHOLE
    assert captured_until(environment, at(90), "never") == 0
    with opening(load(environment), clock=clock) as service:  # type: ignore[arg-type] -- the shared clock
        assert only(service).content_type == "audio/flac"
        assert len(objects(service)) == 3
        assert left_lying(service) == []
        assert acts(service).count("recording.narrowed") == 1
