"""P4: a link alone opens nothing, scanners use nothing up, and limits hold for any number of clients at once."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from recorder import access_links, delivery, subject_requests
from recorder.errors import LinkError
from recorder.ports import Service
from storage.catalogue import outbox
from storage.tables import metadata
from tests.conftest import MovingClock
from tests.recorder.asking import DPO, code, granted, link_rows, stored, texts, token, visiting, wrong
from tests.recorder.post import deliver_due
from tests.recorder.waiting import open_tasks
from tests.rows import written_down

CLIENTS = 100


@pytest.fixture
def request_id(service: Service, clock: MovingClock) -> str:
    stored(service, clock)
    return granted(service, clock)


def rows(service: Service, table: str) -> list[dict[str, object]]:
    with service.database.read() as connection:
        return [dict(row) for row in connection.execute(select(metadata.tables[table])).mappings()]


def test_p4_a_link_alone_opens_nothing(service: Service, clock: MovingClock, request_id: str) -> None:
    cookie = access_links.open_link(service, token(service), clock())

    with pytest.raises(LinkError):
        access_links.visit(service, cookie, clock())


def test_p4_link_and_code_open_and_the_session_is_a_new_one(
    service: Service, clock: MovingClock, request_id: str
) -> None:
    cookie = access_links.open_link(service, token(service), clock())
    tried = access_links.verify_code(service, cookie, code(service, clock, cookie), clock())

    assert tried.token is not None
    assert access_links.visit(service, tried.token, clock()).link.request_id == request_id
    with pytest.raises(LinkError):
        access_links.visit(service, cookie, clock())


def test_neither_token_nor_code_nor_cookie_is_kept(service: Service, clock: MovingClock, request_id: str) -> None:
    cookie = access_links.open_link(service, token(service), clock())
    digits = code(service, clock, cookie)

    secrets = (token(service), cookie, digits, "anna@example.com", "+4520123456")

    # The outbox of the embedded default is the mail itself, not what is kept of it.
    shutil.rmtree(service.settings.data_dir / "outbox")
    (service.settings.data_dir / "directory.csv").unlink()
    kept = written_down(service)
    assert b"link.sent" in kept
    for secret in secrets:
        assert secret.encode() not in kept


def test_p4_opening_uses_nothing_up(service: Service, clock: MovingClock, request_id: str) -> None:
    for _ in range(50):
        access_links.open_link(service, token(service), clock())

    (link,) = link_rows(service, request_id)
    assert (link.openings, link.failures) == (0, 0)
    assert visiting(service, clock).link.openings == 1


def test_p4_a_scanner_that_presses_first_does_not_lock_the_person_out(
    service: Service, clock: MovingClock, request_id: str
) -> None:
    scanner = access_links.open_link(service, token(service), clock())
    digits = code(service, clock, scanner)
    clock.advance(seconds=20)
    person = access_links.open_link(service, token(service), clock())

    assert access_links.send_code(service, person, clock())
    assert access_links.verify_code(service, person, digits, clock()).token is not None
    assert len(texts(service)) == 1


def test_p4_unknown_expired_revoked_and_replaced_links_are_one_and_the_same(
    service: Service, clock: MovingClock, request_id: str
) -> None:
    first = token(service)
    subject_requests.reissue(service, request_id, DPO, clock())
    deliver_due(service, clock())
    second = token(service)
    replaced = access_links.open_link(service, first, clock())
    subject_requests.revoke(service, request_id, DPO, clock())
    revoked = access_links.open_link(service, second, clock())
    unknown = access_links.open_link(service, "x" * 43, clock())

    for cookie in (replaced, revoked, unknown, "no-cookie", ""):
        for act in (access_links.send_code, access_links.visit):
            with pytest.raises(LinkError) as refusal:
                act(service, cookie, clock())
            assert str(refusal.value) == str(LinkError())
        with pytest.raises(LinkError):
            access_links.verify_code(service, cookie, "123456", clock())
    assert texts(service) == []


def test_p4_a_link_works_through_its_thirtieth_day(service: Service, clock: MovingClock, request_id: str) -> None:
    (link,) = link_rows(service, request_id)
    assert timedelta(days=30) <= link.expires_at - clock() < timedelta(days=31)

    clock.now = link.expires_at - timedelta(minutes=30)
    inside = visiting(service, clock)
    clock.now = link.expires_at
    with pytest.raises(LinkError):
        access_links.visit(service, inside.cookie, clock())
    with pytest.raises(LinkError):
        access_links.send_code(service, access_links.open_link(service, token(service), clock()), clock())


def test_a_code_works_for_ten_minutes(service: Service, clock: MovingClock, request_id: str) -> None:
    cookie = access_links.open_link(service, token(service), clock())
    digits = code(service, clock, cookie)

    clock.advance(minutes=10)
    assert access_links.verify_code(service, cookie, digits, clock()).outcome == "no_code"


def test_a_code_opens_once(service: Service, clock: MovingClock, request_id: str) -> None:
    cookie = access_links.open_link(service, token(service), clock())
    other = access_links.open_link(service, token(service), clock())
    digits = code(service, clock, cookie)

    assert access_links.verify_code(service, cookie, digits, clock()).outcome == "verified"
    assert access_links.verify_code(service, other, digits, clock()).outcome == "no_code"


def test_a_new_code_voids_the_last(service: Service, clock: MovingClock, request_id: str) -> None:
    cookie = access_links.open_link(service, token(service), clock())
    first = code(service, clock, cookie)
    clock.advance(seconds=61)
    second = code(service, clock, cookie)

    if first != second:
        assert access_links.verify_code(service, cookie, first, clock()).outcome == "wrong"
    assert access_links.verify_code(service, cookie, second, clock()).outcome == "verified"


def test_p4_a_worker_that_was_too_slow_takes_back_no_code_that_another_sent(
    service: Service, clock: MovingClock, request_id: str
) -> None:
    cookie = access_links.open_link(service, token(service), clock())
    access_links.send_code(service, cookie, clock())
    with service.database.write() as connection:
        slow = outbox.claim(connection, clock(), clock() + delivery.LEASE, delivery.CODES)
    assert slow is not None
    clock.advance(seconds=delivery.LEASE.total_seconds() + 1)
    deliver_due(service, clock())
    digits, *_ = re.findall(r"\b\d{6}\b", texts(service)[-1]["text"])

    delivery._deliver(service, slow, clock())  # it wakes up

    assert access_links.verify_code(service, cookie, digits, clock()).outcome == "verified"


def test_codes_are_sent_once_a_minute_thrice_an_hour_and_five_times_a_day(
    service: Service, clock: MovingClock, request_id: str
) -> None:
    cookie = access_links.open_link(service, token(service), clock())

    def sent_after(**wait: float) -> int:
        nonlocal cookie
        clock.advance(**wait)
        cookie = access_links.open_link(service, token(service), clock())
        access_links.send_code(service, cookie, clock())
        deliver_due(service, clock())
        return len(texts(service))

    assert [sent_after(seconds=0), sent_after(seconds=59)] == [1, 1]
    assert [sent_after(seconds=1), sent_after(minutes=2), sent_after(minutes=2)] == [2, 3, 3]
    assert [sent_after(hours=1), sent_after(minutes=2), sent_after(hours=2)] == [4, 5, 5]
    assert sent_after(hours=24) == 6


def test_p4_what_is_no_code_costs_no_try(service: Service, clock: MovingClock, request_id: str) -> None:
    cookie = access_links.open_link(service, token(service), clock())
    digits = code(service, clock, cookie)
    for nonsense in ("", "abc", "12345", "1234567", "٤٨٢١٠٩", "12345x"):
        assert access_links.verify_code(service, cookie, nonsense, clock()).outcome == "malformed"

    assert access_links.verify_code(service, cookie, f" {digits[:3]} {digits[3:]} ", clock()).outcome == "verified"


def test_p4_five_wrong_tries_spend_a_code_and_ten_lock_the_link(
    service: Service, clock: MovingClock, request_id: str
) -> None:
    cookie = access_links.open_link(service, token(service), clock())
    digits = code(service, clock, cookie)
    tried = [access_links.verify_code(service, cookie, wrong(digits), clock()) for _ in range(5)]
    assert [(one.outcome, one.left) for one in tried] == [("wrong", left) for left in (4, 3, 2, 1, 0)]
    assert access_links.verify_code(service, cookie, digits, clock()).outcome == "no_code"

    clock.advance(minutes=2)
    digits = code(service, clock, cookie)
    tried = [access_links.verify_code(service, cookie, wrong(digits), clock()) for _ in range(5)]
    assert [one.outcome for one in tried] == ["wrong"] * 4 + ["locked"]
    assert open_tasks(service) == [("link_locked", request_id)]
    with pytest.raises(LinkError):
        access_links.verify_code(service, cookie, digits, clock())

    subject_requests.reissue(service, request_id, DPO, clock())
    deliver_due(service, clock())
    assert open_tasks(service) == []
    assert visiting(service, clock).link.failures == 0


def test_what_is_left_to_try_is_never_more_than_the_link_takes(
    service: Service, clock: MovingClock, request_id: str
) -> None:
    cookie = access_links.open_link(service, token(service), clock())
    left = []
    for _ in range(3):
        clock.advance(minutes=2)
        digits = code(service, clock, cookie)
        left += [access_links.verify_code(service, cookie, wrong(digits), clock()).left for _ in range(3)]

    assert left == [4, 3, 2] * 2 + [3, 2, 1]


def test_p4_parallel_guesses_never_exceed_the_limit(service: Service, clock: MovingClock, request_id: str) -> None:
    cookies = [access_links.open_link(service, token(service), clock()) for _ in range(CLIENTS)]
    digits = code(service, clock, cookies[0])

    def guess(cookie: str) -> str:
        try:
            return access_links.verify_code(service, cookie, wrong(digits), clock()).outcome
        except LinkError:
            return "dead"

    with ThreadPoolExecutor(CLIENTS) as crowd:
        outcomes = Counter(crowd.map(guess, cookies))

    assert outcomes == {"wrong": 5, "no_code": CLIENTS - 5}
    assert link_rows(service, request_id)[0].failures == 5


def test_p4_a_right_code_lets_in_one_of_many_at_once(service: Service, clock: MovingClock, request_id: str) -> None:
    cookies = [access_links.open_link(service, token(service), clock()) for _ in range(CLIENTS)]
    digits = code(service, clock, cookies[0])

    with ThreadPoolExecutor(CLIENTS) as crowd:
        outcomes = Counter(
            crowd.map(lambda cookie: access_links.verify_code(service, cookie, digits, clock()).outcome, cookies)
        )

    assert outcomes == {"verified": 1, "no_code": CLIENTS - 1}
    assert link_rows(service, request_id)[0].openings == 1


def test_p4_parallel_wishes_for_a_code_send_one(service: Service, clock: MovingClock, request_id: str) -> None:
    cookies = [access_links.open_link(service, token(service), clock()) for _ in range(CLIENTS)]

    with ThreadPoolExecutor(CLIENTS) as crowd:
        assert all(crowd.map(lambda cookie: access_links.send_code(service, cookie, clock()), cookies))

    deliver_due(service, clock())
    assert len(texts(service)) == 1


def test_p4_a_link_opens_twenty_times_and_listening_never_closes_it(
    service: Service, clock: MovingClock, request_id: str
) -> None:
    for number in range(1, 21):
        clock.advance(hours=6)
        inside = visiting(service, clock)
        assert inside.link.openings == number

    with pytest.raises(LinkError):
        access_links.send_code(service, access_links.open_link(service, token(service), clock()), clock())
    assert access_links.visit(service, inside.cookie, clock()).link.openings == 20


def test_a_session_lasts_an_hour_unless_it_is_kept_open(service: Service, clock: MovingClock, request_id: str) -> None:
    inside = visiting(service, clock)
    clock.advance(minutes=59)
    access_links.keep_open(service, access_links.visit(service, inside.cookie, clock()), clock())
    clock.advance(minutes=59)
    assert access_links.visit(service, inside.cookie, clock())

    clock.advance(minutes=1)
    with pytest.raises(LinkError):
        access_links.visit(service, inside.cookie, clock())


def test_p4_a_reissued_link_ends_the_sessions_of_the_last(
    service: Service, clock: MovingClock, request_id: str
) -> None:
    inside = visiting(service, clock)
    subject_requests.reissue(service, request_id, DPO, clock())

    with pytest.raises(LinkError):
        access_links.visit(service, inside.cookie, clock())
    assert sorted(link.state for link in link_rows(service, request_id)) == ["minted", "void"]


def test_leaving_ends_the_session(service: Service, clock: MovingClock, request_id: str) -> None:
    inside = visiting(service, clock)
    access_links.leave(service, inside.cookie, clock())

    with pytest.raises(LinkError):
        access_links.visit(service, inside.cookie, clock())
