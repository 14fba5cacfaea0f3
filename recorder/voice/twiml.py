"""The two forms of TwiML that everything said on the telephone is made of."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

LOCALES = {"da": "da-DK", "en": "en-GB"}
# XML 1.0 §2.2 has no place for them, escaped or not; one of them, and the whole answer would be refused.
UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def say(words: str, language: str) -> str:
    """Have words read aloud; `language` is one of `LOCALES`."""
    return f'<Say language="{LOCALES[language]}">{escape(words)}</Say>'


def response(*parts: str) -> str:
    """A whole answer. The parts are TwiML already, but for characters that no XML can carry: those are left out."""
    said = UNSPEAKABLE.sub("", "".join(parts))
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{said}</Response>'
