"""What tests do to a service's database from outside, on either kind."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect

from recorder.ports import Service
from storage.database import Database


def written_down(service: Service) -> bytes:
    """All that is kept, as it lies in files and in the columns of a server's tables."""
    kept = [path.read_bytes() for path in Path(service.settings.data_dir).rglob("*") if path.is_file()]
    return b"".join(kept) + (b"" if service.database.sqlite else _columns(service.database))


def _columns(database: Database) -> bytes:
    copied = bytearray()
    with database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        for table in inspect(connection).get_table_names():
            with driver.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)") as rows:
                for piece in rows:
                    copied += piece
    return bytes(copied)


def refuse(database: Database, event: str, table: str, *, when: str = "true", sqlstate: str = "P0001") -> None:
    """Have the database refuse an INSERT or UPDATE; a server says so with an error code of choice."""
    with database.write() as connection:
        if database.sqlite:
            body = "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        else:
            error = f"RAISE EXCEPTION 'refused' USING ERRCODE = '{sqlstate}'"
            connection.exec_driver_sql(
                f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {error}; END $$"
            )
            body = "EXECUTE FUNCTION refuse()"
        each = f"BEFORE {event} ON {table} FOR EACH ROW WHEN ({when})"
        connection.exec_driver_sql(f"CREATE TRIGGER refused {each} {body}")


def allow(database: Database, table: str) -> None:
    """Take the refusal back."""
    with database.write() as connection:
        if database.sqlite:
            connection.exec_driver_sql("DROP TRIGGER refused")
        else:
            connection.exec_driver_sql(f"DROP TRIGGER refused ON {table}")
            connection.exec_driver_sql("DROP FUNCTION refuse()")
