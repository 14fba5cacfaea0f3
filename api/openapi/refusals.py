"""How requests are refused: which codes a route may answer with, and what each looks like."""

from __future__ import annotations

from http import HTTPStatus

import recorder.errors
import storage.errors
from api import schemas
from api.openapi.parts import REFERENCE, Json, headers
from api.problems import AGAIN, STATUS
from api.routing import SAFE_METHODS, Contract, Roles, Route
from storage.errors import RecorderError

PROBLEM = "application/problem+json"
# Codes any route may answer with, by what it does.
EVERYWHERE = ("internal", "storage", "database_unavailable", "database_busy", "database_full", "timeout")
WITH_TOKEN = ("unauthenticated", "forbidden", "key_unavailable")
WITH_BODY = ("invalid_input", "too_large")
AUDIO = ("store_unavailable", "store_refused", "store_clock")
SIGNED = ("signature", "invalid_event", "too_large", "inbox_full")


def refusal(status: int, codes: list[str], *, page: bool) -> Json:
    """One status and the codes that may come with it; in HTML where it is a `page` for people."""
    extra = ["Retry-After"] if status in AGAIN else ["WWW-Authenticate"] if "unauthenticated" in codes else []
    problem = {
        "schema": {"$ref": REFERENCE.format(model="Problem")},
        "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
    }
    return {
        "description": ", ".join(f"`{code}`" for code in codes),
        "headers": headers("X-Request-ID", *extra),
        "content": {"text/html": {}} if page else {PROBLEM: problem},
    }


def codes(route: Route, contract: Contract) -> set[str]:
    """The codes a route may answer with: those it declares, and those that follow from what it is."""
    found = {*EVERYWHERE, *contract.refuses}
    if isinstance(route.permission, Roles):
        found.update(WITH_TOKEN)
    elif route.permission == "signature":
        found.update(SIGNED)
    if route.method not in SAFE_METHODS and route.permission != "signature":
        found.add("cross_site")
    if contract.takes or contract.query or contract.once:
        found.update(WITH_BODY)
    if contract.once:
        found.update(("idempotency_in_use", "idempotency_reused"))
    if route.pool in {"audio", "push"}:
        found.update(AUDIO)
    if "{id}" in route.path:
        found.add("not_found")
    return found


def examples() -> dict[str, Json]:
    """What each code looks like."""
    kinds: dict[str, type[RecorderError]] = {}
    for module in (storage.errors, recorder.errors):
        for one in vars(module).values():
            if isinstance(one, type) and issubclass(one, RecorderError):
                kinds.setdefault(one.code, one)
    found = {}
    for code, status in STATUS.items():
        phrase = HTTPStatus(status).phrase
        kind = kinds.get(code)
        problem = schemas.Problem(
            type=f"urn:recorder:error:{code}",
            title=phrase,
            status=status,
            code=code,
            detail=str(kind()) if kind else phrase.lower(),
            request_id="0Yk3cJ8wZs2nQ1xR",
            hint=kind.hint if kind else None,
        )
        found[code] = problem.model_dump(exclude_none=True)
    return found
