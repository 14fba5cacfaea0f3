"""A service whose recordings and keys lie in buckets of a real gateway: from the capture to nothing left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.server import sound
from recorder import capture, checkup, erasure, faultpoints, holds, listening, sweep
from recorder.actors import Actor
from recorder.errors import RecordingNotFoundError, UnsafeError
from recorder.holds import sheltering
from recorder.ports import Service
from recorder.service import opened, store_for
from recorder.settings import load
from storage.catalogue import recordings
from storage.catalogue.recordings import Recording
from storage.clock import utc_now
from storage.errors import ConfigurationError, StorageError
from tests.conftest import STANDARD_SECRET, MovingClock, furnish
from tests.recorder.captured import WHOLE, only, told
from tests.recorder.exchange import Exchange, exchange
from tests.servers.between import between
from tests.servers.ceph import Another, Cluster

__all__ = ["exchange"]  # fixtures

DPO = Actor("tok_dpo", "dpo")
REVIEWER = Actor("tok_reviewer", "reviewer")


@pytest.fixture
def clock() -> MovingClock:
    """Now: the store has a clock of its own."""
    return MovingClock(utc_now().replace(microsecond=0) - timedelta(seconds=30))


@pytest.fixture
def door(ceph: Cluster) -> Iterator[Another]:
    with ceph.another() as door:
        yield door


@pytest.fixture
def buckets(ceph: Cluster) -> dict[str, str]:
    """The worse case for recordings, the only one for keys."""
    return {"store": ceph.bucket(versioned=True), "keys": ceph.bucket(), "mirror": ceph.bucket()}


@pytest.fixture
def environment(
    tmp_path: Path,
    ceph: Cluster,
    door: Another,
    buckets: dict[str, str],
    exchange: Exchange,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, str]:
    for name, value in ceph.credentials.items():
        monkeypatch.setenv(name, value)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    furnish(data)
    return exchange.environment() | {
        "RECORDER_DATA_DIR": str(data),
        "RECORDER_PLATFORMS__STANDARD__SECRETS": STANDARD_SECRET,
        "RECORDER_STORE__URL": f"s3://{buckets['store']}/recordings",
        "RECORDER_STORE__ENDPOINT_URL": door.endpoint,
        "RECORDER_STORE__REGION": ceph.region,
    }


def captured(service: Service, exchange: Exchange, clock: MovingClock) -> Recording:
    told(service, exchange, start=clock.now)
    clock.advance(seconds=20)
    assert capture.capture_due(service, clock.now) == 1
    recording = only(service)
    assert recording.state == "stored"
    return recording


def heard(service: Service, recording_id: str, now: datetime) -> bytes:
    opened = listening.open_for_staff(
        service, recording_id, actor=DPO, purpose="documentation", rendition="original", now=now
    )
    return b"".join(opened.reader.read(0, opened.size))


def left(client: Any, bucket: str) -> list[str]:
    """Everything a bucket has, whatever it calls it."""
    listed = client.list_object_versions(Bucket=bucket)
    uploads = client.list_multipart_uploads(Bucket=bucket)
    every = [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ()), *uploads.get("Uploads", ())]
    return [one["Key"] for one in every]


def test_p3_the_whole_life_of_a_recording_in_buckets(
    environment: dict[str, str], exchange: Exchange, clock: MovingClock, ceph: Cluster, buckets: dict[str, str]
) -> None:
    client = ceph.client()
    environment |= {
        "RECORDER_KEYS__URL": f"s3://{buckets['keys']}",
        "RECORDER_KEYS__MIRROR_URL": f"s3://{buckets['mirror']}/mirror",
    }
    with opened(load(environment), clock=clock) as service:
        sheltering.set_backstop(service)
        assert sound(checkup.examine_start(service, clock.now)) is not None
        recording = captured(service, exchange, clock)
        assert heard(service, recording.id, clock.now) == WHOLE
        assert len(left(client, buckets["keys"])) == len(left(client, buckets["mirror"])) > 100
        tags = {key: service.vault.objects.tags(key) for key in service.vault.objects.keys("private_inbound/")}
        assert len(tags) == 2  # a WAV plays as it is; its peaks lie beside it
        assert all(tag["segment"] == "private_inbound" for tag in tags.values())

        hold = holds.place(service, recording.id, "legal", "case-7", DPO, clock.now)
        sheltering.shelter(service, clock.now)
        assert {key.split("/")[1] for key in left(client, buckets["store"])} == {"hold"}
        assert heard(service, recording.id, clock.now) == WHOLE

        clock.advance(days=91)
        assert sweep.sweep(service, clock.now, unattended=False).erased == 0
        holds.release(service, hold.id, DPO, clock.now)
        with pytest.raises(RecordingNotFoundError):
            heard(service, recording.id, clock.now)
        sweep.sweep(service, clock.now, unattended=False)
        assert left(client, buckets["store"]) == []
        assert erasure.certificate(service, recording.id)["objects_deleted"] == 2

        clock.advance(days=92)  # every key of those days is gone from ring and mirror
        before = len(left(client, buckets["keys"]))
        sweep.sweep(service, clock.now, unattended=False)
        assert len(left(client, buckets["keys"])) == len(left(client, buckets["mirror"])) < before
    client.close()


def test_p3_an_order_leaves_no_version_marker_or_upload(
    environment: dict[str, str], exchange: Exchange, clock: MovingClock, ceph: Cluster, buckets: dict[str, str]
) -> None:
    client, bucket = ceph.client(), buckets["store"]
    with opened(load(environment), clock=clock) as service:
        recording = captured(service, exchange, clock)
        for full in left(client, bucket):
            client.delete_object(Bucket=bucket, Key=full)  # hidden by hand
            client.put_object(Bucket=bucket, Key=full, Body=b"written over")
            client.create_multipart_upload(Bucket=bucket, Key=full)
        assert len(left(client, bucket)) == 8

        done = erasure.erase(service, recording.id, reason="ordered", actor=DPO, now=clock.now)
        assert done is not None
        assert left(client, bucket) == []
    client.close()


def test_p6_a_store_that_goes_away_loses_nothing(
    environment: dict[str, str], exchange: Exchange, clock: MovingClock, door: Another
) -> None:
    with opened(load(environment), clock=clock) as service:
        service.vault.objects.truth()
        told(service, exchange, start=clock.now)
        door.stop()
        clock.advance(seconds=20)
        capture.capture_due(service, clock.now)
        assert only(service).state == "announced"
        assert exchange.deletes == []

        door.start()
        clock.advance(minutes=10)
        capture.capture_due(service, clock.now)
        recording = only(service)
        assert heard(service, recording.id, clock.now) == WHOLE
        assert len(list(service.vault.objects.keys(""))) == 2

        door.stop()  # P3: nothing opens any more, and what cannot be deleted now is deleted later
        assert erasure.erase(service, recording.id, reason="ordered", actor=DPO, now=clock.now) is None
        with pytest.raises(RecordingNotFoundError):
            heard(service, recording.id, clock.now)
        door.start()
        clock.advance(minutes=10)
        assert erasure.finish_erasures(service, clock.now) == 1
        assert list(service.vault.objects.keys("")) == []


def test_p6_a_store_that_breaks_off_a_listening_is_not_an_end(
    environment: dict[str, str], exchange: Exchange, clock: MovingClock, ceph: Cluster
) -> None:
    with between(ceph.endpoint) as middleman:
        environment["RECORDER_STORE__ENDPOINT_URL"] = middleman.endpoint
        with opened(load(environment), clock=clock) as service:
            recording = captured(service, exchange, clock)
            middleman.decide = lambda request: 100 if request.method == "GET" else "pass"
            with pytest.raises(StorageError):
                heard(service, recording.id, clock.now)
            middleman.decide = lambda _request: "pass"
            assert heard(service, recording.id, clock.now) == WHOLE


def test_p3_a_bucket_is_looked_at_before_an_erasure_and_after_it_and_no_more(
    environment: dict[str, str], exchange: Exchange, clock: MovingClock, ceph: Cluster
) -> None:
    with between(ceph.endpoint) as middleman:
        environment["RECORDER_STORE__ENDPOINT_URL"] = middleman.endpoint
        with opened(load(environment), clock=clock) as service:
            recording = captured(service, exchange, clock)
            middleman.requests.clear()
            assert erasure.erase(service, recording.id, reason="ordered", actor=DPO, now=clock.now)

    asked = [one.method for one in middleman.requests if "versions" in one.path or "?delete" in one.path]
    assert asked == ["GET", "POST", "GET"]


def test_p3_what_was_erased_while_it_was_written_is_not_left_in_the_bucket(
    environment: dict[str, str],
    exchange: Exchange,
    clock: MovingClock,
    ceph: Cluster,
    buckets: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A small object is one request: no store can refuse it because its key was deleted a moment before."""
    client = ceph.client()
    with opened(load(environment), clock=clock) as service:
        story = told(service, exchange, start=clock.now)

        def withdraw(step: str) -> None:
            if step == "capture.produced":
                monkeypatch.setattr(faultpoints, "hook", None)
                story.consent(11, "withdrawn")
                with service.database.read() as connection:
                    (row,) = recordings.search(connection, recordings.Filter()).items
                erasure.erase(service, row.id, reason="withdrawn", actor=DPO, now=clock.now)

        monkeypatch.setattr(faultpoints, "hook", withdraw)
        clock.advance(seconds=20)
        capture.capture_due(service, clock.now)
        assert left(client, buckets["store"]) == []
    client.close()


