"""A code read aloud by a call, as TwiML. Handles codes.

The call itself carries no code, only the question for a key: an answering machine presses none, and so is told none.
Whoever presses 1 makes Twilio post to us, signed, and the answer reads the code out. The address it posts to names the
code by its random id; the digits are made again from that and nobody has to keep them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode
from xml.sax.saxutils import quoteattr

from recorder import access_links
from recorder.ports import Service
from recorder.voice.twiml import LOCALES, response, say

PATH = "/webhooks/twilio/code"
WAIT_SECONDS = 8
KEY = "1"

GREETING = {
    "da": "Hej, det er {name}. Du har bedt om at få en kode læst op. Tryk 1 for at høre koden. "
    "Har du ikke bedt om det, så læg bare på.",
    "en": "Hello, this is {name}. You asked to have a code read to you. Press 1 to hear it. "
    "If you didn't ask for this, just hang up.",
}
FIRST = {"da": "Din kode er", "en": "Your code is"}
AGAIN = {"da": "Jeg gentager. Din kode er", "en": "I repeat. Your code is"}
LAST = {
    "da": "Den gælder kun i kort tid. Del den aldrig med andre, heller ikke med os.",
    "en": "It is valid for a short time only. Never share it with anyone, not even us.",
}
GONE = {
    "da": "Koden gælder ikke længere. Få en ny på siden, hvor du bad om den.",
    "en": "This code is no longer valid. Ask for a new one on the page where you asked for it.",
}


def action(public_url: str, code_id: str, version: int, language: str) -> str:
    """Where the key press is posted to: nothing in it is personal, and unsigned it is of no use."""
    return f"{public_url}{PATH}?{urlencode({'code': code_id, 'version': version, 'language': _spoken(language)})}"


def greeting(name: str, language: str, action_url: str) -> str:
    """Who rings and why; asks for the key, twice, and hangs up."""
    language = _spoken(language)
    gather = (
        f'<Gather input="dtmf" numDigits="1" finishOnKey="" timeout="{WAIT_SECONDS}" method="POST"'
        f" action={quoteattr(action_url)}>{say(GREETING[language].format(name=name), language)}</Gather>"
    )
    return response(gather, gather)


def answer(service: Service, query: Mapping[str, str], key: str, now: datetime) -> str:
    """What is said to whoever pressed a key. The request's signature has been checked."""
    language = _spoken(query.get("language", ""))
    if key != KEY:
        return response("<Hangup/>")
    version = query.get("version", "")
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 9 else -1  # noqa: PLR2004 -- a sane count
    digits = access_links.said_again(service, query.get("code", "")[:64], number, now)
    if digits is None:
        return response(say(GONE[language], language))
    one_by_one = '<Pause length="1"/>'.join(say(digit, language) for digit in digits)
    return response(
        say(FIRST[language], language),
        one_by_one,
        '<Pause length="2"/>',
        say(AGAIN[language], language),
        one_by_one,
        say(LAST[language], language),
    )


def _spoken(language: str) -> str:
    return language if language in LOCALES else "da"
