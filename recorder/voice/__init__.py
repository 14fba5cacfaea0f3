"""Which answer a caller of Twilio's gets: the line table, the script of the day and the key pressed decide.

Whatever cannot be looked up, the caller is connected all the same, unrecorded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

import structlog

from recorder import scripts
from recorder.events import Event
from recorder.lines import Line
from recorder.platforms.twilio import BY_CONSENT, CAUSE, consent_requested, played
from recorder.ports import Service
from recorder.scripts import Script
from recorder.voice import prompts
from recorder.voice.prompts import Voice

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Answer:
    """TwiML that may be given once `events` are durable, and not before."""

    twiml: str
    events: tuple[Event, ...]


def connect(service: Service, event: Event) -> str:
    """Connect unrecorded: needs nothing but the line table, so it is there when all else is away."""
    number = _our_number(event)
    line = service.lines.find(number)
    if line is None:
        return prompts.unknown_number(number, service.settings.organisation)
    return prompts.unrecorded(_as_called(service, line, event))


def welcome(service: Service, started: Event, now: datetime) -> Answer:
    """The first answer of a call: the question where the line asks one, else the connection."""
    line = _asking_line(service, started)
    script = _approved(service, line.script, now) if line else None
    if line is None or script is None:
        return Answer(connect(service, started), (started,))
    asked = consent_requested(started, script=script.id, language=script.language, now=now)
    action = _url(service, "consent", **played(script.id, script.language), asked=f"{now.timestamp():.0f}")
    return Answer(prompts.question(_voice(service, line, script), action), (started, asked))


def after_key(service: Service, answered: Event, now: datetime) -> Answer:
    """The answer to the key: recording starts only after a yes to a question this line asks.

    Our own question names the script it played in the address of its answer. An answer that names none was given to the
    line's script of the day, which is then written into it.
    """
    line = _asking_line(service, answered)
    named = answered.data.get("script")
    script = (_find(service, named) if named else _approved(service, line.script, now)) if line else None
    if line is None or script is None:
        return Answer(connect(service, answered), (answered,))
    answered = replace(answered, data={**answered.data, "script": script.id, "language": script.language})
    voice = _voice(service, line, script)
    if answered.type != "consent.granted":
        return Answer(prompts.unrecorded(line, voice), (answered,))
    answered.data["told_to_record"] = True
    return Answer(prompts.recorded(voice, line, _url(service, "recording", **{CAUSE: BY_CONSENT})), (answered,))


def _our_number(event: Event) -> str | None:
    number: str | None = event.data["to" if event.data["direction"] == "inbound" else "from"]
    return number


def _asking_line(service: Service, event: Event) -> Line | None:
    """The line, if its callers are asked by key press; whoever is called by us is asked by the agent."""
    line = service.lines.find(_our_number(event))
    if line is None or line.consent != "ask" or event.data["direction"] != "inbound":
        return None
    return _as_called(service, line, event)


def _as_called(service: Service, line: Line, event: Event) -> Line:
    """The line as this caller finds it: a test call ends at the number that answers test calls."""
    canary = service.settings.canary
    if canary.answers and canary.number and event.data["from"] == canary.number:
        return replace(line, dial=canary.answers, redirect=None)
    return line


def _approved(service: Service, name: str, now: datetime) -> Script | None:
    with service.database.read() as connection:
        script = scripts.approved(connection, name, now)
    if script is None or not script.is_prompt:
        log.error("voice.nothing_to_play", script=name)
        return None
    return script


def _find(service: Service, script_id: str) -> Script | None:
    with service.database.read() as connection:
        script = scripts.find(connection, script_id)
    return script if script and script.is_prompt and script.approved_at else None


def _voice(service: Service, line: Line, script: Script) -> Voice:
    return Voice(service.settings.organisation_for(line.brand), script)


def _url(service: Service, step: str, **query: str) -> str:
    return f"{service.settings.http.public_url}/webhooks/twilio/{step}?{urlencode(query)}"
