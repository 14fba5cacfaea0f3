"""What every table is made of."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import JSON, Column, LargeBinary, MetaData
from sqlalchemy import Table as SqlTable
from sqlmodel import Field, SQLModel

from storage.clock import Instant

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)


class Table(SQLModel):
    metadata = metadata
    __table__: ClassVar[SqlTable]  # what statements are made of


def instant(*, index: bool = False, nullable: bool = True) -> Any:
    return Field(default=None, sa_column=Column(Instant, index=index, nullable=nullable))


def blob(*, index: bool = False, unique: bool = False, nullable: bool = True, primary: bool = False) -> Any:
    return Field(
        default=None,
        sa_column=Column(
            LargeBinary, index=index, unique=unique, nullable=nullable and not primary, primary_key=primary
        ),
    )


def document() -> Any:
    return Field(default=None, sa_column=Column(JSON, nullable=True))
