"""How the process logs: one line an event on stderr, ids only, and tracebacks without the values of variables.

structlog's own default prints every local variable of every frame, keys and numbers included: it must never be used.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

# Names of fields that are dropped, should somebody try to log them.
FORBIDDEN = frozenset(
    {
        "account",
        "body",
        "code_text",
        "cookie",
        "email",
        "from",
        "headers",
        "mobile",
        "number",
        "phone",
        "query",
        "to",
        "token",
        "url",
    }
)


def configure(stream: TextIO | None = None) -> None:
    """Log to `stream`, or stderr: at a terminal warnings for people, elsewhere all from info up as JSON lines."""
    into = stream or sys.stderr
    person = into.isatty()
    rendering: list[Any] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if person
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            without_personal_data,
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING if person else logging.INFO),
        logger_factory=lambda *_: structlog.WriteLogger(into),
        cache_logger_on_first_use=False,
    )


def without_personal_data(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop fields whose names say that they are personal or secret."""
    for name in FORBIDDEN.intersection(event):
        del event[name]
    return event
