"""Everything a service does in a day, once each."""

from __future__ import annotations

from datetime import timedelta

from recorder import (
    access_links,
    calls,
    capture,
    erasure,
    finding,
    holds,
    listening,
    once,
    sources,
    subject_requests,
    sweep,
)
from recorder.calls import inquiring
from recorder.events import Event
from recorder.finding import Query
from recorder.holds import sheltering
from recorder.ports import Service
from storage.catalogue import calls as call_rows
from storage.catalogue.calls import Leg
from storage.clock import new_id
from tests.conftest import MovingClock
from tests.recorder.asking import DPO, PHONE, granted, visiting
from tests.recorder.post import deliver_due
from tests.recorder.stored import store, store_call
from tests.recorder.telling import an_event, started, tell


def everything(service: Service, clock: MovingClock) -> None:
    due = store(service, clock.now - timedelta(days=90))
    held, ordered = store(service, clock.now - timedelta(days=80)), store(service, clock.now)
    holds.place(service, held.id, "legal", None, DPO, clock.now)
    sheltering.shelter(service, clock.now)
    for query in (
        Query(),
        Query(phone=PHONE),
        Query(queue="q"),
        Query(segment="private_inbound"),
        Query(state="stored"),
    ):
        finding.search(service, query, actor=DPO, now=clock.now)
    answer_a_customer(service, clock)
    listening.open_for_staff(service, ordered.id, actor=DPO, purpose="access", rendition="original", now=clock.now)
    erase_of_two(service, clock)
    erasure.erase(service, ordered.id, reason="ordered", actor=DPO, now=clock.now)
    tell(service, started(clock.now, call="pbx-1"), an_event("call.ended", clock.now, call="pbx-1"))
    hear_nonsense(service, clock)
    capture.capture_due(service, clock.now, limit=1)
    capture.erase_leftovers(service)
    sources.delete_at_sources(service, clock.now, limit=10)
    ask_about_a_call(service, clock)
    sweep.sweep(service, clock.now, unattended=False)
    assert erasure.certificate(service, due.id)
    sweep.sweep(service, clock.advance(days=10), unattended=False)


def ask_about_a_call(service: Service, clock: MovingClock) -> None:
    """A call of which no recording was heard: it is looked up, its platform (which is off) asked, and it is put off."""
    told = Event("consent.granted", "twilio", "CA1", "CA1:consent", clock.now)
    with service.database.write() as connection:
        inquiring.note(service, connection, told, clock.now)
    assert inquiring.ask_platforms(service, clock.now + inquiring.FIRST_WAIT) == 1


def answer_a_customer(service: Service, clock: MovingClock) -> None:
    """A customer asks for a copy and gets one, then asks to have everything deleted, is refused, and told so."""
    granted(service, clock)
    visit = visiting(service, clock)
    access_links.keep_open(service, visit, clock.now)

    def act(leave: once.Once) -> str:
        return subject_requests.open_request(service, "erasure", phone=PHONE, actor=DPO, now=clock.now, once=leave).id

    asked = [once.do(service, DPO, "key", b"all of it", act, clock.now)[0] for _ in range(2)]
    subject_requests.refuse(service, asked[0], DPO, clock.now)
    subject_requests.due(service, clock.now)
    deliver_due(service, clock.now)


def erase_of_two(service: Service, clock: MovingClock) -> None:
    """Erase one of two linked calls: what was said in it still counts in the other."""
    stays, goes = (store(service, clock.now, call=store_call(service, clock.now)) for _ in range(2))
    with service.database.write() as connection:
        call_rows.add_leg(connection, Leg(new_id("leg"), goes.call_id, parent_call_id=stays.call_id))
    erasure.erase(service, goes.id, reason="ordered", actor=DPO, now=clock.now)


def hear_nonsense(service: Service, clock: MovingClock) -> None:
    """An event that cannot be applied, told twice, and tried again at the next start."""
    for _ in range(2):
        service.inbox.submit("standard", b"ref", b"mark", b"{", clock.now).result(10)
    calls.apply_pending(service, clock.now)
    with service.database.write() as connection:
        service.inbox.tried(connection, "inb_1")
        service.inbox.retry_failed(connection)
