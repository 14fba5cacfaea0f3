"""Replicas are upgraded in turn: this release works, and starts, on a schema that the next one has added to."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from recorder import capture, erasure, sources
from recorder.actors import Actor
from recorder.ports import Service
from recorder.service import opened as opening
from recorder.settings import Settings
from storage import audit
from storage.database import Database
from storage.errors import ConfigurationError
from storage.migrations import config, migrate
from storage.tables import metadata
from tests.conftest import MovingClock
from tests.recorder.captured import WHOLE, at, only, opened, told
from tests.recorder.exchange import Exchange, environment, exchange

__all__ = ["environment", "exchange"]  # fixtures

DPO = Actor("tok_dpo", "dpo")
OFTEN = 6  # times: from the fifth on the driver uses statements it has prepared

HEAD = ScriptDirectory.from_config(config()).get_current_head()
HEADER = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, oldest = {revision!r}, {before!r}, {oldest!r}
def upgrade():
"""
COLUMN = "    op.add_column({!r}, sa.Column('added', sa.String(), nullable=True))\n"
ADDING = (
    HEADER.format(revision="9001", before=HEAD, oldest="0001")
    + "".join(COLUMN.format(table) for table in metadata.tables)
    + """
    op.create_table("added", sa.Column("id", sa.String(), primary_key=True))
    op.create_index("ix_recordings_added", "recordings", ["added"])
"""
)
TAKING = HEADER.format(revision="9002", before="9001", oldest="9001") + '    op.drop_table("scripts")\n'


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    """Where the next releases keep their steps."""
    folder = tmp_path / "steps"
    folder.mkdir()
    return folder


def released(steps: Path, name: str, step: str) -> Config:
    """The steps of a release that adds one to those so far."""
    (steps / f"{name}.py").write_text(step, "utf-8")
    settings = config()
    ours = Path(settings.get_main_option("script_location") or "") / "versions"
    settings.set_main_option("version_locations", os.pathsep.join([str(ours), str(steps)]))
    return settings


def upgraded(settings: Settings, steps: Config) -> None:
    """What a replica of the next release does when it starts."""
    database = Database(settings.database_url)
    migrate(database, steps)
    database.close()


def whole_life(service: Service, exchange: Exchange) -> None:
    """A call comes in, is kept, heard and erased."""
    told(service, exchange)
    assert capture.capture_due(service, at(13)) == 1
    recording = only(service)
    assert opened(service, recording) == WHOLE
    assert erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=at(14)) is not None
    assert sources.delete_at_sources(service, at(15)) == 1


def test_p6_old_code_works_on_what_new_code_has_added_to(
    settings: Settings, clock: MovingClock, exchange: Exchange, steps: Path
) -> None:
    clock.now -= timedelta(minutes=1)
    with opening(settings, clock=clock) as old:
        for _ in range(OFTEN):
            whole_life(old, exchange)

        upgraded(settings, released(steps, "9001", ADDING))

        whole_life(old, exchange)

    with opening(settings, clock=clock) as started_again:
        whole_life(started_again, exchange)
        assert audit.verify(started_again.database).ok

    upgraded(settings, released(steps, "9002", TAKING))
    with pytest.raises(ConfigurationError, match="newer version"), opening(settings, clock=clock):
        pass
