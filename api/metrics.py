"""What operators watch, and nothing about a customer.

Labels are small closed sets: route templates, methods, statuses, codes, the numbers of our own lines. Some figures are
this process's own (requests). Others are those of all replicas together: they are read from the database when asked
for, and are the same on each. docs/operating.md says which are which.
"""

from __future__ import annotations

import json
import re
import threading
import time

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy import Connection

from api.routing import CODE
from recorder import __version__
from recorder.ports import Service
from storage import audit
from storage.catalogue import figures

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
CAPTURE_BUCKETS = (1, 2, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)  # a consent may be a day late
SLOW_EVERY = 300.0  # seconds between readings of figures that look at every recording's row
ENTRIES = 10_000  # of the audit log counted per reading; the next one counts the rest

_WORD = re.compile(r"[a-z_]{1,40}")


class Metrics:
    """The figures of one application, in a registry of their own: two applications may live in one process."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "recorder_http_requests", "answers given", ["route", "method", "status"], registry=self._registry
        )
        self._refusals = Counter(
            "recorder_http_refusals",
            "answers that were an error, by its code",
            ["route", "code"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "recorder_http_request_seconds", "time to answer", ["route"], buckets=BUCKETS, registry=self._registry
        )
        self._unrecorded = Counter(
            "recorder_calls_connected_unrecorded",
            "calls connected unrecorded, for we could not",
            registry=self._registry,
        )
        self._acts = Counter(
            "recorder_acts",
            "entries of the audit log since this process was first asked, by all processes",
            ["type", "reason"],
            registry=self._registry,
        )
        self._captures = Histogram(
            "recorder_capture_seconds",
            "time from announced and the call over to stored, since this process was first asked, by all processes",
            buckets=CAPTURE_BUCKETS,
            registry=self._registry,
        )
        Gauge("recorder_info", "the version that runs", ["version"], registry=self._registry).labels(__version__).set(1)
        self._figures = {
            name: Gauge(f"recorder_{name}", text, labels, registry=self._registry)
            for name, text, labels in figures.NAMES
        }
        self._reading = threading.Lock()  # two readers at once would count the same acts twice
        self._slow_at = -SLOW_EVERY
        self._counted: int | None = None

    def count(self, request: web.Request, route: str, status: int, seconds: float) -> None:
        method = request.method if request.method in METHODS else "other"
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if code := request.get(CODE):
            self._refusals.labels(route, code).inc()

    def connected_unrecorded(self) -> None:
        self._unrecorded.inc()

    def text(self) -> bytes:
        """The exposition, with the catalogue's figures read now, slow ones every `SLOW_EVERY` seconds. Thread-safe."""
        with self._reading, self._service.database.read() as connection:
            found = figures.quick(connection, self._service.clock())
            if time.monotonic() - self._slow_at >= SLOW_EVERY:
                found |= figures.slow(connection)
                self._slow_at = time.monotonic()
            self._count_acts(connection)
        for name, values in found.items():
            gauge = self._figures[name]
            if values.keys() != {()}:
                gauge.clear()
            for labels, value in values.items():
                (gauge.labels(*labels) if labels else gauge).set(value)
        return generate_latest(self._registry)

    def _count_acts(self, connection: Connection) -> None:
        if self._counted is None:
            self._counted = audit.size(connection)
        stored = []
        for seq, kind, subject, body in audit.after(connection, self._counted, ENTRIES):
            self._acts.labels(kind, _reason(body)).inc()
            self._counted = seq
            if kind == "recording.stored":
                stored.append(subject)
        for seconds in figures.capture_seconds(connection, stored) if stored else ():
            self._captures.observe(seconds)


def _reason(body: str) -> str:
    """The code in an entry's `reason`, or an empty text: what is not a code of ours must not become a label."""
    reason = json.loads(body).get("reason")
    return reason if isinstance(reason, str) and _WORD.fullmatch(reason) else ""


METRICS = web.AppKey("metrics", Metrics)
