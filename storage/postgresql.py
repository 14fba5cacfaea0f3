"""How we connect to a PostgreSQL server, and what its errors mean to us.

Every wait has an end: a process that is paused or cut off in the middle of a transaction must not keep others from the
rows it has locked for longer than a lease lasts, and nobody waits for a server that is away.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

CONNECT_SECONDS = 5
POOL_SECONDS = 10  # for a connection, while all are in use
STAYING, AT_MOST = 6, 18  # connections of a process: kept open, and open while much is going on
SESSION = {  # seconds
    "statement_timeout": 60,
    "lock_timeout": 10,
    "idle_in_transaction_session_timeout": 20,  # less than a lease, so that another may go on with the locked rows
}
SILENCE = {  # the network's: after about half a minute without an answer, nobody is there
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
BUSY = frozenset(["40001", "40P01", "55P03", "57014"])  # not serializable, deadlock, no lock in time, no answer in time
FULL = frozenset(["53100"])
UNUSABLE = "42"  # the class of errors for tables, columns and rights that are not there


def engine(url: str, *, size: int = STAYING, most: int = AT_MOST, autocommit: bool = False) -> Engine:
    """A pool of connections, each tried before it is used. The URL may override any of our settings.

    With `autocommit`, every statement is a transaction and no connection is tried: one trip to the server, not four.
    """
    said = make_url(url).query
    options = " ".join(f"-c {name}={seconds}s" for name, seconds in SESSION.items())
    ours: dict[str, Any] = {"application_name": "recorder", "connect_timeout": CONNECT_SECONDS, **SILENCE}
    arguments = {name: value for name, value in ours.items() if name not in said}
    arguments["options"] = f"{options} {said.get('options', '')}".strip()
    return create_engine(
        url,
        connect_args=arguments,
        pool_size=size,
        max_overflow=most - size,
        pool_timeout=POOL_SECONDS,
        pool_pre_ping=not autocommit,
        isolation_level="AUTOCOMMIT" if autocommit else None,
        hide_parameters=True,  # a statement in a log must not carry what it was about
    )


def is_full(error: BaseException) -> bool:
    return _sqlstate(error) in FULL


def is_busy(error: BaseException) -> bool:
    """Whether the same transaction may well succeed the next time."""
    return _sqlstate(error) in BUSY


def is_unusable(error: BaseException) -> bool:
    """Whether the server lets us in, but has another schema or gives us too few rights."""
    return _sqlstate(error).startswith(UNUSABLE)


def _sqlstate(error: BaseException) -> str:
    """The driver's error, bare or as SQLAlchemy wraps it."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""
