"""The copy that lies at the exchange: deleted there once ours is kept or unwanted, tried every day, a task for people
when it cannot be, and never called deleted where it was not.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from recorder import capture, chores, sources
from recorder.ports import Service
from storage.tables import metadata
from tests.recorder.captured import DPO, PATH, acts, at, only, told
from tests.recorder.exchange import Exchange
from tests.recorder.waiting import open_tasks


def copy_that_stays(service: Service, exchange: Exchange) -> datetime:
    """A copy the exchange has not let go of for nine days."""
    told(service, exchange)
    capture.capture_due(service, at(13))
    exchange.delete_status = 503
    now = at(13)
    for _ in range(9 * 24):
        service.keyring.ensure(now)
        sources.delete_at_sources(service, now)
        now += timedelta(hours=1)
    return now


def test_p1_a_copy_that_cannot_be_deleted_is_a_task_and_tried_every_day_until_it_is_gone(
    service: Service, exchange: Exchange
) -> None:
    now = copy_that_stays(service, exchange)
    assert 160 < len(exchange.deletes) < 200
    assert open_tasks(service) == [("source_deletion_failed", only(service).id)]

    exchange.delete_status = 204
    assert sources.delete_at_sources(service, now + timedelta(days=1)) == 1
    assert open_tasks(service) == []
    assert acts(service).count("source.deletion_failed") == acts(service).count("source.deleted") == 1


def test_a_copy_that_people_have_seen_to_is_tried_no_more(service: Service, exchange: Exchange) -> None:
    now = copy_that_stays(service, exchange)
    tried = len(exchange.deletes)
    chores.close(service, "source_deletion_failed", only(service).id, actor=DPO, now=now)

    assert sources.delete_at_sources(service, now + timedelta(days=1)) == 0
    assert (len(exchange.deletes), open_tasks(service)) == (tried, [])
    with service.database.read() as connection:
        assert connection.execute(select(metadata.tables["source_deletions"].c.body)).scalar_one() is None


@pytest.mark.parametrize("status", [405, 501])
def test_p5_a_copy_the_exchange_never_deletes_is_not_called_deleted(
    service: Service, exchange: Exchange, status: int
) -> None:
    story = told(service, exchange, consent_s=None)
    story.consent(5, "refused")
    capture.capture_due(service, at(13))
    exchange.delete_status = status
    sources.delete_at_sources(service, at(14))
    sources.delete_at_sources(service, at(99))

    assert exchange.deletes == [PATH]
    assert (acts(service).count("source.left"), acts(service).count("source.deleted")) == (1, 0)
