"""Stored recordings made of real parts, without a platform: what capture leaves behind, for tests of later steps."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import insert

from recorder import personal
from recorder.ports import Service
from storage import columns
from storage.catalogue import attempts, calls, evidence, forecast, holds, recordings
from storage.catalogue.attempts import Attempt
from storage.catalogue.calls import Call
from storage.catalogue.evidence import Consent
from storage.catalogue.recordings import Recording
from storage.clock import new_id, utc_day
from storage.tables import metadata

PHONE = "+4520123456"
AUDIO = b"RIFF and then some speech " * 4000
RENDITIONS = ("original", "playback", "peaks")


def store_call(service: Service, ended_at: datetime, *, state: str = "over") -> Call:
    """A call somebody consented to, its key under the day its recordings expire."""
    call = Call(
        id=new_id("cal"),
        platform="standard",
        opened_at=ended_at - timedelta(minutes=5),
        started_at=ended_at - timedelta(minutes=5),
        ended_at=ended_at,
        ref=new_id("ref").encode(),
        segment="private_inbound",
        direction="inbound",
        state=state,
    )
    call, _ = personal.keyed(service, call, {"from": PHONE, "platform_call_id": "pbx-81"}, ended_at)
    secret = personal.call_secret(service, call, ended_at)
    assert secret is not None
    key = service.keyring.day_key(utc_day(ended_at + timedelta(days=90)), ended_at)
    with service.database.write() as connection:
        calls.insert(connection, personal.rewrapped(call, secret, key))
        evidence.add_consent(connection, Consent(new_id("cns"), call.id, "granted", ended_at, digit="1"))
    return call


def store(service: Service, ended_at: datetime, *, call: Call | None = None, days: int = 90) -> Recording:
    """A stored recording of three sealed renditions, findable by number, foreseen to expire."""
    call = call or store_call(service, ended_at)
    expires_at = ended_at + timedelta(days=days)
    day = utc_day(expires_at)
    key = service.keyring.day_key(day, ended_at)
    recording_id, dek = new_id("rec"), service.vault.new_dek()
    recording = Recording(
        id=recording_id,
        call_id=call.id,
        platform=call.platform,
        ref=new_id("ref").encode(),
        segment=call.segment,
        direction=call.direction,
        state="stored",
        started_at=ended_at - timedelta(minutes=5),
        call_started_at=call.started_at,
        call_ended_at=ended_at,
        expires_at=expires_at,
        expiry_day=f"{day:%Y%m%d}",
        stored_at=ended_at,
        key_id=key.id,
        dek=service.vault.wrap_dek(dek, recording_id, key),
        sealed=personal.seal(dek, "recordings", recording_id, {"phone": PHONE, "platform_recording_id": "r-1"}),
    )
    kept = [_sealed(service, recording, dek, rendition, ended_at) for rendition in RENDITIONS]
    with service.database.write() as connection:
        recordings.insert(connection, recording)
        for attempt in kept:
            attempts.add(connection, attempt)
        recordings.index_marks(connection, recording_id, {"phone": columns.mark(key, "phone", PHONE)})
        connection.execute(insert(metadata.tables["key_uses"]).values(recording_id=recording_id, day=f"{day:%Y%m%d}"))
        forecast.adjust(connection, f"{day:%Y%m%d}", +1)
    return recording


def _sealed(service: Service, recording: Recording, dek: bytes, rendition: str, now: datetime) -> Attempt:
    assert recording.expires_at is not None
    object_key = service.vault.object_key("private_inbound", utc_day(recording.expires_at))
    writer = service.vault.writer(
        recording_id=recording.id, rendition=rendition, dek=dek, object_key=object_key, tags={}
    )
    writer.write(AUDIO)
    sealed = writer.commit()
    return Attempt(
        id=new_id("att"),
        recording_id=recording.id,
        number=1,
        rendition=rendition,
        object_key=object_key,
        created_at=now,
        state="kept",
        head=sealed.head,
        plain_bytes=sealed.plain_bytes,
        sealed_bytes=sealed.sealed_bytes,
    )


def row(service: Service, recording_id: str) -> Recording:
    with service.database.read() as connection:
        found = recordings.get(connection, recording_id)
    assert found is not None
    return found


def state(service: Service, recording_id: str) -> str:
    with service.database.read() as connection:
        found = recordings.get(connection, recording_id)
    return found.state if found else "gone"


def held(service: Service, recording_id: str) -> list[str]:
    """The kinds of holds that stand on it."""
    with service.database.read() as connection:
        return [hold.kind for hold in holds.standing(connection, [recording_id]).get(recording_id, [])]


def hear(service: Service, recording: Recording, now: datetime, rendition: str = "original") -> bytes:
    """Its audio, opened by the vault from a row. Raises where data key, object or day key is gone."""
    assert recording.key_id is not None
    assert recording.dek is not None
    dek = service.vault.unwrap_dek(recording.id, recording.key_id, recording.dek, now)
    with service.database.read() as connection:
        attempt = attempts.kept(connection, recording.id)[rendition]
    assert attempt.head is not None
    assert attempt.sealed_bytes is not None
    reader = service.vault.reader(
        recording_id=recording.id,
        rendition=rendition,
        dek=dek,
        object_key=attempt.object_key,
        head=attempt.head,
        sealed_bytes=attempt.sealed_bytes,
    )
    return b"".join(reader.read(0, reader.size))


def objects(service: Service) -> list[str]:
    """The keys of all that lies in the store."""
    return list(service.vault.objects.keys(""))


def found_by_phone(service: Service, now: datetime) -> list[str]:
    """What a search for the number finds, computed as searches are: one mark per live day key."""
    marks = [columns.mark(key, "phone", PHONE) for key in service.keyring.search_keys(now)]
    with service.database.read() as connection:
        return [one.id for one in recordings.find_marked(connection, marks)]
