"""What other systems are told: signed, by ids only, at least once, and never at the cost of anybody else."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import func, select
from standardwebhooks import Webhook, WebhookVerificationError

from recorder import chores, erasure, subject_requests, subscriptions
from recorder.actors import Actor
from recorder.errors import ConfigurationError
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from storage.catalogue import bulletins, tasks
from storage.tables import metadata
from tests.conftest import BEGINNING, MovingClock
from tests.recorder import asking
from tests.recorder.asking import PHONE, ask, granted
from tests.servers.loopback import answering

DPO = Actor("tok_dpo", "dpo")
NEW, OLD = "whsec_" + "N" * 32, "whsec_" + "O" * 32


@dataclass
class Hook:
    """Another system: what it got, and what it answers; `None` drops the connection after having read it all."""

    url: str
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    status: int | None = 204

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@contextmanager
def listening() -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            if hook.status is None:
                self.connection.close()
                self.close_connection = True
                return
            self.send_response(hook.status)
            self.send_header("Location", hook.url + "/elsewhere")
            self.end_headers()

    with answering(Handler) as origin:
        hook = Hook(f"{origin}/hooks/recorder?of=crm")
        yield hook


@pytest.fixture
def hook() -> Iterator[Hook]:
    with listening() as running:
        yield running


@pytest.fixture
def environment(environment: dict[str, str], hook: Hook) -> dict[str, str]:
    return environment | {
        "RECORDER_SUBSCRIBERS__CRM__URL": hook.url,
        "RECORDER_SUBSCRIBERS__CRM__SECRETS": f"{NEW},{OLD}",
    }


def stored(service: Service, clock: MovingClock, call_id: str = "pbx-1", **data: str) -> str:
    """A recording, and a little later: a capture counts the time it took."""
    recording_id = asking.stored(service, clock, call_id, **data)
    clock.advance(minutes=1)
    return recording_id


def waiting(service: Service) -> int:
    with service.database.read() as connection:
        return connection.execute(select(func.count()).select_from(metadata.tables["bulletins"])).scalar_one()


def open_tasks(service: Service) -> list[tuple[str, str]]:
    return [(task.kind, task.subject_id) for task in chores.open_chores(service)]


def verified(secret: str, message: tuple[dict[str, str], bytes]) -> Any:
    headers, body = message
    return Webhook(secret).verify(body, headers)


def test_each_act_is_told_by_ids_and_verified_by_the_reference_library(service: Service, hook: Hook) -> None:
    """The library goes by its own clock, so this service does too."""
    clock = MovingClock(datetime.now(UTC))
    service = replaced(service, clock)
    recording_id = stored(service, clock)
    request_id = granted(service, clock)
    certificate = erasure.erase(service, recording_id, reason="other", actor=DPO, now=clock())
    assert certificate is not None

    clock.advance(seconds=1)  # an erasure takes its time
    assert not subscriptions.deliver(service)
    told = {one["type"]: one for one in (verified(NEW, message) for message in hook.got)}
    assert {kind: one["data"] for kind, one in told.items()} == {
        "recording.stored": {"recording_id": recording_id},
        "request.answered": {"request_id": request_id},
        "recording.erased": {"recording_id": recording_id, "certificate_id": certificate.certificate_id},
    }
    assert all(set(one) == {"type", "timestamp", "data"} for one in told.values())
    assert len({headers["webhook-id"] for headers, _ in hook.got}) == 3
    assert waiting(service) == 0

    assert verified(OLD, hook.got[0])  # while a secret is changed, both hold
    with pytest.raises(WebhookVerificationError):
        verified("whsec_" + "X" * 32, hook.got[0])


# RFC 8032 §7.1, TEST 1: both halves of a key pair, as its private key is 32 bytes or, with the public one, 64.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def whsk(private: bytes) -> str:
    return "whsk_" + base64.b64encode(private).decode()


@pytest.mark.parametrize("private", [SEED, SEED + PUBLIC], ids=["seed", "pair"])
def test_a_subscriber_with_a_key_pair_is_signed_to_as_the_specification_says(
    environment: dict[str, str], clock: MovingClock, hook: Hook, private: bytes
) -> None:
    changing = environment | {"RECORDER_SUBSCRIBERS__CRM__SECRETS": f"{whsk(private)},{NEW}"}
    with opened(load(changing), clock=clock) as service:
        stored(service, clock)
        subscriptions.deliver(service)

    ((headers, body),) = hook.got
    asymmetric, symmetric = headers["webhook-signature"].split(" ")
    version, _, signature = asymmetric.partition(",")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    Ed25519PublicKey.from_public_bytes(PUBLIC).verify(base64.b64decode(signature), signed)
    assert (version, symmetric.partition(",")[0]) == ("v1a", "v1")


def replaced(service: Service, clock: MovingClock) -> Service:
    service.keyring.ensure(clock())
    return type(service)(**(vars(service) | {"clock": clock}))


def test_p2_nothing_personal_is_told_or_written_down_for_it(service: Service, clock: MovingClock, hook: Hook) -> None:
    stored(service, clock, agent="a-17", queue="billing", case="S-1")
    with service.database.read() as connection:
        (row,) = connection.execute(select(metadata.tables["bulletins"])).mappings()
    subscriptions.deliver(service)
    for text in (str(dict(row)), str(hook.got)):
        assert not any(word in text for word in (PHONE, "a-17", "billing", "S-1", "pbx-1", "A-1001"))


def test_p6_a_repetition_has_the_same_id_and_body_and_a_fresh_time(
    service: Service, clock: MovingClock, hook: Hook
) -> None:
    stored(service, clock)
    for status in (500, None, 302, 429, 204):
        hook.status = status
        subscriptions.deliver(service)
        clock.advance(days=2)  # past every wait
    subscriptions.deliver(service)

    assert len(hook.got) == 5  # and a redirect was not followed
    assert len({(headers["webhook-id"], body) for headers, body in hook.got}) == 1
    stamps = [int(headers["webhook-timestamp"]) for headers, _ in hook.got]
    assert stamps == sorted(set(stamps))
    assert waiting(service) == 0


def test_tries_follow_the_recommended_schedule_and_end(service: Service, clock: MovingClock, hook: Hook) -> None:
    stored(service, clock)
    hook.status = 503
    tried: list[datetime] = []
    for _ in range(20_000):
        before = len(hook.got)
        subscriptions.deliver(service)
        if len(hook.got) > before:
            tried.append(clock())
        if not (at := next_try(service)):
            break
        clock.now = at
    waits = [later - earlier for earlier, later in pairwise(tried)]

    assert len(waits) == len(subscriptions.WAITS)
    assert all(wait <= waited <= wait * 1.1 for wait, waited in zip(subscriptions.WAITS, waits, strict=True))
    assert tried[-1] - tried[0] > timedelta(days=3)
    assert open_tasks(service) == [("subscriber_failing", "crm")]

    hook.status = 200
    erasure.erase(service, stored(service, clock, "pbx-2"), reason="other", actor=DPO, now=clock())
    subscriptions.deliver(service)
    assert open_tasks(service) == []


def next_try(service: Service) -> datetime | None:
    with service.database.read() as connection:
        found: datetime | None = connection.execute(
            select(func.min(metadata.tables["bulletins"].c.next_try_at))
        ).scalar_one()
    return found


def test_410_ends_it_until_a_person_says_otherwise(service: Service, clock: MovingClock, hook: Hook) -> None:
    recording_id = stored(service, clock)
    hook.status = 410
    subscriptions.deliver(service)
    assert open_tasks(service) == [("subscriber_gone", "crm")]

    erasure.erase(service, recording_id, reason="other", actor=DPO, now=clock())
    hook.status = 204
    subscriptions.deliver(service)
    assert (len(hook.got), waiting(service)) == (1, 0)

    chores.close(service, "subscriber_gone", "crm", actor=DPO, now=clock())
    stored(service, clock, "pbx-2")
    subscriptions.deliver(service)
    assert [one["type"] for one in hook.told()] == ["recording.stored"] * 2


def test_who_does_not_answer_keeps_nobody_else_waiting(
    environment: dict[str, str], clock: MovingClock, hook: Hook
) -> None:
    hook.status = 500
    with listening() as other:
        both = environment | {
            "RECORDER_SUBSCRIBERS__BI__URL": other.url,
            "RECORDER_SUBSCRIBERS__BI__SECRETS": OLD,
            "RECORDER_SUBSCRIBERS__BI__EVENTS": "recording.stored",
        }
        with opened(load(both), clock=clock) as service:
            recordings = [stored(service, clock, f"pbx-{n}") for n in range(3)]
            for one in recordings:
                erasure.erase(service, one, reason="other", actor=DPO, now=clock())
            subscriptions.deliver(service)
        assert len(hook.got) == 1  # left alone for the rest of the run
        assert sorted(one["data"]["recording_id"] for one in other.told()) == sorted(recordings)
        assert {one["type"] for one in other.told()} == {"recording.stored"}


def test_a_refusal_is_an_answer_too(service: Service, clock: MovingClock, hook: Hook) -> None:
    request = ask(service, clock)
    subject_requests.refuse(service, request.id, DPO, clock())
    subscriptions.deliver(service)
    assert [(one["type"], one["data"]) for one in hook.told()] == [("request.answered", {"request_id": request.id})]


def test_p6_what_is_rolled_back_is_not_told(service: Service, clock: MovingClock) -> None:
    def act() -> None:
        with service.database.write() as connection:
            subscriptions.tell(service, connection, "recording.stored", [{"recording_id": "rec_x"}], clock())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        act()
    assert waiting(service) == 0


DYING = """
import os, signal, sys
from datetime import datetime
from recorder import faultpoints, subscriptions
from recorder.service import opened
from recorder.settings import load

