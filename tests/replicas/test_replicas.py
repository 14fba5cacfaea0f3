"""P6 and P5 with three replicas, any of which is killed, paused or cut off at any time."""

from __future__ import annotations

import email
import http.client
import os
import re
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import text

from recorder import subject_requests, tokens
from recorder.actors import SYSTEM, Actor
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from storage import audit
from storage.catalogue import recordings
from storage.tables import metadata
from tests.conftest import MEMORY, MovingClock
from tests.recorder import exchange as exchanges
from tests.recorder.asking import matches
from tests.recorder.asking import stored as stored_by_push
from tests.recorder.captured import acts
from tests.recorder.exchange import Exchange
from tests.recorder.stored import hear, row, store
from tests.replicas.house import House, settings, standing
from tests.replicas.platform import Platform, sound
from tests.servers.ceph import Cluster, absent
from tests.servers.postgresql import Server

pytestmark = pytest.mark.slow

DPO = Actor("tok_dpo", "dpo")
SEED = 20261122
GRANTED, REFUSED, SECONDS = 60, 15, 8
DUE, ASKING = 20, 4  # recordings whose time is over when the replicas start; people who have asked for theirs
PEOPLE = [(f"+452012345{number}", f"A-100{number}") for number in range(ASKING)]
DIRECTORY = "phone,account,email,mobile,customer_type,language\n" + "".join(
    f"{phone},{account},person-{account}@example.com,{phone},private,da\n" for phone, account in PEOPLE
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="recorder-replicas-", dir=MEMORY))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def media() -> Iterator[Exchange]:
    with exchanges.running() as running:
        yield running


