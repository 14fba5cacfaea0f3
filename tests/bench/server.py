"""`python -m tests.bench.server KIND pinned|free FOLDER [DATABASE]`: prints its port, and serves webhooks.

`durable` is what `recorder serve` starts: jobs run in a process of their own, apply events and write the audit log.
`accepting` does without them, `unkept` without a database too, and `bare` even without reading the event. `naive` is
`accepting` as most would write it: with a session, and a commit, for every event.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
import time
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path

from aiohttp import web
from sqlmodel import Session

from api import heap
from api.app import create_app
from api.server import listening
from api.worker import Worker
from recorder.calls import intake
from recorder.events import Event
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from storage.clock import new_id
from storage.columns import wrap
from storage.tables import InboxRow
from tests.bench.serving import forever
from tests.bench.webhooks import SECRET


class Unkept:
    """The inbox without its database: seals like the real one, then forgets."""

    def __init__(self, service: Service) -> None:
        self._keyring = service.keyring

    def submit(self, platform: str, call_ref: bytes, dedupe: bytes, body: bytes, received_at: datetime) -> Future[bool]:
        wrap(self._keyring.inbox_key(received_at), body, table="inbox", column="body", row_id="x")
        done: Future[bool] = Future()
        done.set_result(True)
        return done


class Naive:
    """The inbox with a session for each event, in the handler."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def submit(self, platform: str, call_ref: bytes, dedupe: bytes, body: bytes, received_at: datetime) -> Future[bool]:
        row_id, key = new_id("inb"), self._service.keyring.inbox_key(received_at)
        row = InboxRow(
            id=row_id,
            platform=platform,
            dedupe=dedupe,
            call_ref=call_ref,
            received_at=received_at,
            key_id=key.id,
            body=wrap(key, body, table="inbox", column="body", row_id=row_id),
            state="new",
            tries=0,
        )
        with Session(self._service.database.engine) as session:
            session.add(row)
            session.commit()
        done: Future[bool] = Future()
        done.set_result(True)
        return done


async def _bare(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=204)


def _wait_for_worker(service: Service) -> None:
    """Return when the worker has applied an event: its start is not to be measured."""
    event = Event("call.started", "standard", "first", "first", None)
    intake.submit(service, event, service.clock()).result()
    waiting = True
    while waiting:
        time.sleep(0.1)
        with service.database.read() as connection:
            waiting = bool(service.inbox.oldest(connection, 1))


def main() -> None:
    kind, pinned, folder, *database = sys.argv[1:]
    if pinned == "pinned":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if kind == "bare":
        app = web.Application()
        app.router.add_post("/webhooks/events", _bare)
        forever(app)
    data = Path(folder, "data")
    data.mkdir()
    (data / "lines.toml").write_text("")
    (data / "directory.csv").write_text("phone,account,email,mobile,customer_type,language\n")
    settings = load(
        {
            "RECORDER_DATA_DIR": str(data),
            "RECORDER_HTTP__PORT": "0",
            "RECORDER_PLATFORMS__STANDARD__SECRETS": SECRET,
            **dict(zip(("RECORDER_DATABASE__URL",), database, strict=False)),
        }
    )
    with opened(settings) as service:
        if kind == "unkept":
            forever(create_app(dataclasses.replace(service, inbox=Unkept(service))))  # type: ignore[arg-type] -- same face
        if kind == "naive":
            forever(create_app(dataclasses.replace(service, inbox=Naive(service))))  # type: ignore[arg-type] -- same face
        if kind == "accepting":
            forever(create_app(service))
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        with listening(service, Worker(service)) as port:
            heap.settle()
            _wait_for_worker(service)
            print(port, flush=True)
            stop.wait()


if __name__ == "__main__":
    main()