faultpoints.hook = lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == "bulletin.posted" else None
now = datetime.fromisoformat(sys.argv[1])
with opened(load(), clock=lambda: now) as service:
    subscriptions.deliver(service)
"""


def test_p6_killed_after_telling_it_tells_again_under_the_same_id(
    environment: dict[str, str], clock: MovingClock, hook: Hook
) -> None:
    with opened(load(environment), clock=clock) as service:
        stored(service, clock)
    died = subprocess.run(
        [sys.executable, "-c", DYING, clock().isoformat()],
        env={**os.environ, **environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
        timeout=60,
    )
    assert died.returncode == -signal.SIGKILL
    with opened(load(environment), clock=clock) as service:
        subscriptions.deliver(service)
        assert len(hook.got) == 1  # its lease still holds
        clock.advance(seconds=61)
        subscriptions.deliver(service)
        assert waiting(service) == 0
    assert len(hook.got) == 2
    assert len({headers["webhook-id"] for headers, _ in hook.got}) == 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"URL": "http://hooks.example.dk/x"}, "https"),
        ({"URL": "https://hooks.example.dk/x"}, "no country declared"),
        ({"URL": "https://hooks.example.com/x", "COUNTRY": "US"}, "US"),
        ({"URL": "https://user:word@hooks.example.dk/x", "COUNTRY": "DK"}, "url must be"),
        ({"URL": "https://høns.example.dk/x", "COUNTRY": "DK"}, "url must be .* xn--"),
        ({"URL": "https://hooks.example.dk/hunter2 x", "COUNTRY": "DK"}, "url must be"),
        ({"URL": "https://hooks.example.dk/hunter2\\x", "COUNTRY": "DK"}, "url must be"),
        ({"URL": "https://hooks.example.dk/x#", "COUNTRY": "DK"}, "url must be"),
        ({"URL": "https://ho%oks.example.dk/x", "COUNTRY": "DK"}, "url must be"),
        ({"URL": "https://hooks.example.dk:443\n/x", "COUNTRY": "DK"}, "url must be"),
        ({"SECRETS": ""}, "secrets are missing"),
        ({"SECRETS": "whsec_tooshort"}, "24 to 64 bytes"),
        ({"SECRETS": "hunter2-hunter2-hunter2-hunter2-hunter2"}, "24 to 64 bytes"),
        ({"SECRETS": "whsk_hunter2"}, "whsk_ takes"),
        ({"SECRETS": whsk(SEED + SEED)}, "whsk_ takes"),
        ({"SECRETS": "whpk_" + whsk(PUBLIC)[5:]}, "24 to 64 bytes"),
        ({"EVENTS": "recording.heard"}, "recording.stored"),
    ],
)
def test_a_subscription_that_would_break_a_promise_stops_the_start(changed: dict[str, str], words: str) -> None:
    right = {"RECORDER_SUBSCRIBERS__CRM__URL": "http://127.0.0.1:1/x", "RECORDER_SUBSCRIBERS__CRM__SECRETS": NEW}
    assert load(right).subscribers["crm"].signers
    wrong = right | {f"RECORDER_SUBSCRIBERS__CRM__{name}": value for name, value in changed.items()}
    with pytest.raises(ConfigurationError, match=words) as refused:
        load(wrong)
    assert "hunter2" not in str(refused.value)


def test_without_subscribers_nothing_is_written(service: Service, clock: MovingClock) -> None:
    alone = type(service)(**(vars(service) | {"settings": service.settings.model_copy(update={"subscribers": {}})}))
    stored(alone, clock)
    assert waiting(alone) == 0
    assert not subscriptions.deliver(alone)


def test_what_nobody_took_for_days_is_let_go_of(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    with service.database.write() as connection:
        assert bulletins.forget_before(connection, BEGINNING) == 0
        assert bulletins.forget_before(connection, clock() + subscriptions.KEPT) == 1
        assert tasks.open_tasks(connection) == []
