"""Whose call it is: private or business, and which account, by event, line and directory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recorder import personal
from recorder.calls import settling
from recorder.errors import DirectoryUnavailableError
from recorder.ports import Customer, Service
from tests.conftest import MovingClock
from tests.recorder.telling import CUSTOMER, LINE, SALES_LINE, an_event, started, tell, the_call


class Away:
    """A directory that cannot be asked."""

    def by_phone(self, phone: str) -> Customer | None:
        raise DirectoryUnavailableError

    by_account = by_phone


@pytest.mark.parametrize(
    ("told", "number", "customer", "expected"),
    [
        ({"customer_type": "business"}, LINE, CUSTOMER, "business_inbound"),
        ({}, LINE, "+4520123457", "private_inbound"),
        ({}, "+4570999999", "+4520123457", "business_inbound"),
        ({}, "+4570999999", None, None),
        ({}, "+4570999999", "+4599999999", None),
    ],
)
def test_the_class_is_the_events_then_the_lines_then_the_directorys(
    service: Service, clock: MovingClock, told: dict[str, str], number: str, customer: str | None, expected: str | None
) -> None:
    tell(service, started(clock.now, **{"to": number, "from": customer, **told}))

    assert the_call(service).segment == expected


def test_an_outbound_call_is_announced_only_as_a_sales_call(service: Service, clock: MovingClock) -> None:
    outbound = {"direction": "outbound", "to": CUSTOMER, "customer_type": "private"}
    tell(
        service,
        started(clock.now, **outbound, **{"from": SALES_LINE}),
        started(clock.now, **outbound, **{"from": LINE}, call="pbx-82"),
    )

    assert the_call(service).segment == "private_outbound_sales"
    assert the_call(service, "pbx-82").segment is None


def test_a_directory_that_is_away_leaves_the_class_open(service: Service, clock: MovingClock) -> None:
    tell(replace(service, directory=Away()), started(clock.now, to="+4570999999"))

    assert the_call(service).segment is None
    assert settling.classify(service, the_call(service).id, clock.now) == "private_inbound"
    assert the_call(service).segment == "private_inbound"


def test_the_account_is_the_directorys_as_of_the_call_and_asked_only_after_a_yes(
    service: Service, clock: MovingClock
) -> None:
    tell(service, started(clock.now), started(clock.now, call="pbx-82", account="A-7"))
    assert "account" not in personal.of_call(service, the_call(service), clock.now)

    for call in ("pbx-81", "pbx-82"):
        tell(service, an_event("consent.granted", clock.now, call=call, method="dtmf", digit="1"))

    assert personal.of_call(service, the_call(service), clock.now)["account"] == "A-1001"
    assert personal.of_call(service, the_call(service, "pbx-82"), clock.now)["account"] == "A-7"
