"""A refusal over JSON, as clients tell one from another."""

from __future__ import annotations

from typing import Any


async def problem(answer: Any) -> tuple[int, str]:
    return answer.status, (await answer.json(content_type="application/problem+json"))["code"]
