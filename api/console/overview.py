"""Where each role starts: the DPO with what is late and what waits, everybody else with the search for calls."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web

from api import inputs
from api.auth import now
from api.pages import render
from api.pools import run
from api.routing import ACTOR, SERVICE, Route, staff
from recorder import chores
from recorder.ports import Service
from storage.catalogue import figures


async def start(request: web.Request) -> web.Response:
    """The first page after signing in."""
    if request[ACTOR].role != "dpo":
        return web.Response(status=303, headers={"Location": "/console/recordings"})
    service = request.app[SERVICE]
    seen = await run(request, _looked, service, now(request))
    return render(request, "console/overview.html", tasks=await run(request, chores.open_chores, service), seen=seen)


async def close_task(request: web.Request) -> web.Response:
    """Take a task off the list."""
    fields = await inputs.form(request)
    await run(
        request,
        chores.close,
        request.app[SERVICE],
        inputs.needed(fields, "kind", longest=60),
        inputs.needed(fields, "subject", longest=100),
        actor=request[ACTOR],
        now=now(request),
    )
    return web.Response(status=303, headers={"Location": "/console/"})


def _looked(service: Service, moment: datetime) -> dict[str, int | None]:
    with service.database.read() as connection:
        numbers = figures.quick(connection, moment)
        states = figures.by_state(connection)
        due = figures.first_answer_due(connection)
    return {
        "overdue": int(numbers["erasures_overdue"][()]),
        "stored": int(states.get(("stored",), 0)),
        "holds": int(sum(numbers["holds_active"].values())),
        "requests": int(sum(numbers["requests_open"].values())),
        "tasks": int(sum(numbers["tasks_open"].values())),
        "days_left": None if due is None else (due - moment).days,
    }


ROUTES = [
    Route("GET", "/console/", start, staff("agent", "reviewer", "dpo")),
    Route("POST", "/console/tasks/close", close_task, staff("dpo")),
]
