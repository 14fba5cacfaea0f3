"""Who is asking, by bearer token or by staff cookie; and whether another site's page sent the request."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from aiohttp import web

from api.origins import origin
from api.pools import run
from api.routing import ACTOR, ROUTE, SAFE_METHODS, SERVICE, SESSION_ENDS, Roles
from recorder import tokens
from recorder.actors import Actor
from recorder.errors import CrossSiteError, ForbiddenError, UnauthenticatedError
from recorder.ports import Service
from storage.catalogue import sessions
from storage.catalogue.sessions import Session

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=8)
CONSOLE_ROLES = frozenset({"agent", "reviewer", "dpo"})

STAFF_SESSION = web.RequestKey("staff_session", Session)


async def admit(request: web.Request) -> None:
    """Admit the request if its route's permission allows it, else raise. Sets `request[ACTOR]` where it names roles."""
    route = request[ROUTE]
    permission = route.permission
    if request.method not in SAFE_METHODS and permission != "signature":
        refuse_other_sites(request)
    if not isinstance(permission, Roles):
        return
    if permission.by == "token":
        actor = await run(request, tokens.authenticate, request.app[SERVICE], bearer(request), now(request))
    else:
        actor = await _by_cookie(request)
    request[ACTOR] = actor
    if actor.role not in permission.names:
        raise ForbiddenError


def now(request: web.Request) -> datetime:
    return request.app[SERVICE].clock()


def bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError
    return token.strip()


def refuse_other_sites(request: web.Request) -> None:
    """Raise `CrossSiteError` where the browser says that another site's page sent this request.

    Browsers since 2023 all send `Sec-Fetch-Site` to us (https or loopback); for older ones `Origin` decides. A client
    that sends neither is not a browser, and carries no cookies it did not mean to send.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in {"same-origin", "none"}:
            raise CrossSiteError
        return
    sender = request.headers.get("Origin")
    if sender is not None and sender != origin(request.app[SERVICE].settings.http.public_url):
        raise CrossSiteError


def cookie_name(service: Service, name: str) -> str:
    """`name`, under https with `__Host-`: it ties a cookie to this very host, and browsers refuse it without https."""
    return f"__Host-{name}" if service.settings.http.secure else name


def set_cookie(response: web.StreamResponse, service: Service, name: str, value: str) -> None:
    response.set_cookie(
        cookie_name(service, name),
        value,
        path="/",
        secure=service.settings.http.secure,
        httponly=True,
        samesite="Strict",
    )


def drop_cookie(response: web.StreamResponse, service: Service, name: str) -> None:
    response.del_cookie(
        cookie_name(service, name), path="/", secure=service.settings.http.secure, httponly=True, samesite="Strict"
    )


def session_seconds(request: web.Request) -> int:
    """For how many seconds the visitor stays logged in without doing anything."""
    return max(0, int((request[SESSION_ENDS] - now(request)).total_seconds()))


def sign_in(service: Service, token: str, moment: datetime) -> str:
    """Open a console session for a staff token; gives the cookie's value.

    Raises `UnauthenticatedError` for an invalid token, `ForbiddenError` for one that is not staff's.
    """
    actor = tokens.authenticate(service, token, moment)
    if actor.role not in CONSOLE_ROLES:
        raise ForbiddenError
    with service.database.write() as connection:
        cookie, _session = sessions.start(
            connection, kind="staff", token_id=actor.id, verified=True, now=moment, expires_at=moment + IDLE
        )
    return cookie


def sign_out(service: Service, session: Session) -> None:
    with service.database.write() as connection:
        sessions.end(connection, session.id)


async def _by_cookie(request: web.Request) -> Actor:
    service = request.app[SERVICE]
    cookie = request.cookies.get(cookie_name(service, "staff"), "")
    try:
        session, actor = await run(request, signed_in, service, cookie, now(request))
    except UnauthenticatedError:
        if request.method == "GET":
            raise web.HTTPSeeOther("/console/sign-in") from None
        raise
    request[STAFF_SESSION] = session
    request[SESSION_ENDS] = session.expires_at
    return actor


def signed_in(service: Service, cookie: str, moment: datetime) -> tuple[Session, Actor]:
    """The session of a cookie, and whose it is. Using it keeps it open, for eight hours at most.

    A session ends with its token: those of a revoked token open nothing. Raises `UnauthenticatedError`.
    """
    with service.database.read() as connection:
        session = sessions.find(connection, cookie, moment)
    if session is None or session.kind != "staff" or session.token_id is None:
        raise UnauthenticatedError
    actor = tokens.holder(service, session.token_id, moment)
    until = min(moment + IDLE, session.created_at + LONGEST)
    if until - session.expires_at > timedelta(minutes=1):
        with service.database.write() as connection:
            sessions.extend(connection, session.id, until)
        session = replace(session, expires_at=until)
    return session, actor