@pytest.fixture(scope="module")
def buckets(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Where objects and keys lie: in a real Ceph; on a developer's machine without one, in folders."""
    if absent() and os.environ.get("CI") != "true":
        yield {}
        return
    ceph: Cluster = request.getfixturevalue("ceph")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ceph.credentials.items():
            patch.setenv(name, value)
        yield {
            "RECORDER_STORE__URL": f"s3://{ceph.bucket()}/recordings",
            "RECORDER_STORE__ENDPOINT_URL": ceph.endpoint,
            "RECORDER_STORE__REGION": ceph.region,
            "RECORDER_KEYS__URL": f"s3://{ceph.bucket()}/keys",
        }


@pytest.fixture(scope="module")
def house(folder: Path, media: Exchange, buckets: dict[str, str], postgresql_server: Server) -> Iterator[House]:
    """Three replicas that find work waiting when they start: what is due, and mails to hand over."""
    url = postgresql_server.create()
    environment = settings(folder, url, {"directory": DIRECTORY, **media.environment(), **buckets})
    with opened(load(environment), clock=MovingClock(datetime.now(UTC) - timedelta(minutes=3))) as service:
        seed(service)
    with standing(folder, postgresql_server, environment) as built:
        built.until(lambda: built.ready == len(built.replicas), "the replicas start")
        yield built
    postgresql_server.drop(url)


def seed(service: Service) -> None:
    clock = service.clock
    assert isinstance(clock, MovingClock)
    for phone, account in PEOPLE:
        stored_by_push(service, clock, f"seed-{account}", **{"from": phone, "account": account})
        request = subject_requests.open_request(service, "access", phone=phone, actor=DPO, now=clock())
        chosen = [one.recording_id for one in matches(service, request.id)]
        assert len(chosen) == 1
        subject_requests.approve(service, request.id, chosen, "callback", DPO, clock())
    for _ in range(DUE):
        store(service, clock() - timedelta(days=90))


@pytest.fixture(scope="module")
def inside(house: House) -> Iterator[Service]:
    """A look into the house from outside, on a line of its own."""
    with opened(load(house.environment)) as service:
        yield service


def havoc(house: House, random: Random, over: threading.Event) -> Counter[str]:
    """One replica after the other comes to harm, sometimes two at once; never all."""
    done: Counter[str] = Counter()
    while not over.is_set():
        harmed = random.sample(house.replicas, random.choice([1, 1, 2]))
        for replica in harmed:
            kind = random.choice(["killed", "paused", "cut_off", "silenced"])
            done[kind] += 1
            {"killed": replica.kill, "paused": replica.pause, "cut_off": replica.cut_off, "silenced": replica.silence}[
                kind
            ]()
        over.wait(random.choice([0.5, 1.5, 4.0]))  # 4 s is longer than a lease lasts here
        for replica in harmed:
            replica.heal()
        over.wait(random.uniform(0.2, 1.0))
    return done


def counted(service: Service, statement: str) -> int:
    with service.database.read() as connection:
        return int(connection.execute(text(statement)).scalar_one())


def subjects(service: Service, act: str) -> set[str]:
    with service.database.read() as connection:
        return set(connection.execute(text("SELECT subject FROM audit WHERE type = :act"), {"act": act}).scalars())


def rows_of(service: Service, table: str) -> list[dict[str, object]]:
    with service.database.read() as connection:
        return [dict(one) for one in connection.execute(metadata.tables[table].select()).mappings()]


OPEN = {
    "applied": "SELECT count(*) FROM inbox WHERE state <> 'done'",
    "captured": "SELECT count(*) FROM recordings WHERE state IN ('announced', 'capturing')",
    "erased": "SELECT count(*) FROM recordings WHERE state = 'erasing'",
    "deleted at the platform": "SELECT count(*) FROM source_deletions WHERE state = 'new'",
    "cleared away": "SELECT count(*) FROM attempts WHERE state IN ('open', 'lost')",
    "handed over": "SELECT count(*) FROM outbox WHERE state = 'new'",
}


def test_p6_replicas_that_come_to_harm_lose_nothing_and_double_nothing(
    house: House, inside: Service, media: Exchange, folder: Path
) -> None:
    random = Random(SEED)
    platform = Platform(house.port, media, random)
    havocs: list[Counter[str]] = []
    wreaking = threading.Thread(target=lambda: havocs.append(havoc(house, Random(SEED), platform_is_done)))
    platform_is_done = threading.Event()
    wreaking.start()
    try:
        platform.calls(GRANTED, REFUSED, SECONDS)
    finally:
        platform_is_done.set()
        wreaking.join()
    for what, statement in OPEN.items():
        house.until(lambda statement=statement: counted(inside, statement) == 0, f"all is {what}")  # type: ignore[misc]

    assert sum(havocs[0].values()) > 3
    assert len(set(platform.taken)) == len(platform.taken) == 5 * (GRANTED + REFUSED)

    # Nothing is lost and nothing doubled: each yes is one recording with the sound of its call.
    stored = [one for one in rows_of(inside, "recordings") if one["state"] == "stored"]
    heard = Counter(hear(inside, row(inside, str(one["id"])), inside.clock()) for one in stored)
    assert all(heard[sound(number)] <= 1 for number in range(GRANTED + REFUSED))
    assert len(stored) == GRANTED + ASKING
    done = Counter(acts(inside))
    assert done["call.opened"] == GRANTED + REFUSED + ASKING
    assert done["consent.granted"] == GRANTED + ASKING
    assert done["consent.refused"] == REFUSED
    assert done["recording.stored"] == GRANTED + ASKING
    assert done["source.deleted"] == GRANTED + REFUSED
    # A pushed one has no copy there that we know of; nor has a refused one until we are told where it lies.
    assert len(subjects(inside, "source.left") - subjects(inside, "source.deleted")) == ASKING
    assert {path.strip("/") for path in media.deletes} == {f"{number}.wav" for number in range(GRANTED + REFUSED)}

    # No object is an orphan.
    kept = {one["object_key"] for one in rows_of(inside, "attempts") if one["state"] == "kept"}
    assert set(inside.vault.objects.keys("")) == kept

    # One sweep: each recording whose time was over went once.
    assert done["recording.erased"] == DUE == len(rows_of(inside, "tombstones"))

    # A mail may repeat, but only with the link it had.
    said = [email.message_from_bytes(path.read_bytes()).as_string() for path in (folder / "mail").glob("*.eml")]
    links = {(re.findall(r"^To: (.*)$", one, re.MULTILINE)[0]) for one in said}
    assert len(links) == ASKING == done["link.sent"]
    assert len({link for one in said for link in links_in(one)}) == ASKING

    # One record of acts, without a gap, and nobody ever had to be told to let go of a lock.
    assert audit.verify(inside.database).ok
    assert counted(inside, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


def links_in(mail: str) -> list[str]:
    parts = email.message_from_string(mail).walk()
    plain = [part.get_payload(decode=True) for part in parts if part.get_content_type() == "text/plain"]
    return re.findall(r"/access/#([A-Za-z0-9_-]+)", b"".join(one for one in plain if isinstance(one, bytes)).decode())


def asked(port: int, method: str, path: str, token: str, body: str | None = None) -> int:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        line.request(method, path, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        answer = line.getresponse()
        answer.read()
        return answer.status
    finally:
        line.close()


def test_p3_what_one_replica_erases_all_refuse_at_once(house: House, inside: Service) -> None:
    clock = MovingClock(inside.clock() - timedelta(minutes=1))
    recording = stored_by_push(inside, clock, "pbx-erased", **{"from": PEOPLE[0][0], "account": PEOPLE[0][1]})
    token, _ = tokens.create(inside, "dpo", "Anna", inside.clock(), actor=SYSTEM)
    audio = f"/v1/recordings/{recording}/audio?purpose=documentation"
    house.until(lambda: house.ready == len(house.replicas), "all replicas are well")
    for replica in house.replicas:
        assert asked(replica.port, "GET", audio, token) == 200  # each has its keys in memory now

    first, *others = house.replicas
    assert asked(first.port, "DELETE", f"/v1/recordings/{recording}", token, '{"reason": "other"}') in {200, 202}

    assert [asked(replica.port, "GET", audio, token) for replica in (*others, first)] == [404, 404, 404]
    with inside.database.read() as connection:
        assert recordings.get(connection, recording) is None
