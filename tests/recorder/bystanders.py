"""Rows for all other tables, as many as a crowd has recordings, made up from nothing but their columns' types.

Everything in them is over: answered, sent, released, destroyed. Tests add what is to wait among them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Float, Integer, LargeBinary, Table

from storage.clock import Instant
from storage.database import Database
from storage.tables import metadata
from tests.bench.crowd import micros

FEW = frozenset(  # these stay small, however many calls a house has had
    ("audit_head", "canaries", "compatibility", "forecast", "keys", "leases", "scripts", "tokens")
)
CROWD = frozenset(("attempts", "calls", "consents", "key_uses", "marks", "recordings"))  # filled by `crowd`
GROWING = sorted(metadata.tables.keys() - FEW)
OVER = {"inbox": "done", "source_deletions": "done", "outbox": "sent", "codes": "used"}
PAST = ("due_at", "review_at")
NOT_TO_BE_FORGOTTEN = timedelta(days=60)  # as what is old is by any job that comes by


def fill(database: Database, now: datetime) -> None:
    """Fill all that `crowd.fill` leaves empty."""
    with database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TEMPORARY TABLE among AS SELECT row_number() OVER (ORDER BY id) AS i, id, call_id FROM recordings"
        )
        for table in metadata.sorted_tables:
            if table.name not in FEW | CROWD:
                names = ", ".join(column.name for column in table.columns)
                values = ", ".join(_value(database, table, column, now) for column in table.columns)
                connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) SELECT {values} FROM among")
        connection.exec_driver_sql("UPDATE audit_head SET size = (SELECT max(seq) FROM audit)")
        connection.exec_driver_sql("DROP TABLE among")
    if not database.sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _value(database: Database, table: Table, column: Column[Any], now: datetime) -> str:
    """What a column holds in the i-th row, in SQL."""
    name, kind = column.name, column.type
    if name in {"recording_id", "call_id", "parent_call_id"}:
        return "id" if name == "recording_id" else "call_id"
    if name == "seq":
        return "1000 + i"
    if name in {"key_id", "sealed", "body", "request_key"} and column.nullable:
        return "NULL"  # its day is over
    if isinstance(kind, Instant):
        return f"{micros(now - NOT_TO_BE_FORGOTTEN if name in PAST else now + NOT_TO_BE_FORGOTTEN)} + i"
    random = "randomblob(16)" if database.sqlite else "sha256(random()::text::bytea)"
    for plain, value in ((LargeBinary, random), (Boolean, "true"), (Integer | Float, "0"), (JSON, "NULL")):
        if isinstance(kind, plain):
            return value
    apart = name == "id" or name.endswith("_id") or name == "subject"
    return f"'{name}_' || i" if apart else f"'{OVER.get(table.name, 'closed') if name == 'state' else 'other'}'"
