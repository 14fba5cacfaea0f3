"""Blanks calls of which nothing is kept any more: their day and codes such as the class remain, to be counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Connection, and_, delete, exists, or_, select, type_coerce, update

from storage.catalogue import relatives, seen
from storage.catalogue.among import among
from storage.catalogue.calls import LONGEST_CALL
from storage.catalogue.relatives import NEEDING_THEIR_CALL
from storage.catalogue.sweeping import DAY_US
from storage.clock import Instant, midnight, utc_day
from storage.tables import metadata

_recordings = metadata.tables["recordings"]
_calls = metadata.tables["calls"]
_legs = metadata.tables["legs"]
_attempts = metadata.tables["attempts"]

EVIDENCE = ("consents", "parties", "spans", "legs")  # deleted with a call, by `call_id`

_BLANK_RECORDING: dict[str, object] = dict.fromkeys(
    (
        "ref",
        "started_at",
        "ended_at",
        "available_at",
        "call_ended_at",
        "spans",
        "channels",
        "content_type",
        "duration_ms",
        "size_bytes",
        "next_try_at",
        "lease",
        "lease_until",
        "key_id",
        "dek",
        "sealed",
    )
)

_BLANK: dict[str, object] = {
    "state": "blank",
    "ref": None,
    "started_at": None,
    "ended_at": None,
    "settle_at": None,
    "skew_us": None,
    "key_id": None,
    "call_key": None,
    "sealed": None,
}

_OPENED_AT = type_coerce(_calls.c.opened_at, BigInteger)  # microseconds
_OPENED_ON = type_coerce(_OPENED_AT - _OPENED_AT % DAY_US, Instant)


def blank_calls(connection: Connection, call_ids: Sequence[str], now: datetime) -> None:
    """Blank those of these calls that no recording needs any more: key, evidence and times go.

    Their day and codes such as the class remain, to be counted. A call that is still going on stays as it is: what is
    said after a new consent may be kept.
    """
    needed = exists().where(_recordings.c.call_id == _calls.c.id, _recordings.c.state.in_(NEEDING_THEIR_CALL))
    over = or_(_calls.c.state != "open", _calls.c.opened_at <= now - LONGEST_CALL)
    # Not `id NOT IN (…)`: for that, even with few calls, PostgreSQL would read every recording there ever was.
    unneeded = select(_calls.c.id, _calls.c.ref).where(
        among(_calls.c.id, call_ids), ~needed, _calls.c.state != "blank", over
    )
    calls = connection.execute(unneeded).all()
    if not calls:
        return
    _remember(connection, {call.id: call.ref for call in calls}, now)
    ids = [call.id for call in calls]
    connection.execute(update(_calls).where(among(_calls.c.id, ids)).values(opened_at=_OPENED_ON, **_BLANK))
    relatives.bequeath(connection, ids)
    _blank_discarded(connection, ids, now)
    for name in EVIDENCE:
        table = metadata.tables[name]
        connection.execute(delete(table).where(among(table.c.call_id, ids)))


def _remember(connection: Connection, refs: Mapping[str, bytes | None], now: datetime) -> None:
    """Remember that these calls existed, and in which somebody said no: those under each of their ids."""
    noes = relatives.refused(connection, refs)
    after = max(noes.values(), default=now)
    plain = [ref for call_id, ref in refs.items() if ref is not None and call_id not in noes]
    refused = [ref for call_id, ref in refs.items() if ref is not None and call_id in noes]
    further = select(_legs.c.ref).where(among(_legs.c.call_id, noes), _legs.c.ref.is_not(None))
    seen.add_all(connection, plain, "call", now)
    seen.add_all(connection, refused, seen.REFUSED, max(now, after))
    seen.add_all(connection, connection.execute(further).scalars(), seen.LEG, max(now, after))


def blank_or_settle(connection: Connection, call_ids: Collection[str], now: datetime) -> None:
    """Blank these calls, except those that an undecided recording of a linked call still waits for.

    Whom a call's yes covers can be decided only while its numbers are known: such a call stays and is settled later.
    """
    staying = relatives.waited_for(connection, call_ids)
    over = among(_calls.c.id, staying) & (_calls.c.state == "over")
    connection.execute(update(_calls).where(over).values(settle_at=now))
    blank_calls(connection, sorted(set(call_ids) - set(staying)), now)


def _blank_discarded(connection: Connection, call_ids: Sequence[str], now: datetime) -> None:
    """Blank recordings that were never kept, down to a day, the reason and codes such as the class.

    Uploads that are not gone yet keep their rows: they are erased on their own.
    """
    discarded = and_(among(_recordings.c.call_id, call_ids), _recordings.c.state == "discarded")
    refs = connection.execute(select(_recordings.c.ref).where(discarded, _recordings.c.ref.is_not(None))).scalars()
    seen.add_all(connection, refs, "recording", now)
    uploaded = _attempts.c.recording_id.in_(select(_recordings.c.id).where(discarded))
    connection.execute(delete(_attempts).where(uploaded, _attempts.c.state == "gone"))
    blank = {**_BLANK_RECORDING, "call_started_at": midnight(utc_day(now))}
    connection.execute(update(_recordings).where(discarded).values(blank))
