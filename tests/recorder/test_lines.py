"""The line table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.errors import ConfigurationError
from recorder.lines import Lines
from storage.database import Database
from tests.recorder.scripted import NOW, database
from tests.rewriting import rewriting

__all__ = ["database"]  # a fixture

LINE = """\
[[line]]
number = "+4570123456"
brand = "flexii"
customer_type = "private"
script = "inbound-da"
then.dial = "+4570000000"
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    return rewriting(tmp_path / "lines.toml")


def test_a_line_is_found_by_its_number(write: Callable[[str], Path]) -> None:
    lines = Lines(write(LINE))

    line = lines.find("+4570123456")

    assert line is not None
    assert (line.brand, line.customer_type, line.call_kind, line.language) == ("flexii", "private", "service", "da")
    assert (line.script, line.consent, line.dial, line.redirect) == ("inbound-da", "ask", "+4570000000", None)
    assert lines.find("+4570000000") is None
    assert lines.find(None) is None
    assert lines.all() == [line]


def test_no_file_is_an_empty_table_until_there_is_one(tmp_path: Path, write: Callable[[str], Path]) -> None:
    lines = Lines(tmp_path / "lines.toml")
    assert lines.find("+4570123456") is None

    write(LINE)

    assert lines.find("+4570123456") is not None


def test_a_changed_file_is_taken_over_and_a_broken_one_is_not(write: Callable[[str], Path]) -> None:
    lines = Lines(write(LINE))

    write(LINE.replace("flexii", "other"))
    changed = lines.find("+4570123456")
    write("[[line]")
    kept = lines.find("+4570123456")

    assert changed is not None
    assert changed.brand == "other"
    assert kept == changed


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[line]", "lines.toml"),
        ("line = " + "[" * 5000, "lines.toml"),
        ("line = 1", "line must be written [[line]]"),
        ("line = [1]", "line 1: is not a table"),
        ("[other]", "unknown table other"),
        (LINE + "colour = 1", "line 1: unknown colour"),
        (LINE.replace("+4570123456", "70123456"), "number must be E.164"),
        (LINE.replace('"+4570123456"', "4570123456"), "number must be E.164"),
        (LINE + LINE, "line 2: number stands twice"),
        (LINE.replace("private", "vip"), "customer_type must be one of private, business"),
        (LINE + "call_kind = 1", "call_kind must be one of service, sales"),
        (LINE + 'language = "de"', "language must be one of da, en"),
        (LINE + "consent = []", "consent must be one of ask, asked_elsewhere, never"),
        (LINE.replace('script = "inbound-da"', ""), "script is missing"),
        (LINE.replace('brand = "flexii"', ""), "brand is missing"),
        (LINE.replace('"flexii"', "1"), "brand must be text"),
        (LINE.replace("then.dial", "then.fly"), "exactly one of then.dial and then.redirect"),
        (LINE + 'then.redirect = "https://x.example"', "exactly one of then.dial and then.redirect"),
        (LINE.replace('then.dial = "+4570000000"', ""), "exactly one of then.dial and then.redirect"),
        (LINE.replace("+4570000000", "70000000"), "then.dial must be E.164"),
        (LINE.replace("+4570000000", "+4570123456"), "+4570123456: then.dial leads back to it"),
        (
            LINE.replace("+4570000000", "+4570123457")
            + LINE.replace("+4570123456", "+4570123457").replace("+4570000000", "+4570123456"),
            "+4570123457: then.dial leads back to it",
        ),
        (
            LINE.replace('then.dial = "+4570000000"', 'then.redirect = "http://x.example"'),
            "then.redirect must be an https URL",
        ),
        (LINE.replace('then.dial = "+4570000000"', "then.redirect = 1"), "then.redirect must be an https URL"),
    ],
)
def test_every_fault_stops_the_start_and_is_named(write: Callable[[str], Path], text: str, fault: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Lines(write(text))

    assert fault in str(refusal.value)


def test_a_line_may_go_on_to_another_one(write: Callable[[str], Path]) -> None:
    rounds = LINE.replace("+4570000000", "+4570123457")

    assert len(Lines(write(rounds + LINE.replace("+4570123456", "+4570123457"))).all()) == 2


def test_a_flow_of_ones_own_is_an_https_address_or_on_this_machine(write: Callable[[str], Path]) -> None:
    for url in ("https://flow.example/next?x=1", "http://127.0.0.1:9000/next"):
        line = Lines(write(LINE.replace('then.dial = "+4570000000"', f'then.redirect = "{url}"'))).find("+4570123456")

        assert line is not None
        assert (line.dial, line.redirect) == (None, url)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("inbound-da", "inbound-da"), None),
        (("inbound-da", "nothing"), "no approved version of nothing"),
        (("inbound-da", "outbound-da"), "outbound-da@1 is for agents"),
        (("inbound-da", "inbound-en"), "inbound-en@1 is not in da"),
        (('script = "inbound-da"', 'script = "nothing"\nconsent = "never"'), None),
    ],
)
def test_check_names_scripts_that_cannot_be_played(
    write: Callable[[str], Path], database: Database, change: tuple[str, str], fault: str | None
) -> None:
    lines = Lines(write(LINE.replace(*change)))

    with database.read() as connection:
        faults = lines.check(connection, NOW)

    assert len(faults) == (1 if fault else 0)
    assert fault is None or fault in faults[0]


def test_check_reads_the_file_as_it_is_now(write: Callable[[str], Path], database: Database) -> None:
    lines = Lines(write(LINE))
    write(LINE.replace("private", "vip"))

    with database.read() as connection:
        assert len(lines.check(connection, NOW)) == 1
