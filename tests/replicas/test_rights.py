"""The rights that docs/operating.md gives on PostgreSQL are enough, and not more than that."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from recorder import capture, checkup, erasure, sweep
from recorder.actors import Actor
from recorder.service import opened
from recorder.settings import load
from storage import audit
from storage.database import Database
from storage.errors import DatabaseUnavailableError
from storage.migrations import migrate
from tests.conftest import MovingClock
from tests.recorder.captured import at, only, told
from tests.recorder.exchange import Exchange, exchange
from tests.servers.postgresql import Server

__all__ = ["exchange"]  # fixtures

GUIDE = Path(__file__).parents[2] / "docs" / "operating.md"
DPO = Actor("tok_dpo", "dpo")


@dataclass
class Roles:
    """The guide's two roles, under names of their own: roles belong to the server, not to a database."""

    url: str
    owner: str
    user: str

    def as_role(self, name: str) -> str:
        return make_url(self.url).set(username=name).render_as_string(hide_password=False)

    def grant(self, number: int) -> None:
        blocks = re.findall(r"```sql\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
        statements = re.sub(r"\brecorder\b", self.user, re.sub(r"\brecorder_owner\b", self.owner, blocks[number]))
        self.run(re.sub(r"--.*", "", statements))

    def run(self, statements: str) -> None:
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in filter(str.strip, statements.split(";")):
                connection.execute(text(statement))
        engine.dispose()


@pytest.fixture
def roles(postgresql_server: Server) -> Iterator[Roles]:
    ours = secrets.token_hex(4)
    made = Roles(postgresql_server.create(), f"owner_{ours}", f"user_{ours}")
    made.grant(0)
    yield made
    made.run(f"DROP OWNED BY {made.user}, {made.owner} CASCADE; DROP ROLE {made.user}, {made.owner}")
    postgresql_server.drop(made.url)


def test_the_rights_of_the_guide_are_enough_and_no_more(
    roles: Roles, environment: dict[str, str], clock: MovingClock, exchange: Exchange, tmp_path: Path
) -> None:
    told_so = environment | exchange.environment() | {"RECORDER_DATA_DIR": str(tmp_path / "fresh")}
    told_so["RECORDER_DATABASE__URL"] = roles.as_role(roles.user)
    fresh = tmp_path / "fresh"
    fresh.mkdir(mode=0o700)
    for name in ("lines.toml", "directory.csv"):
        (fresh / name).write_bytes((Path(environment["RECORDER_DATA_DIR"]) / name).read_bytes())
    refused = checkup.consult(load(told_so), clock)  # it may not make tables
    assert next(refused).advice == "let `recorder migrate` run as the tables' owner; docs/operating.md has the rights"
    owner = Database(roles.as_role(roles.owner))
    migrate(owner)
    owner.close()
    roles.grant(1)

    with opened(load(told_so), clock=clock) as service:
        told(service, exchange)
        assert capture.capture_due(service, at(13)) == 1
        assert erasure.erase(service, only(service).id, reason="dpo_order", actor=DPO, now=at(14)) is not None
        clock.now = at(20)
        sweep.sweep(service, clock.now, unattended=False)
        assert audit.verify(service.database).ok
        with pytest.raises(DatabaseUnavailableError), service.database.write() as connection:
            connection.execute(text("DELETE FROM audit"))
        with pytest.raises(DatabaseUnavailableError), service.database.write() as connection:
            connection.execute(text("DROP TABLE recordings"))


def test_what_is_restored_as_the_guide_says_is_its_owners_to_migrate(
    roles: Roles, postgresql_server: Server, tmp_path: Path
) -> None:
    owner = Database(roles.as_role(roles.owner))
    migrate(owner)
    owner.close()
    postgresql_server.dump(roles.url, tmp_path / "dump")
    restored = postgresql_server.restore(tmp_path / "dump")
    again = replace(roles, url=restored)
    try:
        engine = create_engine(again.as_role(roles.owner))
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE recordings ADD COLUMN something INTEGER"))
        engine.dispose()
    finally:
        postgresql_server.drop(restored)
