"""Rows of data subjects' requests and of the recordings they matched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Select, delete, or_, select, union, update

from storage.catalogue.among import among
from storage.catalogue.recordings import Position
from storage.catalogue.upsert import insert_new
from storage.tables import metadata

requests = metadata.tables["requests"]
matches = metadata.tables["matches"]
holds = metadata.tables["holds"]
recordings = metadata.tables["recordings"]
calls = metadata.tables["calls"]

_OPEN = select(requests).where(requests.c.closed_at.is_(None)).order_by(requests.c.due_at, requests.c.id)


@dataclass(frozen=True)
class Request:
    """One request. `sealed` (whom it is about) opens under the request key, and that under the key `key_id` names."""

    id: str
    kind: str
    received_at: datetime
    due_at: datetime
    state: str = "received"
    outcome: str | None = None
    extended: bool = False
    reminded_at: datetime | None = None
    identity_method: str | None = None
    identity_by: str | None = None
    identity_at: datetime | None = None
    identity_asked_at: datetime | None = None
    identity_reminded_at: datetime | None = None
    answered_at: datetime | None = None
    closed_at: datetime | None = None
    key_id: str | None = None
    request_key: bytes | None = field(default=None, repr=False)
    sealed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Page:
    items: list[Request]
    next: Position | None


@dataclass(frozen=True)
class Match:
    """A recording a request may be about. If unticked, a person has to look at it: `doubt` is a code for why."""

    request_id: str
    recording_id: str
    ticked: bool = True
    doubt: str | None = None
    approved: bool = False


@dataclass(frozen=True)
class Listed:
    """A match with what it is listed by. `state` is None where the recording is gone."""

    match: Match
    state: str | None
    started_at: datetime | None
    brand: str | None

    @property
    def there(self) -> bool:
        """Whether there is a recording that something could still be done with."""
        return self.state is not None


def insert(connection: Connection, request: Request, found: Sequence[Match]) -> None:
    connection.execute(requests.insert().values(asdict(request)))
    match(connection, found)


def match(connection: Connection, found: Sequence[Match]) -> None:
    """Add matches; one that is there already stays as it is."""
    insert_new(connection, matches, [asdict(one) for one in found], conflict=["request_id", "recording_id"])


def get(connection: Connection, request_id: str) -> Request | None:
    return _one(connection, select(requests).where(requests.c.id == request_id))


def lock(connection: Connection, request_id: str) -> Request | None:
    """The request, its row locked until the transaction ends. Requests are locked before links."""
    return _one(connection, select(requests).where(requests.c.id == request_id).with_for_update())


def change(connection: Connection, request_id: str, *, when: Collection[str], **values: object) -> bool:
    """Set columns, only in one of these states. Says whether it did."""
    statement = update(requests).where(requests.c.id == request_id, requests.c.state.in_(when)).values(**values)
    return connection.execute(statement).rowcount == 1


def matched(connection: Connection, request_id: str) -> list[Match]:
    statement = select(matches).where(matches.c.request_id == request_id).order_by(matches.c.recording_id)
    return [Match(**row) for row in connection.execute(statement).mappings()]


def matched_of(connection: Connection, request_ids: Collection[str]) -> dict[str, list[str]]:
    """The recordings these requests matched, by request."""
    statement = select(matches.c.request_id, matches.c.recording_id).where(among(matches.c.request_id, request_ids))
    found: defaultdict[str, list[str]] = defaultdict(list)
    for request_id, recording_id in connection.execute(statement.order_by(matches.c.recording_id)):
        found[request_id].append(recording_id)
    return found


def listed(connection: Connection, request_id: str) -> list[Listed]:
    """Every match, the oldest call first and what is gone last."""
    started = recordings.c.call_started_at
    statement = (
        select(matches, recordings.c.state, started, calls.c.brand)
        .select_from(matches.outerjoin(recordings, recordings.c.id == matches.c.recording_id))
        .outerjoin(calls, calls.c.id == recordings.c.call_id)
        .where(matches.c.request_id == request_id)
        .order_by(started.is_(None), started, matches.c.recording_id)
    )
    return [Listed(Match(*row[:-3]), *row[-3:]) for row in connection.execute(statement)]


def tick(connection: Connection, request_id: str, recording_ids: Collection[str], chosen: Collection[str]) -> None:
    """Tick the chosen ones among these matches and untick the rest of them; other matches stay as they are."""
    those = update(matches).where(matches.c.request_id == request_id, among(matches.c.recording_id, recording_ids))
    connection.execute(those.values(ticked=among(matches.c.recording_id, chosen)))


def approve(connection: Connection, request_id: str, recording_ids: Collection[str]) -> None:
    """Mark these matches as approved, and no others."""
    chosen = among(matches.c.recording_id, recording_ids)
    connection.execute(update(matches).where(matches.c.request_id == request_id).values(approved=chosen))


def is_approved(connection: Connection, request_id: str, recording_id: str) -> bool:
    """Whether this request was granted for this recording."""
    this = matches.c.request_id == request_id, matches.c.recording_id == recording_id
    return connection.execute(select(matches.c.approved).where(*this)).scalar() is True


def unmatch(connection: Connection, request_id: str, recording_id: str) -> None:
    """Forget a match: the recording was gone before it could be held."""
    connection.execute(
        delete(matches).where(matches.c.request_id == request_id, matches.c.recording_id == recording_id)
    )


def open_ones(connection: Connection) -> list[Request]:
    """Requests not closed or refused, the most urgent first."""
    return [Request(**row) for row in connection.execute(_OPEN).mappings()]


def open_page(connection: Connection, *, limit: int = 50, after: Position | None = None) -> Page:
    """One page of the same, `limit` at most; `after` is where the page before ended."""
    statement = _OPEN.limit(limit + 1)
    if after is not None:
        due_at, request_id = after
        later = or_(requests.c.due_at > due_at, requests.c.id > request_id)
        statement = statement.where(requests.c.due_at >= due_at, later)
    found = [Request(**row) for row in connection.execute(statement).mappings()]
    last = found[limit - 1] if len(found) > limit else None
    return Page(found[:limit], (last.due_at, last.id) if last else None)


def to_remind(connection: Connection, due_before: datetime) -> list[Request]:
    """Unanswered requests whose deadline is near and of which nobody has been reminded.

    While the person is asked who they are, the deadline stands still.
    """
    statement = select(requests).where(
        requests.c.closed_at.is_(None),  # as in its partial index
        requests.c.state == "received",
        requests.c.due_at < due_before,
        requests.c.reminded_at.is_(None),
        requests.c.identity_asked_at.is_(None),
    )
    return [Request(**row) for row in connection.execute(statement).mappings()]


def ended_but_not_let_go(connection: Connection) -> list[str]:
    """Requests that are over but still have personal columns, or still hold recordings to answer them.

    The columns may be gone before the holds: they go with their key.
    """
    ended = select(requests.c.id).where(requests.c.closed_at.is_not(None))
    holding = select(holds.c.request_id).where(holds.c.kind == "access", holds.c.released_at.is_(None))
    # A union: for two conditions joined by OR, databases read every request there ever was.
    left = union(ended.where(requests.c.key_id.is_not(None)), ended.where(requests.c.id.in_(holding)))
    return list(connection.execute(left).scalars())


def _one(connection: Connection, statement: Select[tuple[object, ...]]) -> Request | None:
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else Request(**row)
