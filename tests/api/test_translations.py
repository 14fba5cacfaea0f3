"""Every sentence of every template has a Danish one with the same placeholders, and no Danish one is left over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from jinja2.ext import babel_extract

from api.words import catalogue

OPTIONS = {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true"}
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def sentences() -> Iterator[tuple[str, ...]]:
    for template in sorted(Path(str(files("api").joinpath("templates"))).rglob("*.html")):
        with template.open("rb") as file:
            for _line, _function, message, _comments in babel_extract(file, ["_", "gettext", "ngettext"], [], OPTIONS):
                yield (message,) if isinstance(message, str) else tuple(one for one in message if one)


@pytest.mark.parametrize("sentence", sorted(set(sentences())))
def test_every_sentence_is_translated_whole(sentence: tuple[str, ...]) -> None:
    found = catalogue("da").get(sentence[0])

    forms = (found,) if isinstance(found, str) else found or ()
    assert len(forms) == len(sentence)
    for english, danish in zip(sentence, forms, strict=True):
        assert danish
        assert set(PLACEHOLDER.findall(danish)) == set(PLACEHOLDER.findall(english))


def test_no_translation_is_left_over() -> None:
    assert set(catalogue("da")) - {sentence[0] for sentence in sentences()} == set()