def test_p3_a_bucket_unfit_for_keys_is_never_given_one(
    environment: dict[str, str], clock: MovingClock, ceph: Cluster
) -> None:
    client = ceph.client()
    for bucket, why in (
        (ceph.bucket(versioned=True), "versioning is on"),
        (ceph.bucket(ObjectLockEnabledForBucket=True), "object lock is on"),
        (ceph.bucket(ACL="public-read"), "open to the public"),
    ):
        environment["RECORDER_KEYS__URL"] = f"s3://{bucket}"
        with pytest.raises(UnsafeError, match=why), opened(load(environment), clock=clock):
            pass
        assert left(client, bucket) == []
    client.close()


def test_p3_a_store_that_would_not_let_go_stops_the_start(
    environment: dict[str, str], clock: MovingClock, ceph: Cluster
) -> None:
    environment["RECORDER_STORE__URL"] = f"s3://{ceph.bucket(ObjectLockEnabledForBucket=True)}/recordings"
    with opened(load(environment), clock=clock) as service, pytest.raises(UnsafeError, match="object lock"):
        sound(checkup.examine_start(service, clock.now))


def test_an_unattended_sweep_believes_the_stores_clock_no_less_than_ours(
    environment: dict[str, str], clock: MovingClock
) -> None:
    with opened(load(environment), clock=clock) as service:
        assert [brake.kind for brake in sweep.plan(service, clock.now).brakes] == []
        clock.advance(minutes=20)
        assert [brake.kind for brake in sweep.plan(service, clock.now).brakes] == ["second_clock"]


@pytest.mark.parametrize("url", ["s3://", "s3://key:secret@bucket/x", "ftp://bucket", "gs://bucket"])
def test_urls_of_no_store_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        store_for(url)
    assert "secret" not in str(caught.value)
