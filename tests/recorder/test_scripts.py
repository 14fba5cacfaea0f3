"""The registry of scripts: what comes along, what is added, what is played."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder import scripts
from recorder.actors import SYSTEM
from recorder.errors import ConflictError, InvalidInputError, NotFoundError
from storage import audit
from storage.database import Database
from tests.recorder.scripted import NOW, database

__all__ = ["database"]  # a fixture

ADDED = """\
name = "inbound-da"
language = "da"
purposes = ["quality"]
retention_days = 30

[texts]
inform = "Hej fra {brand}. Må vi optage?"
choose = "Tryk 1 for ja."
granted = "Tak. Vi gemmer i {days} dage."
refused = "Fint."
"""
# A text that came along must never change: old consents name it. A new wording is a new version.
SHA256 = {
    "inbound-da@1": "2241f18cc33f4e6823e15257f02a239a04f70445d1a825021fd0f2dfdd74fe5e",
    "inbound-en@1": "4a5d7963a896945331a559fa588c0d650d25d9c7833f5821b5e81cc3eabb2736",
    "outbound-da@1": "3a474705f157dcf8d96305a64bcb9881f99a9b844cd963fc918cfcb7256a8ee8",
    "outbound-en@1": "9355d95c07a88a7176c940c15e9df7d0b6f9498779d522d14758ac1dd4418a19",
}


def test_scripts_that_come_along_never_change(database: Database) -> None:
    with database.read() as connection:
        found = scripts.list_scripts(connection)

    assert {script.id: script.sha256 for script in found} == SHA256
    assert {script.purposes for script in found} == {("quality", "training", "documentation")}
    assert {script.retention_days for script in found} == {90}
    assert [script.is_prompt for script in found] == [True, True, False, False]


def test_installing_again_changes_nothing(database: Database) -> None:
    with database.read() as connection:
        before = scripts.list_scripts(connection)

    with database.write() as connection:
        scripts.install(connection, NOW + timedelta(days=1))

    with database.read() as connection:
        assert scripts.list_scripts(connection) == before
    assert audit.verify(database).size == len(SHA256)


def test_a_new_version_is_played_from_its_approval_on(database: Database) -> None:
    later = NOW + timedelta(days=1)
    with database.write() as connection:
        added = scripts.add_toml(connection, ADDED, NOW, actor=SYSTEM)
    with database.read() as connection:
        before = scripts.approved(connection, "inbound-da", later)

    with database.write() as connection:
        scripts.approve(connection, "inbound-da@2", "the DPO", later, actor=SYSTEM)

    with database.read() as connection:
        after = scripts.approved(connection, "inbound-da", later)
        day_before = scripts.approved(connection, "inbound-da", NOW)
        old = scripts.find(connection, "inbound-da@1")
    assert (added.id, added.approved_at) == ("inbound-da@2", None)
    assert before == day_before == old
    assert after is not None
    assert (after.id, after.purposes, after.retention_days) == ("inbound-da@2", ("quality",), 30)
    assert (after.approved_at, after.approved_by) == (later, "the DPO")
    assert after.say("granted", brand="Flexii") == "Tak. Vi gemmer i 30 dage."
    assert audit.verify(database).ok


def test_p5_every_version_and_approval_is_on_record_without_a_name(database: Database) -> None:
    with database.write() as connection:
        scripts.add_toml(connection, ADDED, NOW, actor=SYSTEM)
        scripts.approve(connection, "inbound-da@2", "Karen Blixen", NOW, actor=SYSTEM)

    lines = list(audit.export(database))

    assert [("script.approved" in line, "inbound-da@2" in line) for line in lines[-2:]] == [(False, True), (True, True)]
    assert "Blixen" not in "".join(lines)


def test_approving_what_is_not_there_or_done_is_refused(database: Database) -> None:
    with database.write() as connection:
        for missing in ("inbound-da@9", "nothing@1", "inbound-da", "", "inbound-da@1; DROP TABLE scripts"):
            with pytest.raises(NotFoundError):
                scripts.approve(connection, missing, "x", NOW, actor=SYSTEM)
        with pytest.raises(ConflictError):
            scripts.approve(connection, "inbound-da@1", "x", NOW, actor=SYSTEM)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("name =", "name"), "not TOML"),
        (("name =", "name = " + "[" * 5000), "not TOML"),
        (("= 30", "= " + "9" * 5000), "not TOML"),
        (("name =", "title ="), "unknown title"),
        (("inbound-da", "Inbound DA"), "name must be"),
        (('"da"', '"de"'), "language must be one of"),
        (('["quality"]', "[]"), "purposes must be of"),
        (('["quality"]', '["marketing"]'), "purposes must be of"),
        (('["quality"]', "1"), "purposes must be of"),
        (("= 30", "= 91"), "retention_days must be from 1 to 90"),
        (("= 30", "= true"), "retention_days must be from 1 to 90"),
        (("refused =", "denied ="), "texts must be"),
        (("[texts]", "[words]"), "texts must be"),
        (('"Fint."', '""'), "texts.refused must be text"),
        (('"Fint."', "1"), "texts.refused must be text"),
        (('"Fint."', '"' + "x" * 2001 + '"'), "texts.refused must be text"),
        (("{brand}", "{brand.__class__}"), "unknown place {brand.__class__}"),
        (("{days}", "{weeks}"), "unknown place {weeks}"),
    ],
)
def test_every_fault_of_a_new_script_is_named(database: Database, change: tuple[str, str], fault: str) -> None:
    with database.write() as connection, pytest.raises(InvalidInputError) as refusal:
        scripts.add_toml(connection, ADDED.replace(*change, 1), NOW, actor=SYSTEM)

    assert fault in str(refusal.value)


def test_versions_count_up(database: Database) -> None:
    with database.write() as connection:
        versions = [scripts.add_toml(connection, ADDED, NOW, actor=SYSTEM).id for _ in range(3)]

    assert versions == ["inbound-da@2", "inbound-da@3", "inbound-da@4"]
