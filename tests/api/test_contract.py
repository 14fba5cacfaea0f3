"""`/openapi.json` against the running application: what it says of good requests, bad ones and answers is so.

On PostgreSQL, which is the stricter about what a text may hold.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from urllib.parse import parse_qsl

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from requests.auth import AuthBase
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import allow_header_conformance
from twilio.request_validator import RequestValidator

from api.app import all_routes
from api.openapi import document
from api.server import listening
from recorder import holds, signing, subject_requests, tokens
from recorder.actors import SYSTEM
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from storage.clock import new_id, rfc3339
from tests.api.conftest import House, Idle
from tests.conftest import (
    BEGINNING,
    STANDARD_SECRET,
    TWILIO_SID,
    TWILIO_TOKEN,
    MovingClock,
    Prepared,
    furnish,
)

SHADOWED = {"/v1/recordings/search"}  # `/v1/recordings/{id}` matches it too, and answers 404
NEAR = st.integers(0, 240 * 86400).map(lambda seconds: BEGINNING - timedelta(seconds=seconds))
schemathesis.openapi.format("phone", st.from_regex(r"\+45(20|30|40)[0-9]{6}", fullmatch=True))
schemathesis.openapi.format("date-time", NEAR.map(rfc3339))
schemathesis.openapi.format("date", NEAR.map(lambda moment: moment.date().isoformat()))
schemathesis.openapi.format("uri", st.just("https://media.example/1.wav"))


@schemathesis.serializer("audio/wav", "audio/mpeg", "audio/ogg", "audio/flac")
def sound(_context: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


CONFIG = schemathesis.Config.from_dict(
    {
        "seed": 1,
        "generation": {"max-examples": 6, "deterministic": True, "database": "none"},
        "phases": {"stateful": {"enabled": False}},
        # Eighteen types of events, each with every field at every edge: chosen ones of them are enough.
        "operations": [{"include-path": "/webhooks/events", "phases": {"coverage": {"enabled": False}}}],
        "checks": {
            # What a schema cannot say: a number nobody has, a time too far off, a script there is none of.
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", "303", "400", "401", "403", "404", "409", "416", "422", "429"]
            }
        },
    }
)
API = schemathesis.openapi.from_dict(document(all_routes(cast("Service", None))), config=CONFIG)


@dataclass
class Live:
    """The application on a port, with things to be asked for."""

    url: str
    tokens: dict[str, str]
    known: dict[str, str]  # first part of an address under /v1 → an id that is there


class Signed(AuthBase):
    """Signs the very bytes that go out, as a platform does."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        if "twilio" in request.path_url:
            fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
            url = "http://127.0.0.1:8080" + request.path_url
            request.headers["X-Twilio-Signature"] = RequestValidator(TWILIO_TOKEN).compute_signature(url, fields)
            return request
        key = str(request.headers.get("webhook-id", ""))
        if key.isascii() and "webhook-timestamp" in request.headers:
            signers = [signing.signer(STANDARD_SECRET)]
            request.headers.update(signing.headers(signers, key, BEGINNING, body))
        return request


@pytest.fixture(scope="module")
def live(
    prepare: Callable[[str], Prepared], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Live]:
    prepared = prepare("postgresql")
    data = tmp_path_factory.mktemp("contract") / "data"
    shutil.copytree(prepared.data, data)
    furnish(data)
    databases = request.getfixturevalue("postgresql_server")
    url = databases.create(prepared.database_url)
    environment = {
        "RECORDER_DATA_DIR": str(data),
        "RECORDER_DATABASE__URL": url,
        "RECORDER_HTTP__PORT": "0",
        "RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID": TWILIO_SID,
        "RECORDER_PLATFORMS__TWILIO__AUTH_TOKENS": TWILIO_TOKEN,
        "RECORDER_PLATFORMS__STANDARD__SECRETS": STANDARD_SECRET,
    }
    clock = MovingClock(BEGINNING)
    with opened(load(environment), clock=clock) as service, listening(service, cast("Any", Idle())) as port:
        house = House(service, clock, cast("Any", None))
        recording = house.stored(agent="a-17", queue="billing", case="S-1")
        held = house.stored("pbx-2", **{"from": "+4520123499"})
        wish = subject_requests.open_request(service, "access", phone="+4520123456", actor=SYSTEM, now=clock())
        hold = holds.place(service, held, "legal", "case-1", SYSTEM, clock())
        roles = {name: house.token(name) for name in tokens.ROLES}
        yield Live(
            f"http://127.0.0.1:{port}",
            roles,
            {"recordings": recording, "subject-requests": wish.id, "holds": hold.id, "calls": "pbx-1"},
        )
    databases.drop(url)


@API.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_application_does_what_the_document_says(case: Case, live: Live) -> None:
    if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
        make_reachable(case, live)
    raw = case.operation.definition.raw
    excluded = [allow_header_conformance] if case.operation.path in SHADOWED else []
    for token in {live.tokens[role] for role in raw.get("x-roles", [])} or {None}:
        case.call_and_validate(
            base_url=live.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            auth=Signed() if case.operation.path.startswith("/webhooks/") else None,
            excluded_checks=excluded,
            timeout=30,
        )


def make_reachable(case: Case, live: Live) -> None:
    """A good request, about things that are there: under a key of its own, and not in the middle of a search."""
    parts = case.operation.path.split("/")
    known = live.known.get(parts[2]) if parts[1] == "v1" and case.method != "DELETE" else None
    if known:
        case.path_parameters.update(dict.fromkeys(case.path_parameters.keys() & {"id", "platform_call_id"}, known))
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = new_id("key")
    for fields in (case.query, case.body):
        if isinstance(fields, dict):
            fields.pop("cursor", None)
