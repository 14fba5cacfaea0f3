"""A person who asks for their call, up to any step: requests, mails and codes made by the real parts."""

from __future__ import annotations

import json
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

from sqlalchemy import insert

from recorder import access_links, subject_requests
from recorder.access_links import Visit
from recorder.actors import Actor
from recorder.ports import Service
from storage.catalogue import links, requests
from storage.catalogue.links import Link
from storage.catalogue.requests import Match, Request
from storage.clock import new_id
from storage.tables import metadata
from tests.api.conftest import House
from tests.conftest import MovingClock
from tests.recorder.post import deliver_due

DPO = Actor("tok_dpo", "dpo")
PHONE = "+4520123456"


def stored(service: Service, clock: MovingClock, call_id: str = "pbx-1", **data: str) -> str:
    """A recording with a yes, its audio real; by default of the account the number has today."""
    return House(service, clock, cast("Any", None)).stored(call_id, **({"account": "A-1001"} | data))


def directory(service: Service, row: str) -> None:
    """Have the directory of customers hold this row and no other."""
    path = service.settings.data_dir / "directory.csv"
    path.write_text("phone,account,email,mobile,customer_type,language\n" + row + "\n")


def ask(service: Service, clock: MovingClock, **about: str) -> Request:
    return subject_requests.open_request(service, "access", **(about or {"phone": PHONE}), actor=DPO, now=clock())  # type: ignore[arg-type]  # one of three names


def matches(service: Service, request_id: str) -> list[Match]:
    with service.database.read() as connection:
        return requests.matched(connection, request_id)


def many(service: Service, request_id: str, count: int) -> None:
    """Add `count` matches whose recordings are gone by now."""
    with service.database.write() as connection:
        rows = [vars(Match(request_id, new_id("rec"))) for _ in range(count)]
        connection.execute(insert(metadata.tables["matches"]), rows)


def passes(service: Service, clock: MovingClock, **time: float) -> None:
    """Time passes, and what requests and their mail wait for is done."""
    clock.advance(**time)
    service.keyring.ensure(clock())
    subject_requests.due(service, clock())
    deliver_due(service, clock())


def request_row(service: Service, request_id: str) -> Request:
    with service.database.read() as connection:
        found = requests.get(connection, request_id)
    assert found is not None
    return found


def link_rows(service: Service, request_id: str) -> list[Link]:
    with service.database.read() as connection:
        return links.of_request(connection, request_id)


def approve(service: Service, clock: MovingClock, request_id: str, *recording_ids: str) -> None:
    """For these of its matches, or for all."""
    chosen = recording_ids or [one.recording_id for one in matches(service, request_id)]
    subject_requests.approve(service, request_id, chosen, "callback", DPO, clock())


def granted(service: Service, clock: MovingClock) -> str:
    """A request whose mail has been handed over; its id."""
    request = ask(service, clock)
    approve(service, clock, request.id)
    deliver_due(service, clock())
    return request.id


def mails(service: Service) -> list[EmailMessage]:
    """Oldest first."""
    files = sorted((service.settings.data_dir / "outbox" / "mail").glob("*.eml"), key=_age)
    return [cast("EmailMessage", message_from_bytes(file.read_bytes(), policy=policy.default)) for file in files]


def subjects(service: Service, clock: MovingClock) -> list[str]:
    """Of all mails, once what is due has gone."""
    deliver_due(service, clock())
    return [mail["Subject"] for mail in mails(service)]


def texts(service: Service) -> list[dict[str, str]]:
    files = sorted((service.settings.data_dir / "outbox" / "sms").glob("*.json"), key=_age)
    return [json.loads(file.read_text()) for file in files]


def token(service: Service) -> str:
    """The token of the latest mail."""
    body = mails(service)[-1].get_body(("plain",))
    assert body is not None
    found = re.search(r"/access/#([A-Za-z0-9_-]+)", body.get_content())
    assert found is not None
    return found[1]


def code(service: Service, clock: MovingClock, cookie: str) -> str:
    """Have a code sent and read it."""
    assert access_links.send_code(service, cookie, clock())
    deliver_due(service, clock())
    found = re.search(r"\b\d{6}\b", texts(service)[-1]["text"])
    assert found is not None
    return found[0]


def wrong(right: str) -> str:
    return "000000" if right != "000000" else "111111"


def visiting(service: Service, clock: MovingClock) -> Visit:
    """A visit by somebody who has shown both link and code."""
    cookie = access_links.open_link(service, token(service), clock())
    tried = access_links.verify_code(service, cookie, code(service, clock, cookie), clock())
    assert tried.token is not None
    return access_links.visit(service, tried.token, clock())


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns
