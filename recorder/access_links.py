"""The way in for one person: a link by mail, a code by SMS, a session. Handles tokens and codes.

Nothing is used up by whoever merely follows, posts or plays with the link, so mail scanners cannot close it: only a
right code counts as an opening and only a wrong one as a failure. A code belongs to the link, not to the browser that
asked for it: a scanner that pressed the button first must not lock the person out. Every limit is a conditional
update under the link's row lock.

Tokens and codes are kept nowhere and yet can be sent again: each is derived from a random id, a number that grows with
every minting, and a key of the ring (docs/adr/0015). Only a hash of the current one is in the row.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from typing import Literal

from sqlalchemy import Connection

from recorder.deadlines import ZONE
from recorder.errors import LinkError
from recorder.ports import Service
from storage import audit
from storage.catalogue import codes, links, outbox, sessions, tasks
from storage.catalogue.codes import Code
from storage.catalogue.links import Link
from storage.catalogue.sessions import Session
from storage.clock import new_id

LINK_LIFE = timedelta(days=30)
OPENINGS = 20
CODE_LIFE = timedelta(minutes=10)
BETWEEN_CODES = timedelta(seconds=60)
LIMITS = ((timedelta(hours=1), 3), (timedelta(days=1), 5))
TRIES_PER_CODE = 5
TRIES_PER_LINK = 10
SESSION_LIFE = timedelta(minutes=60)
RENEW_AFTER = timedelta(minutes=5)  # a player asks for ranges all the time; its session is not written every time
CODE = re.compile(r"[0-9]{6}")

Way = Literal["sms", "call"]


@dataclass(frozen=True)
class Visit:
    """A person who has shown the link and the code."""

    session: Session
    link: Link
    cookie: str = field(repr=False)

    @property
    def ends_at(self) -> datetime:
        """When they are logged out unless they listen or look again."""
        return min(self.session.expires_at, self.link.expires_at)


@dataclass(frozen=True)
class Try:
    """What became of a code that was typed in. `token` is the new session's, if the code was right."""

    outcome: Literal["verified", "wrong", "malformed", "no_code", "locked"]
    left: int = 0
    token: str | None = field(default=None, repr=False)


def queue(connection: Connection, request_id: str, now: datetime) -> str:
    """Make a link whose token is minted when its mail is handed over; returns its id."""
    link = Link(new_id("lnk"), request_id, "da", now, runs_out(now))
    links.insert(connection, link)
    outbox.add(connection, "mail", "access", link.id, now)
    return link.id


def end_all(connection: Connection, request_id: str, state: Literal["void", "revoked"]) -> list[str]:
    """End every link of a request, with their sessions, codes and unsent messages."""
    ended = links.end(connection, [link.id for link in links.of_request(connection, request_id)], state)
    for link_id in ended:
        _clear(connection, link_id)
    return ended


def stop(connection: Connection, link_id: str) -> bool:
    """End one link whose mail did not arrive; False where it has ended already."""
    if not links.end(connection, [link_id], "void"):
        return False
    _clear(connection, link_id)
    return True


def mint(
    service: Service,
    connection: Connection,
    link_id: str,
    version: int,
    *,
    contact: bytes,
    language: str,
    now: datetime,
) -> tuple[str, datetime] | None:
    """The token of a link about to be sent, and until when it works; tokens of other versions open nothing any more.

    None where the link has ended meanwhile.
    """
    token = base64.urlsafe_b64encode(_secret(service, "links", link_id, version)).rstrip(b"=").decode()
    until = runs_out(now)
    minted = links.hand_over(connection, link_id, token=token, contact=contact, language=language, expires_at=until)
    return (token, until) if minted else None


def open_link(service: Service, token: str, now: datetime) -> str:
    """A session for whoever shows a token, right or wrong: the same steps, so that nobody learns which.

    Returns the cookie's value.
    """
    with service.database.write() as connection:
        link = links.by_token(connection, token)
        link_id = link.id if link is not None and alive(link, now) else None
        cookie, _ = sessions.start(connection, kind="link", link_id=link_id, now=now, expires_at=now + SESSION_LIFE)
    return cookie


def send_code(service: Service, cookie: str, now: datetime, by: Way = "sms") -> Way | None:
    """Have a code sent or read aloud; returns which, or None where the limits say wait: three an hour, five a day.

    Asked again within the minute, it sends nothing and returns how the first one comes. Raises `LinkError` where the
    session leads to no living link.
    """
    way: Way = by if service.caller else "sms"
    with service.database.write() as connection:
        session, link = _entered(connection, cookie, now, lock=True)
        if known := codes.latest_since(connection, link.id, now - BETWEEN_CODES):
            return "call" if outbox.kind_of(connection, known) == "call" else "sms"  # asking again changes nothing
        if any(codes.asked_since(connection, link.id, now - period) >= most for period, most in LIMITS):
            return None
        code = Code(new_id("cod"), link.id, session.id, now)
        codes.insert(connection, code)
        outbox.add(connection, way, "code", code.id, now)
        body = {"link_id": link.id}
        audit.append(connection, type="code.asked", actor=link.id, subject=link.request_id, body=body, now=now)
    service.wake("codes")
    return way


def mint_code(service: Service, connection: Connection, code: Code, version: int, now: datetime) -> str | None:
    """Six digits about to be sent or read aloud; None where the code was voided meanwhile."""
    digits = _digits(service, code.id, version)
    minted = codes.mint(connection, code, _code_hash(service, code.id, digits), now + CODE_LIFE)
    return digits if minted else None


def said_again(service: Service, code_id: str, version: int, now: datetime) -> str | None:
    """The digits of a code that was minted and works now; None for any other."""
    digits = _digits(service, code_id, version)
    with service.database.read() as connection:
        code = codes.get(connection, code_id)
    if code is None or code.state != "sent" or code.code_hash is None or code.expires_at is None:
        return None
    same = hmac.compare_digest(code.code_hash, _code_hash(service, code_id, digits))
    return digits if same and code.expires_at > now else None


def verify_code(service: Service, cookie: str, digits: str, now: datetime) -> Try:
    """Try a code. The tenth wrong one in all locks the link and asks people to send a new one.

    Raises `LinkError` where the session leads to no living link.
    """
    digits = "".join(digits.split())
    with service.database.write() as connection:
        session, link = _entered(connection, cookie, now, lock=True)
        if not CODE.fullmatch(digits):
            return Try("malformed")
        code = codes.live(connection, link.id, now)
        number = codes.take_try(connection, code.id, TRIES_PER_CODE) if code else None
        if code is None or number is None or code.code_hash is None:
            return Try("no_code")
        if hmac.compare_digest(code.code_hash, _code_hash(service, code.id, digits)):
            return _verified(connection, session, link, code, now)
        return _failed(connection, link, TRIES_PER_CODE - number, now)


def visit(service: Service, cookie: str | None, now: datetime) -> Visit:
    """Who is here. Raises `LinkError` unless link and code were shown and both still hold."""
    if not cookie:
        raise LinkError
    with service.database.read() as connection:
        session, link = _entered(connection, cookie, now)
    if not session.verified:
        raise LinkError
    return Visit(session, link, cookie)


def known(service: Service, cookie: str | None, now: datetime) -> bool:
    """Whether a cookie belongs to a session, verified or not, whatever has become of its link."""
    if not cookie:
        return False
    with service.database.read() as connection:
        session = sessions.find(connection, cookie, now)
    return session is not None and session.kind == "link"


def keep_open(service: Service, seen: Visit, now: datetime) -> datetime:
    """Keep a listener's session from running out; returns until when they may be away, at most the link's own end."""
    until = now + SESSION_LIFE
    if until - seen.session.expires_at < RENEW_AFTER:
        return seen.ends_at
    with service.database.write() as connection:
        sessions.extend(connection, seen.session.id, until)
    return min(until, seen.link.expires_at)


def leave(service: Service, cookie: str | None, now: datetime) -> None:
    """End the session of a cookie, if it is one."""
    if not cookie:
        return
    with service.database.write() as connection:
        session = sessions.find(connection, cookie, now)
        if session is not None and session.kind == "link":
            sessions.end(connection, session.id)


def runs_out(sent_at: datetime) -> datetime:
    """The end of the thirtieth day after: a mail that says "through the 22nd" must be right at any hour of it."""
    last = (sent_at + LINK_LIFE).astimezone(ZONE).date()
    return datetime.combine(last + timedelta(days=1), time(), ZONE).astimezone(UTC)


def alive(link: Link, now: datetime) -> bool:
    return link.state == "open" and link.expires_at > now


def _entered(connection: Connection, cookie: str, now: datetime, *, lock: bool = False) -> tuple[Session, Link]:
    session = sessions.find(connection, cookie, now)
    if session is None or session.kind != "link" or session.link_id is None:
        raise LinkError
    link = links.get(connection, session.link_id, lock=lock)
    if link is None or not alive(link, now):
        raise LinkError
    # A used-up link still serves those who are in; it lets nobody else in.
    if not session.verified and link.openings >= OPENINGS:
        raise LinkError
    return session, link


def _verified(connection: Connection, session: Session, link: Link, code: Code, now: datetime) -> Try:
    if not codes.use(connection, code.id) or not links.count_opening(connection, link.id, OPENINGS, now):
        raise LinkError
    renamed = sessions.renamed(connection, session.id, verified=True, expires_at=now + SESSION_LIFE)
    if renamed is None:
        raise LinkError
    body = {"link_id": link.id}
    audit.append(connection, type="link.opened", actor=link.id, subject=link.request_id, body=body, now=now)
    return Try("verified", token=renamed[0])


def _failed(connection: Connection, link: Link, left: int, now: datetime) -> Try:
    failures = links.count_failure(connection, link.id, TRIES_PER_LINK)
    if failures is not None and failures < TRIES_PER_LINK:
        return Try("wrong", left=min(left, TRIES_PER_LINK - failures))
    links.end(connection, [link.id], "locked")
    _clear(connection, link.id)
    tasks.open_task(connection, "link_locked", link.request_id, now)
    body = {"link_id": link.id}
    audit.append(connection, type="link.locked", actor=link.id, subject=link.request_id, body=body, now=now)
    return Try("locked")


def _clear(connection: Connection, link_id: str) -> None:
    sessions.end_of_link(connection, link_id)
    codes.void_of_link(connection, link_id)
    outbox.void(connection, link_id)


def _digits(service: Service, code_id: str, version: int) -> str:
    return f"{int.from_bytes(_secret(service, 'digits', code_id, version)) % 1_000_000:06d}"


def _secret(service: Service, label: str, row_id: str, version: int) -> bytes:
    return hmac.digest(service.keyring.service_key(label), f"{row_id}\0{version}".encode(), sha256)


def _code_hash(service: Service, code_id: str, digits: str) -> bytes:
    """Keyed with a secret the database does not hold: against a plain hash, all million codes take a second to try."""
    return hmac.digest(service.keyring.service_key("codes"), f"{code_id}\0{digits}".encode(), sha256)
