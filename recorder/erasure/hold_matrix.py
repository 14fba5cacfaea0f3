"""What a hold does to an erasure, as a table. Pure: who asked and which holds stand are arguments."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

HoldKind = Literal["access", "legal", "dispute", "restriction"]
Cause = Literal["expiry", "withdrawal", "order"]
Verdict = Literal["go", "warn", "ask", "wait", "refuse"]

KINDS: tuple[HoldKind, ...] = ("access", "legal", "dispute", "restriction")
STRICT = frozenset({"legal", "dispute", "restriction"})
ROLES_THAT_ORDER = frozenset({"dpo", "operator"})

_UNDER_ACCESS: dict[Cause, Verdict] = {"expiry": "wait", "withdrawal": "ask", "order": "warn"}
_UNDER_STRICT: dict[Cause, Verdict] = {"expiry": "wait", "withdrawal": "wait", "order": "refuse"}


def verdict(kinds: Collection[str], cause: Cause) -> Verdict:
    """`go` and `warn` erase now; `ask` needs the person's choice; `wait` erases when the last hold ends."""
    if STRICT.intersection(kinds):
        return _UNDER_STRICT[cause]
    return _UNDER_ACCESS[cause] if kinds else "go"


def cause_of(reason: str, role: str) -> Cause:
    """An officer's erasure is an order, whatever the reason; `expired` is an expiry; any other is a withdrawal."""
    if role in ROLES_THAT_ORDER:
        return "order"
    return "expiry" if reason == "expired" else "withdrawal"
