"""Actors: to whom an act in the audit log is attributed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """Who does it: a random id and a role, fit for the audit log. `system` acts by rule."""

    id: str
    role: str  # platform | agent | reviewer | dpo | operator | auditor | customer | system


SYSTEM = Actor("system", "system")
