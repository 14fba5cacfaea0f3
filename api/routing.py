"""What a route is. One without a declared permission cannot be made."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from aiohttp import web

from recorder.actors import Actor
from recorder.ports import Service

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ROLES = frozenset({"platform", "agent", "reviewer", "dpo", "operator", "auditor"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
SAFE_METHODS = frozenset({"GET", "HEAD"})

DRAINING = web.AppKey("draining", threading.Event)  # set once the process was told to stop
UNDER_WAY = web.AppKey("under_way", set[int])  # `id()` of each request still being sent or waiting for its answer
SERVICE = web.AppKey("service", Service)
REQUEST_ID = web.RequestKey("request_id", str)
CODE = web.RequestKey("code", str)  # of the error, as the answer has it
SESSION_ENDS = web.RequestKey("session_ends", datetime)  # when the visitor is logged out unless they do something
ACTOR = web.RequestKey("actor", Actor)  # set before the handler of a route with `roles` or `staff` runs


@dataclass(frozen=True)
class Roles:
    """Staff and machines: which roles, and whether they come with a bearer token or with the console's cookie.

    The two are kept apart so that the JSON API has no ambient authority a foreign page could borrow.
    """

    names: frozenset[str]
    by: Literal["token", "cookie"]

    def __post_init__(self) -> None:
        if not self.names or not self.names <= ROLES:
            raise TypeError(f"unknown roles: {sorted(self.names - ROLES) or 'none given'}")


def roles(*names: str) -> Roles:
    """Permission of a JSON route: a bearer token of one of these roles."""
    return Roles(frozenset(names), "token")


def staff(*names: str) -> Roles:
    """Permission of a console page: signed in with a token of one of these roles."""
    return Roles(frozenset(names), "cookie")


Shape = type | Mapping[str, Any]  # a type of `api/schemas.py`, or JSON Schema of what is read by other means


@dataclass(frozen=True)
class Contract:
    """What a route takes and gives, for `/openapi.json`. JSON bodies and queries are read by these very types."""

    takes: Mapping[str, Shape] = field(default_factory=dict)  # media type → what
    optional: bool = False  # the body may be left out
    query: Shape | None = None
    headers: tuple[str, ...] = ()  # read besides those of permission, ranges and keys
    gives: Mapping[int, Shape | str | None] = field(default_factory=dict)  # status → what, a media type, or nothing
    refuses: tuple[str, ...] = ()  # error codes of its own
    once: bool = False  # takes an Idempotency-Key


# public: anybody. signature: the handler verifies the platform's. session: the handler verifies the customer's.
Permission = Literal["public", "signature", "session"] | Roles


@dataclass(frozen=True)
class Route:
    """One method on one path. `GET` does not imply `HEAD`: a scanner's HEAD must find nothing to consume.

    `pool` names the threads `run` uses; `streams` routes read their body themselves, all others get theirs read once,
    within the size limit and a time limit, before the handler starts.
    """

    method: str
    path: str
    handler: Handler
    permission: Permission
    pool: Literal["default", "webhook", "audio", "push"] = "default"
    streams: bool = False
    contract: Contract | None = None  # None: a page, not part of the API

    def __post_init__(self) -> None:
        if self.method not in METHODS or not self.path.startswith("/"):
            raise TypeError(f"not a route: {self.method} {self.path}")
        if not isinstance(self.permission, Roles) and self.permission not in {"public", "signature", "session"}:
            raise TypeError(f"{self.method} {self.path} declares no permission")


ROUTE = web.RequestKey("route", Route)
