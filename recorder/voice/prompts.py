"""What a caller hears, as TwiML: pure functions of line, script and addresses.

Part A of the question stands outside the `Gather`, where no key can cut it short: a yes is always informed. Whatever
is answered, the caller ends up in the same place; only after a yes is a recording started on the way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

from recorder.lines import Line
from recorder.scripts import Script
from recorder.settings import Organisation
from recorder.voice.twiml import response, say

WAIT_SECONDS = 5
SLOW_LETTERS_PER_SECOND = 12
CONNECT_SECONDS = 6  # the answering end of a test call rings and picks up
LINGER_SECONDS = 8  # its beeps end later than ours


@dataclass(frozen=True)
class Voice:
    """Who speaks, in which words."""

    organisation: Organisation
    script: Script

    def say(self, *keys: str) -> str:
        site = urlsplit(self.organisation.self_service_url).hostname or ""
        said = [
            self.script.say(key, brand=self.organisation.name, site=site)
            for key in keys
            if site or "{site}" not in self.script.texts.get(key, "")
        ]
        return say(" ".join(text for text in said if text), self.script.language)


def question(voice: Voice, answer_url: str) -> str:
    """Ask for consent and wait for one key; silence is an answer too."""
    return response(
        voice.say("inform"),
        f'<Gather input="dtmf" numDigits="1" timeout="{WAIT_SECONDS}" actionOnEmptyResult="true" finishOnKey=""'
        f' method="POST" action={quoteattr(answer_url)}>',
        voice.say("choose"),
        "</Gather>",
    )


def recorded(voice: Voice, line: Line, callback_url: str) -> str:
    """Thank for the yes, start recording both channels in full, connect."""
    return response(
        voice.say("granted", "more"),
        '<Start><Recording channels="dual" trim="do-not-trim"'
        f' recordingStatusCallback={quoteattr(callback_url)} recordingStatusCallbackMethod="POST"'
        ' recordingStatusCallbackEvent="in-progress completed absent"/></Start>',
        _then(line),
    )


def unrecorded(line: Line, voice: Voice | None = None) -> str:
    """Connect without recording; with a voice, say first that nothing is recorded."""
    return response(voice.say("refused") if voice else "", _then(line))


def test_caller(voice: Voice, beeps_url: str) -> str:
    """What the calling end of a test call does: hears the question out, presses 1, waits for the other end, beeps."""
    return response(
        f'<Pause length="{_spoken_seconds(voice, "inform", "choose")}"/><Play digits="1"/>'
        f'<Pause length="{_spoken_seconds(voice, "granted", "more") + CONNECT_SECONDS}"/>',
        f"<Play>{escape(beeps_url)}</Play>",
        f'<Pause length="{LINGER_SECONDS}"/><Hangup/>',
    )


def test_answer(beeps_url: str) -> str:
    """What the answering end of a test call does."""
    return response(f'<Play>{escape(beeps_url)}</Play><Pause length="60"/>')


def _spoken_seconds(voice: Voice, *keys: str) -> int:
    """How long it takes to say, at the slow end: a key pressed too early is not heard."""
    return math.ceil(sum(len(voice.script.texts.get(key, "")) for key in keys) / SLOW_LETTERS_PER_SECOND) + 1


def unknown_number(called: str | None, organisation: Organisation) -> str:
    """Connect a caller of a number the line table does not know to the organisation's own.

    That number calling itself would go round for ever, so there the call is busy.
    """
    if organisation.phone and organisation.phone != called:
        return response(f"<Dial>{escape(organisation.phone)}</Dial>")
    return response('<Reject reason="busy"/>')


def _then(line: Line) -> str:
    if line.redirect:
        return f'<Redirect method="POST">{escape(line.redirect)}</Redirect>'
    return f"<Dial>{escape(line.dial or '')}</Dial>"
