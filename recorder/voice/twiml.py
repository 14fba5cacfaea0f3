"""The two forms of TwiML that everything said on the telephone is made of."""

from __future__ import annotations

from xml.sax.saxutils import escape

LOCALES = {"da": "da-DK", "en": "en-GB"}


def say(words: str, language: str) -> str:
    """Have words read aloud; `language` is one of `LOCALES`."""
    return f'<Say language="{LOCALES[language]}">{escape(words)}</Say>'


def response(*parts: str) -> str:
    """A whole answer. The parts are TwiML already."""
    return '<?xml version="1.0" encoding="UTF-8"?><Response>' + "".join(parts) + "</Response>"
