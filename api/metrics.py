"""What operators watch. Labels are small closed sets: route templates, methods, statuses; never an id or a number."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from recorder.ports import Service
from storage.catalogue import figures

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The figures of one application, in a registry of their own: two applications may live in one process."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "recorder_http_requests", "answers given", ["route", "method", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "recorder_http_request_seconds", "time to answer", ["route"], buckets=BUCKETS, registry=self._registry
        )
        self._figures = {
            name: Gauge(f"recorder_{name}", text, labels, registry=self._registry)
            for name, text, labels in figures.NAMES
        }

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(route, method if method in METHODS else "other", str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """The exposition, with the catalogue's figures as they are now. Reads the database."""
        with self._service.database.read() as connection:
            found = figures.read(connection, self._service.clock())
        for name, values in found.items():
            gauge = self._figures[name]
            if values.keys() != {()}:
                gauge.clear()
            for labels, value in values.items():
                (gauge.labels(*labels) if labels else gauge).set(value)
        return generate_latest(self._registry)


METRICS = web.AppKey("metrics", Metrics)
