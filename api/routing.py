"""What a route is. One without a declared permission cannot be made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from recorder.ports import Actor, Service

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ROLES = frozenset({"platform", "agent", "reviewer", "dpo", "operator", "auditor"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
SAFE_METHODS = frozenset({"GET", "HEAD"})

SERVICE = web.AppKey("service", Service)
REQUEST_ID = web.RequestKey("request_id", str)
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
    pool: Literal["default", "audio", "push"] = "default"
    streams: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS or not self.path.startswith("/"):
            raise TypeError(f"not a route: {self.method} {self.path}")
        if not isinstance(self.permission, Roles) and self.permission not in {"public", "signature", "session"}:
            raise TypeError(f"{self.method} {self.path} declares no permission")


ROUTE = web.RequestKey("route", Route)
