"""How many recordings are meant to expire on each day (`yyyymmdd`, UTC)."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from storage.catalogue.upsert import inserting
from storage.tables import ForecastRow

forecast = ForecastRow.__table__


def adjust(connection: Connection, day: str, delta: int) -> None:
    """Count `delta` more recordings (or fewer) that expire on a day."""
    connection.execute(_adjusting(connection.dialect.name), {"day": day, "due": delta})


def expected(connection: Connection, day: str) -> int:
    """How many are meant to expire on a day."""
    return connection.execute(select(forecast.c.due).where(forecast.c.day == day)).scalar_one_or_none() or 0


def forget_before(connection: Connection, day: str) -> int:
    """Forget the days before this one."""
    return connection.execute(delete(forecast).where(forecast.c.day < day)).rowcount


@cache
def _adjusting(dialect: str) -> sqlite.Insert | postgresql.Insert:
    statement = inserting(dialect, forecast)
    return statement.on_conflict_do_update(
        index_elements=["day"], set_={"due": forecast.c.due + statement.excluded.due}
    )
