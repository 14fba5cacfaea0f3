"""A million live recordings, made by the database itself: rows as capture leaves them, but sealed by nobody's key."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from storage.clock import EPOCH, MICROSECOND
from storage.database import Database

COUNT = 1_000_000
DAYS = 90
DAY_US = 86_400_000_000


def fill(database: Database, now: datetime, count: int = COUNT) -> None:
    """Fill an empty database; what is in it expires evenly from tomorrow on, over 90 days."""
    sqlite = database.sqlite
    words = {
        "count": count,
        "id": "lower(hex(randomblob(13)))" if sqlite else "md5(random()::text)",
        "blob": "randomblob(32)" if sqlite else "sha256(random()::text::bytea)",
        "true": "1" if sqlite else "true",
        "false": "0" if sqlite else "false",
        "started": f"({micros(now)} + i * {DAYS * DAY_US // count} - {DAYS * DAY_US})",
        "ended": f"({micros(now)} + i * {DAYS * DAY_US // count} - {DAYS * DAY_US} + 300000000)",
        "expires": f"({micros(now)} + i * {DAYS * DAY_US // count} + {DAY_US})",
    }
    with database.engine.connect() as connection:
        if sqlite:
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
            connection.exec_driver_sql("PRAGMA cache_size=-1000000")
            connection.exec_driver_sql("BEGIN")
        else:
            connection.exec_driver_sql("SET statement_timeout = 0")
        for statement in STATEMENTS:
            connection.exec_driver_sql(statement.format(**words))
        connection.commit()
        if sqlite:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.invalidate()  # nothing else must run with its settings
    if not sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.exec_driver_sql("VACUUM ANALYZE")
            connection.invalidate()


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def take(connection: Connection, first: int, count: int) -> list[str]:
    """Ids of `count` of them from `first` on; the same numbers give the same ids."""
    found = connection.exec_driver_sql(
        f"SELECT id FROM recordings WHERE queue = 'crowd' ORDER BY id LIMIT {count} OFFSET {first}"
    )
    return list(found.scalars())


STATEMENTS = (
    """CREATE TEMPORARY TABLE crowd AS
    WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {count})
    SELECT i, {id} AS id FROM n ORDER BY 2""",
    """INSERT INTO calls (id, ref, platform, direction, segment, state, opened_at, started_at, ended_at, opened,
        key_id, call_key, sealed)
    SELECT 'cal_' || id, {blob}, 'standard', 'inbound', 'private_inbound', 'over', {started}, {started}, {ended},
        {true}, 'key_' || (i * 90 / {count}), {blob}, {blob} FROM crowd""",
    """INSERT INTO consents (id, call_id, decision, method, at, clock, received_at, digit, script)
    SELECT 'con_' || id, 'cal_' || id, 'granted', 'dtmf', {started}, 'platform', {started}, '1', 'inbound-da@1'
    FROM crowd""",
    """INSERT INTO recordings (id, call_id, ref, platform, segment, direction, queue, state, by_answer,
        maybe_by_answer, started_at, ended_at, available_at, call_started_at, call_ended_at, expires_at, expiry_day,
        stored_at, holds, channels, duration_ms, size_bytes, content_type, attempt, tries, key_id, dek, sealed)
    SELECT 'rec_' || id, 'cal_' || id, {blob}, 'standard', 'private_inbound', 'inbound', 'crowd', 'stored', {true},
        {false}, {started}, {ended}, {ended}, {started}, {ended}, {expires}, '2099' || (1000 + i * 90 / {count}),
        {ended}, 0, 2, 300000, 4800000, 'audio/wav', 1, 0, 'key_' || (i * 90 / {count}), {blob}, {blob} FROM crowd""",
    """INSERT INTO attempts (id, recording_id, number, rendition, object_key, state, created_at, head, plain_bytes,
        sealed_bytes, content_type)
    SELECT 'att_' || id, 'rec_' || id, 1, 'original', 'private_inbound/20990101/' || id, 'kept', {ended}, {blob},
        4800000, 4804744, 'audio/wav' FROM crowd""",
    "INSERT INTO marks (mark, recording_id, kind) SELECT {blob}, 'rec_' || id, 'phone' FROM crowd",
    "INSERT INTO key_uses (recording_id, day) SELECT 'rec_' || id, '20990101' FROM crowd",
    "DROP TABLE crowd",
)
