"""Documents say what the program does."""

from __future__ import annotations

import re

import pytest

from api.cli import EXIT_CODES
from api.problems import STATUS
from recorder.checkup import KINDS
from tests.documents import PAGES, ROOT, error_classes


@pytest.mark.parametrize("name", PAGES)
def test_a_page_made_from_the_program_is_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text("utf-8") == PAGES[name]()


def test_every_error_has_a_status() -> None:
    assert set(error_classes()) <= set(STATUS)


def test_every_exit_code_is_documented() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "operating.md").read_text(), re.M)}

    assert {code for _, code in EXIT_CODES} | {0, 1, 130} == documented


def test_everything_that_forbids_a_start_is_documented() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()

    assert {code for code, kind in KINDS.items() if kind.blocks and f"`{code}`" not in page} == set()


def test_every_decision_is_listed() -> None:
    pages = {page.name for page in (ROOT / "docs" / "adr").glob("[0-9]*.md")}

    assert pages == set(re.findall(r"\(([0-9]{4}-[a-z0-9-]+\.md)\)", (ROOT / "docs" / "adr" / "README.md").read_text()))


def test_links_between_documents_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_test_that_holds_an_edge_case_is_there() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", (ROOT / "docs" / "edge-cases.md").read_text("utf-8"), re.M)
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^(?:async )?def (test_\w+)", tests, re.M))

    assert [int(number) for number, _ in rows] == list(range(1, 26))
    assert {name for _, held_by in rows for name in re.findall(r"`(\w+)`", held_by)} <= there
