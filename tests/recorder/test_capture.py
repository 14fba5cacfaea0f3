"""Capture with every part real: database, key ring, store, ffmpeg, and an exchange that speaks HTTP."""

from __future__ import annotations

import hashlib
import io
import time
import wave
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import func, select

from recorder import calls, capture, chores, erasure, faultpoints, personal, sources
from recorder.actors import Actor
from recorder.audio import sniff
from recorder.capture import pushing, uploading
from recorder.errors import (
    AudioTruncatedError,
    AudioUnsupportedError,
    CallNotFoundError,
    ConsentMissingError,
    ConsentPendingError,
    InvalidInputError,
    LeaseLostError,
    TooLargeError,
)
from recorder.ports import Service
from recorder.settings import load
from storage import audit, columns
from storage.catalogue import attempts, forecast, recordings, tasks
from storage.catalogue import calls as call_rows
from storage.catalogue.recordings import Recording
from storage.errors import StoreFullError
from storage.tables import metadata
from tests.recorder import exchange as exchanges
from tests.recorder.exchange import Exchange, Story, environment, exchange, reply

__all__ = ["environment", "exchange"]  # fixtures

RATE = 8000
START = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
PATH = "/r/1.wav"
DPO = Actor("tok_dpo", "dpo")


def sound(seconds: float = 6, channels: int = 2) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    rows = [np.sin(2 * np.pi * (300 + 100 * c) * t * (1 + t / 50)) * 9000 for c in range(channels)]
    return np.stack(rows, axis=1).astype("<i2")


def wav(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((samples.shape[1], 2, RATE, 0, "NONE", ""))
        writer.writeframes(samples.tobytes())
    return file.getvalue()


WHOLE = wav(sound())


def streamed(samples: np.ndarray) -> bytes:
    """A WAV file by a writer that cannot seek back: it does not say how long it is."""
    data = wav(samples)
    return data[:40] + b"\xff\xff\xff\xff" + data[44:]


def told(
    service: Service, exchange: Exchange, *, consent_s: float | None = 0, audio: bytes = WHOLE, **available: int
) -> Story:
    """A call of 10 seconds that was recorded from its start, and its audio lying at the exchange."""
    story = Story(service, START)
    exchange.recordings[PATH] = audio
    story.begin()
    story.record()
    if consent_s is not None:
        story.consent(consent_s)
    story.end(10)
    story.available(exchange.origin + PATH, 12, **available)
    return story


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def only(service: Service) -> Recording:
    with service.database.read() as connection:
        (row,) = connection.execute(select(metadata.tables["recordings"])).mappings()
    return Recording(**row)


def read(service: Service, recording_id: str) -> Recording:
    with service.database.read() as connection:
        found = recordings.get(connection, recording_id)
    assert found is not None
    return found


def opened(service: Service, recording: Recording, rendition: str = "original") -> bytes:
    with service.database.read() as connection:
        row = attempts.kept(connection, recording.id)[rendition]
    dek = service.vault.unwrap_dek(recording.id, recording.key_id or "", recording.dek or b"", at(20))
    reader = service.vault.reader(
        recording_id=recording.id,
        rendition=rendition,
        dek=dek,
        object_key=row.object_key,
        head=row.head or b"",
        sealed_bytes=row.sealed_bytes or 0,
    )
    return b"".join(reader.read(0, reader.size))


def objects(service: Service) -> list[str]:
    return list(service.vault.objects.keys(""))


def decoded(flac: bytes) -> np.ndarray:
    from recorder.audio.coder import decoder
    from recorder.audio.wav import WavReader

    coder, reader = decoder("flac", time.monotonic() + 60), WavReader()
    try:
        pieces = [bytes(reader.feed(piece)) for step in (coder.feed(flac), coder.finish()) for piece in step]
    finally:
        coder.close()
    return np.frombuffer(b"".join(pieces), "<i2").reshape(-1, 2)


def acts(service: Service) -> list[str]:
    with service.database.read() as connection:
        return list(connection.execute(select(metadata.tables["audit"].c.type)).scalars())


def test_a_consented_recording_is_stored_whole_and_deleted_at_the_exchange(
    service: Service, exchange: Exchange
) -> None:
    told(service, exchange)
    assert capture.capture_due(service, at(13)) == 1
    kept = only(service)
    assert (kept.state, kept.segment, kept.channels, kept.duration_ms) == ("stored", "private_inbound", 2, 6000)
    assert (kept.content_type, kept.size_bytes) == ("audio/wav", len(WHOLE))
    assert kept.expires_at == at(10) + timedelta(days=90)
    assert kept.expiry_day == "20261202"
    assert opened(service, kept) == WHOLE
    assert opened(service, kept, "peaks")[:4] == b"PEAK"
    assert len(objects(service)) == 2
    with service.database.read() as connection:
        call = call_rows.get(connection, kept.call_id)
        assert call is not None
        own = personal.of_recording(service, call, kept, at(20))
        assert forecast.expected(connection, "20261202") == 1
        used = connection.execute(select(metadata.tables["key_uses"])).mappings()
        assert [(one["recording_id"], one["day"]) for one in used] == [(kept.id, "20261202")]
        key = service.keyring.key(kept.key_id or "", at(20))
        for kind, value in (("phone", "+4520123456"), ("account", "A-1001"), ("agent", "a-17")):
            assert recordings.find_marked(connection, [columns.mark(key, kind, value)]) == [kept]
    assert own["sha256"] == hashlib.sha256(WHOLE).hexdigest()
    assert own["phone"] == "+4520123456"
    assert "url" not in own
    assert key.day.isoformat() == "2026-12-02"
    assert exchange.deletes == []
    assert sources.delete_at_sources(service, at(14)) == 1
    assert exchange.deletes == [PATH]
    assert sources.delete_at_sources(service, at(99)) == 0
    assert acts(service).count("recording.stored") == acts(service).count("source.deleted") == 1
    assert audit.verify(service.database).ok


def test_tags_and_keys_of_objects_name_class_and_expiry_only(service: Service, exchange: Exchange) -> None:
    told(service, exchange)
    capture.capture_due(service, at(13))
    for key in objects(service):
        assert key.startswith("private_inbound/20261202/")
        assert service.vault.objects.tags(key) == {"segment": "private_inbound", "expires": "2026-12-02"}


def test_p1_what_was_said_before_the_yes_is_cut_to_the_sample(service: Service, exchange: Exchange) -> None:
    told(service, exchange, consent_s=2.5)
    capture.capture_due(service, at(13))
    kept = only(service)
    assert (decoded(opened(service, kept)) == sound()[20_000:]).all()
    assert kept.content_type == "audio/flac"
    assert kept.duration_ms == 3500
    assert sniff(opened(service, kept, "playback")) == "mp3"
    with service.database.read() as connection:
        bodies = "".join(connection.execute(select(metadata.tables["audit"].c.body)).scalars())
    assert '"cut":true' in bodies
    assert '"reason":"cut"' in bodies  # by which it is counted: the norm is to begin at the yes


def test_p1_what_begins_at_the_yes_counts_as_no_cut_though_it_was_paused(service: Service, exchange: Exchange) -> None:
    story = told(service, exchange)
    story.tell("recording.paused", 2, recording_id=story.recording)
    story.tell("recording.resumed", 4, recording_id=story.recording)
    capture.capture_due(service, at(13))
    assert only(service).state == "stored"
    with service.database.read() as connection:
        bodies = "".join(connection.execute(select(metadata.tables["audit"].c.body)).scalars())
    assert '"cut":true' in bodies
    assert '"reason":"cut"' not in bodies


@pytest.mark.parametrize("decision", ["refused", "unanswered", "withdrawn"])
def test_p1_without_a_consent_not_a_byte_is_fetched(service: Service, exchange: Exchange, decision: str) -> None:
    story = told(service, exchange, consent_s=None)
    story.consent(5, decision)
    capture.capture_due(service, at(13))
    assert only(service).state == "discarded"
    assert only(service).sealed is None
    assert exchange.gets == []
    assert objects(service) == []
    assert sources.delete_at_sources(service, at(14)) == 1
    assert exchange.deletes == [PATH]


def never_recorded(service: Service) -> None:
    """Let the line table say so from now on."""
    lines = service.settings.lines_path
    lines.write_text(lines.read_text("utf-8").replace('consent = "ask"', 'consent = "never"'), "utf-8")


def test_p1_nothing_is_kept_of_a_line_that_is_never_recorded_whoever_says_yes(
    service: Service, exchange: Exchange
) -> None:
    never_recorded(service)
    told(service, exchange)
    capture.capture_due(service, at(13))

    assert (only(service).state, only(service).reason) == ("discarded", "never_recorded")
    assert exchange.gets == []
    assert sources.delete_at_sources(service, at(14)) == 1


def test_what_was_kept_before_a_line_came_never_to_be_recorded_stays(service: Service, exchange: Exchange) -> None:
    story = told(service, exchange)
    capture.capture_due(service, at(13))
    never_recorded(service)
    story.tell("recording.paused", 2, recording_id=story.recording)
    capture.capture_due(service, at(20))

    assert only(service).state == "stored"


def test_p1_each_recording_of_a_call_is_judged_and_kept_by_itself(service: Service, exchange: Exchange) -> None:
    """Stopped while on hold, say, and begun again: what ended before the yes goes, what came after it stays whole."""
    story = Story(service, START)
    story.begin()
    recorded = {"before": (0, 3), "across": (4, 10), "after": (12, 18)}
    for name, (began, _) in recorded.items():
        exchange.recordings[f"/{name}"] = WHOLE
        story.tell("recording.started", began, recording_id=name)
    story.consent(7)
    story.end(20)
    for name, (began, ended) in recorded.items():
        story.recording = name
        story.available(f"{exchange.origin}/{name}", 21, began, duration_ms=(ended - began) * 1000)
    capture.capture_due(service, at(22))
    capture.capture_due(service, at(22) + timedelta(days=1))

    with service.database.read() as connection:
        refs = {name: sources.recording_ref(service, "standard", name) for name in recorded}
        rows = {name: recordings.by_ref(connection, ref) for name, ref in refs.items()}
    kept = {name: (one.state, one.spans and one.spans["keep"][0][0]) for name, one in rows.items() if one}
    assert kept == {"before": ("discarded", None), "across": ("stored", 3000), "after": ("stored", 0)}
    assert sorted(exchange.gets) == ["/across", "/after"]


def test_whose_voice_is_on_which_channel_is_kept_with_the_recording(service: Service, exchange: Exchange) -> None:
    channel_map = {"0": "customer", "1": "agent"}
    told(service, exchange, channels=2, channel_map=channel_map)  # type: ignore[arg-type] -- a test's shorthand
    capture.capture_due(service, at(13))
    kept = only(service)
    with service.database.read() as connection:
        call = call_rows.get(connection, kept.call_id)

    assert call is not None
    assert kept.channels == 2
    assert personal.of_recording(service, call, kept, at(14))["channel_map"] == channel_map


def test_p1_a_silent_call_waits_for_its_deadline_and_is_discarded(service: Service, exchange: Exchange) -> None:
    told(service, exchange, consent_s=None)
    capture.capture_due(service, at(13))
    assert only(service).state == "announced"
    capture.capture_due(service, at(10) + timedelta(hours=23))
    assert only(service).state == "announced"
    capture.capture_due(service, at(11) + timedelta(hours=24))
    assert only(service).state == "discarded"
    assert exchange.gets == []


def test_p1_a_withdrawal_during_the_fetch_keeps_nothing(service: Service, exchange: Exchange) -> None:
    story = told(service, exchange)

    def withdrawing(handler: object) -> None:
        story.consent(14, "withdrawn")
        reply(handler, WHOLE)  # type: ignore[arg-type] -- the server's own handler

    exchange.recordings[PATH] = withdrawing
    capture.capture_due(service, at(13))
    assert only(service).state == "announced"
    assert objects(service) == []
    capture.capture_due(service, at(15))
    assert only(service).state == "discarded"
    assert len(exchange.gets) == 1


def test_p1_an_unannounced_class_is_never_fetched_and_opens_a_task(service: Service, exchange: Exchange) -> None:
    story = Story(service, START)
    exchange.recordings[PATH] = WHOLE
    story.begin(**{"direction": "outbound", "from": "+4570123456", "to": "+4520123456"}, call_kind="service")
    story.record()
    story.consent(0)
    story.end(10)
    story.available(exchange.origin + PATH, 12)
    capture.capture_due(service, at(13))
    assert (only(service).state, only(service).reason) == ("discarded", "class_unknown")
    assert exchange.gets == []
    with service.database.read() as connection:
        assert "class_unknown" in [task.kind for task in tasks.open_tasks(connection)]


def missing(handler: object) -> None:
    reply(handler, b"<html>soon</html>", 404, "text/html")  # type: ignore[arg-type] -- the server's own handler


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (missing, "platform"),
        (lambda handler: reply(handler, b"", 425), "platform"),
        (b"", "audio_not_ready"),
        (b"<!DOCTYPE html><html>Please sign in</html>", "audio_not_ready"),
        (b"<?xml version='1.0'?><Error/>", "audio_not_ready"),
        (WHOLE[:-2], "audio_truncated"),
        (lambda handler: reply(handler, WHOLE[:-100], length=len(WHOLE)), "platform"),
    ],
)
def test_p6_what_is_not_there_yet_is_tried_again_and_kept_when_it_is(
    service: Service, exchange: Exchange, answer: object, reason: str
) -> None:
    told(service, exchange, audio=answer)  # type: ignore[arg-type] -- bytes or an answer
    capture.capture_due(service, at(13))
    kept = only(service)
    assert (kept.state, kept.reason, kept.tries) == ("announced", reason, 1)
    assert objects(service) == []
    assert capture.capture_due(service, at(14)) == 0
    exchange.recordings[PATH] = WHOLE
    assert capture.capture_due(service, at(30)) == 1
    assert opened(service, only(service)) == WHOLE


@pytest.mark.parametrize(
    ("answer", "tries", "hours"), [(missing, 56, 23), (b"<html></html>", 12, 1)], ids=["away", "not whole"]
)
def test_each_try_waits_twice_as_long_as_the_one_before_up_to_half_an_hour(
    service: Service, exchange: Exchange, answer: object, tries: int, hours: int
) -> None:
    told(service, exchange, audio=answer)  # type: ignore[arg-type] -- bytes or an answer
    now, waits = at(13), []
    while capture.capture_due(service, now) and (again := only(service).next_try_at) is not None:
        waits.append((again - now).total_seconds())
        now = again

    assert only(service).state == "failed"
    late = [wait - min(2**number, 1800) for number, wait in enumerate(waits, start=1)]
    assert len(waits) == tries - 1
    assert all(0 <= seconds < 5 for seconds in late)  # what the try itself took
    assert len(exchange.gets) == tries
    assert sum(waits) // 3600 == hours


@pytest.mark.parametrize("audio", [b"<html></html>", WHOLE[:-2], streamed(sound(3))])
def test_audio_that_never_comes_whole_ends_as_a_task_and_stays_at_the_exchange(
    service: Service, exchange: Exchange, audio: bytes
) -> None:
    told(service, exchange, audio=audio, duration_ms=6000)
    now = at(13)
    for _ in range(200):
        capture.capture_due(service, now)
        if only(service).state == "failed":
            break
        now = only(service).next_try_at or now
    assert only(service).state == "failed"
    with service.database.read() as connection:
        assert [task.kind for task in tasks.open_tasks(connection)] == ["capture_failed"]
    assert sources.delete_at_sources(service, now) == 0
    assert exchange.deletes == []


def test_p6_half_of_what_was_announced_is_not_kept_for_all_of_it(service: Service, exchange: Exchange) -> None:
    whole, half = streamed(sound()), streamed(sound(3))
    told(service, exchange, audio=half, duration_ms=6700)
    capture.capture_due(service, at(13))
    assert (only(service).state, only(service).reason) == ("announced", "audio_truncated")
    assert objects(service) == []

    exchange.recordings[PATH] = whole  # what is missing to the announced duration may have been rounded up
    capture.capture_due(service, at(30))
    assert opened(service, only(service)) == whole


def test_what_announced_nothing_about_its_length_is_taken_as_it_comes(service: Service, exchange: Exchange) -> None:
    half = streamed(sound(3))
    told(service, exchange, audio=half)
    capture.capture_due(service, at(13))
    assert opened(service, only(service)) == half


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"\x00\x00\x00\x20ftypM4A " + bytes(5000), "audio_unsupported"),
        (AESGCM(bytes(32)).encrypt(bytes(12), WHOLE, None), "audio_unsupported"),  # a platform's own encryption is on
        (lambda handler: reply(handler, WHOLE, length=3_000_000_000), "media_too_large"),
    ],
)
def test_what_can_never_be_kept_fails_at_once(
    service: Service, exchange: Exchange, answer: object, reason: str
) -> None:
    told(service, exchange, audio=answer)  # type: ignore[arg-type] -- bytes or an answer
    capture.capture_due(service, at(13))
    assert (only(service).state, only(service).reason) == ("failed", reason)
    assert objects(service) == []


def failed(service: Service, exchange: Exchange) -> Story:
    """A recording with a yes whose audio is of no kind we keep: it still lies at the exchange."""
    story = told(service, exchange, audio=b"\x00\x00\x00\x20ftypM4A " + bytes(5000))
    capture.capture_due(service, at(13))
    calls.apply_pending(service, at(13))
    assert only(service).state == "failed"
    return story


def is_gone(service: Service, exchange: Exchange, now: datetime) -> None:
    """Nothing personal is left of the call, neither here nor there."""
    sources.delete_at_sources(service, now)
    assert exchange.deletes == [PATH]
    with service.database.read() as connection:
        (call,) = connection.execute(select(metadata.tables["calls"])).mappings()
        evidence = connection.execute(select(func.count()).select_from(metadata.tables["consents"])).scalar_one()
    assert (call["state"], call["ref"], call["sealed"], call["started_at"], evidence) == ("blank", None, None, None, 0)


def test_p3_what_could_not_be_captured_goes_with_its_day_too(service: Service, exchange: Exchange) -> None:
    failed(service, exchange)
    over = at(10) + timedelta(days=90)
    service.keyring.ensure(over)
    calls.apply_pending(service, over - timedelta(seconds=1))
    assert only(service).state == "failed"
    calls.apply_pending(service, over)
    assert (only(service).state, only(service).reason, only(service).ref) == ("discarded", "expired", None)
    is_gone(service, exchange, over)


def test_p1_a_withdrawal_reaches_what_could_not_be_captured(service: Service, exchange: Exchange) -> None:
    story = failed(service, exchange)
    story.consent(60, "withdrawn")
    calls.apply_pending(service, at(61))
    assert (only(service).state, only(service).reason) == ("discarded", "withdrawn")
    is_gone(service, exchange, at(62))


def test_p1_an_order_reaches_the_copy_of_what_could_not_be_captured(service: Service, exchange: Exchange) -> None:
    failed(service, exchange)
    assert erasure.erase(service, only(service).id, reason="dpo_order", actor=DPO, now=at(60)) is not None
    is_gone(service, exchange, at(61))


def test_p1_an_order_about_what_is_not_stored_yet_keeps_it_out_and_the_rest_as_it_is(
    service: Service, exchange: Exchange
) -> None:
    story = told(service, exchange)
    capture.capture_due(service, at(13))
    story.recording += "-2"
    story.available(exchange.origin + "/r/2.wav", 14)
    with service.database.read() as connection:
        found = connection.execute(select(metadata.tables["recordings"].c.id, metadata.tables["recordings"].c.state))
        states = {state: recording_id for recording_id, state in found}
    assert erasure.erase(service, states["announced"], reason="dpo_order", actor=DPO, now=at(15)) is None
    for _ in range(2):
        capture.capture_due(service, at(16))
    with service.database.read() as connection:
        first, second = (recordings.get(connection, states[state]) for state in ("stored", "announced"))
    assert first is not None
    assert second is not None
    assert (first.state, second.state, second.reason) == ("stored", "discarded", "dpo_order")
    sources.delete_at_sources(service, at(17))
    assert sorted(exchange.deletes) == [PATH, "/r/2.wav"]


def test_p1_a_persons_withdrawal_reaches_it_as_well(service: Service, exchange: Exchange) -> None:
    failed(service, exchange)
    erasure.withdraw(service, only(service).id, Actor("ses_1", "customer"), at(60))
    is_gone(service, exchange, at(61))


def test_an_address_off_the_list_is_never_asked(service: Service, exchange: Exchange) -> None:
    story = Story(service, START)
    story.begin()
    story.record()
    story.consent()
    story.end(10)
    with exchanges.running() as other:
        other.recordings[PATH] = WHOLE
        story.available(other.origin + PATH, 12)
        capture.capture_due(service, at(13))
        assert other.gets == []
    assert (only(service).state, only(service).reason) == ("failed", "media_refused")


def test_p6_a_full_store_loses_nothing(service: Service, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    told(service, exchange)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("storage.objects_folder.uploading.os.write", full)
        with pytest.raises(StoreFullError):
            capture.capture_one(service, only(service), at(13))
    assert (only(service).state, only(service).tries) == ("announced", 0)
    assert objects(service) == []
    capture.capture_due(service, at(60))
    assert opened(service, only(service)) == WHOLE


def test_p6_a_recording_that_cannot_be_opened_holds_up_no_other_and_is_tried_less_and_less(
    service: Service, exchange: Exchange
) -> None:
    told(service, exchange)
    broken = only(service)
    with service.database.write() as connection:
        recordings.change(connection, broken.id, sealed=b"not what was sealed")
    told(service, exchange)
    assert capture.capture_due(service, at(13)) == 1
    for now, wait in ((at(13), capture.WHILE_AWAY), (at(10_000), capture.LONGEST_WAIT)):
        assert capture.capture_due(service, now) == 0
        waiting = read(service, broken.id)
        assert (waiting.state, waiting.lease) == ("announced", None)
        assert waiting.next_try_at is not None
        assert timedelta() <= waiting.next_try_at - now - wait < timedelta(seconds=5)


def test_p6_of_two_workers_one_keeps_and_the_other_deletes_its_own(service: Service, exchange: Exchange) -> None:
    """While one worker fetches, its lease runs out and another does the whole work."""
    told(service, exchange)

    def overtaken(handler: object) -> None:
        exchange.recordings[PATH] = WHOLE
        assert capture.capture_one(service, only(service), at(120))
        reply(handler, WHOLE)  # type: ignore[arg-type] -- the server's own handler

    exchange.recordings[PATH] = overtaken
    assert not capture.capture_one(service, only(service), at(13))
    assert (only(service).state, only(service).attempt) == ("stored", 2)
    assert opened(service, only(service)) == WHOLE
    assert len(objects(service)) == 2
    assert acts(service).count("recording.stored") == 1
    with service.database.read() as connection:
        assert forecast.expected(connection, "20261202") == 1


def test_p6_a_lease_is_renewed_also_while_there_is_nothing_left_to_receive(
    service: Service, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of silence come in a few blocks, and are worked on for longer than a lease lasts."""
    told(service, exchange)
    leases = {}

    def hook(step: str) -> None:
        if step in {"capture.receiving", "capture.produced"}:
            leases[step] = only(service).lease_until

    monkeypatch.setattr(uploading, "RENEW_AFTER_S", 0)
    monkeypatch.setattr(faultpoints, "hook", hook)
    capture.capture_due(service, at(13))

    assert leases["capture.receiving"] < leases["capture.produced"]


def test_a_worker_with_a_lease_is_left_alone(service: Service, exchange: Exchange) -> None:
    told(service, exchange)

    def meanwhile(handler: object) -> None:
        assert capture.capture_due(service, at(40)) == 0
        reply(handler, WHOLE)  # type: ignore[arg-type] -- the server's own handler

    exchange.recordings[PATH] = meanwhile
    assert capture.capture_due(service, at(13)) == 1
    assert only(service).attempt == 1


def test_p1_a_late_pause_mutes_what_is_stored(service: Service, exchange: Exchange) -> None:
    story = told(service, exchange)
    capture.capture_due(service, at(13))
    before = only(service)
    story.tell("recording.paused", 2, recording_id=story.recording)
    story.tell("recording.resumed", 3, recording_id=story.recording)
    assert capture.capture_due(service, at(20)) == 1
    after = only(service)
    kept = decoded(opened(service, after))
    assert len(kept) == 6 * RATE
    assert not kept[2 * RATE : 3 * RATE].any()
    assert (kept[: 2 * RATE] == sound()[: 2 * RATE]).all()
    assert (kept[3 * RATE :] == sound()[3 * RATE :]).all()
    assert after.dek != before.dek
    assert (after.expires_at, after.next_try_at, after.lease) == (before.expires_at, None, None)
    capture.erase_leftovers(service)
    assert len(objects(service)) == 3
    assert capture.capture_due(service, at(30)) == 0
    with service.database.read() as connection:
        assert forecast.expected(connection, "20261202") == 1
        key = service.keyring.key(after.key_id or "", at(20))
        assert recordings.find_marked(connection, [columns.mark(key, "phone", "+4520123456")]) == [after]


def test_p1_a_late_pause_narrows_what_was_cut_before(service: Service, exchange: Exchange) -> None:
    story = told(service, exchange, consent_s=1.5)
    capture.capture_due(service, at(13))
    story.tell("recording.paused", 4, recording_id=story.recording)
    capture.capture_due(service, at(20))
    kept = decoded(opened(service, only(service)))
    wanted = sound()[12_000:]
    audible = int(2.5 * RATE)
    assert len(kept) == len(wanted)
    assert not kept[audible:].any()
    assert (kept[: audible - 16] == wanted[: audible - 16]).all()


def test_p1_a_late_withdrawal_erases_what_is_stored(service: Service, exchange: Exchange) -> None:
    story = told(service, exchange)
    capture.capture_due(service, at(13))
    story.consent(15, "withdrawn")
    capture.capture_due(service, at(20))
    assert objects(service) == []
    with service.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(metadata.tables["recordings"])).scalar_one() == 0
        assert connection.execute(select(metadata.tables["tombstones"].c.reason)).scalar_one() == "withdrawn"


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


def asked_about(service: Service) -> list[tuple[str, str]]:
    with service.database.read() as connection:
        return [(task.kind, task.subject_id) for task in tasks.open_tasks(connection)]


def test_p1_a_copy_that_cannot_be_deleted_is_a_task_and_tried_every_day_until_it_is_gone(
    service: Service, exchange: Exchange
) -> None:
    now = copy_that_stays(service, exchange)
    assert 160 < len(exchange.deletes) < 200
    assert asked_about(service) == [("source_deletion_failed", only(service).id)]

    exchange.delete_status = 204
    assert sources.delete_at_sources(service, now + timedelta(days=1)) == 1
    assert asked_about(service) == []
    assert acts(service).count("source.deletion_failed") == acts(service).count("source.deleted") == 1


def test_a_copy_that_people_have_seen_to_is_tried_no_more(service: Service, exchange: Exchange) -> None:
    now = copy_that_stays(service, exchange)
    tried = len(exchange.deletes)
    chores.close(service, "source_deletion_failed", only(service).id, actor=DPO, now=now)

    assert sources.delete_at_sources(service, now + timedelta(days=1)) == 0
    assert (len(exchange.deletes), asked_about(service)) == (tried, [])
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


# -- pushed


def announced(service: Service, *, consent: bool = True, ended: bool = True) -> Story:
    story = Story(service, START)
    story.begin()
    story.record()
    if consent:
        story.consent()
    if ended:
        story.end(10)
    return story


def push(service: Service, story: Story, data: bytes = WHOLE, *, seconds: float = 12, **options: object) -> str:
    wanted = {"content_type": "audio/wav", "started_at": None, **options}
    chunks = iter([data[:1000], data[1000:]])
    return pushing.push(service, story.call_id, story.recording, chunks=chunks, now=at(seconds), **wanted)  # type: ignore[arg-type] -- test options


def test_a_pushed_recording_is_created_once(service: Service) -> None:
    story = announced(service)
    assert push(service, story) == "created"
    assert opened(service, only(service)) == WHOLE
    assert push(service, story) == "same"
    assert push(service, story, wav(sound(3))) == "conflict"
    sources.delete_at_sources(service, at(14))
    assert acts(service)[-1] == "source.left"  # who pushes has told us of no copy that we could delete
    assert acts(service).count("recording.stored") == 1
    assert len(objects(service)) == 2


@pytest.mark.parametrize("kind", ["recording.absent", "recording.failed"])
def test_p6_a_push_of_what_was_said_to_be_missing_is_kept(service: Service, kind: str) -> None:
    story = announced(service, ended=False)
    for _ in range(2):
        story.tell(kind, 9, recording_id=story.recording)
        with pytest.raises(ConsentPendingError):
            push(service, story, seconds=9)
    story.end(10)

    assert push(service, story) == "created"
    assert opened(service, only(service)) == WHOLE


def test_p6_a_push_beside_another_of_the_same_is_to_be_repeated(service: Service) -> None:
    story = announced(service)

    def arriving() -> Iterator[bytes]:
        yield WHOLE[:1000]
        with pytest.raises(LeaseLostError) as meanwhile:
            push(service, story)
        assert meanwhile.value.retryable  # as "conflict" it would say that other audio was kept
        yield WHOLE[1000:]

    kept = pushing.push(service, story.call_id, story.recording, "audio/wav", arriving(), None, at(12))

    assert (kept, push(service, story)) == ("created", "same")


def test_a_pushed_recording_that_was_cut_is_still_known_by_its_bytes(service: Service) -> None:
    story = announced(service, consent=False)
    story.consent(2)
    assert push(service, story) == "created"
    assert only(service).content_type == "audio/flac"
    assert push(service, story) == "same"


def test_a_push_may_say_when_the_recording_began(service: Service) -> None:
    story = Story(service, START)
    story.begin()
    story.consent()
    story.end(10)
    for impossible in (None, START - timedelta(days=91), START + timedelta(hours=1)):
        with pytest.raises(InvalidInputError):
            push(service, story, started_at=impossible)
    assert push(service, story, started_at=START) == "created"


def test_p1_a_push_without_a_consent_is_not_even_read(service: Service) -> None:
    pending, refused = announced(service, consent=False), announced(service, consent=False)
    refused.consent(3, "refused")

    def unread() -> Iterator[bytes]:
        pytest.fail("read before it was decided")
        yield b""

    with pytest.raises(ConsentPendingError):
        pushing.push(service, pending.call_id, pending.recording, "audio/wav", unread(), None, at(12))
    for _ in range(2):
        with pytest.raises(ConsentMissingError):
            pushing.push(service, refused.call_id, refused.recording, "audio/wav", unread(), None, at(12))
    with pytest.raises(CallNotFoundError):
        pushing.push(service, "unknown", "unknown-r", "audio/wav", unread(), START, at(12))
    assert objects(service) == []


def test_a_push_while_the_call_goes_on_is_asked_again(service: Service) -> None:
    story = announced(service, ended=False)
    with pytest.raises(ConsentPendingError):
        push(service, story)
    story.end(20)
    assert push(service, story, seconds=21) == "created"


def test_a_bad_push_keeps_nothing_and_may_be_repeated(service: Service) -> None:
    story = announced(service)
    with pytest.raises(AudioUnsupportedError):
        push(service, story, content_type="text/html")
    with pytest.raises(AudioTruncatedError):
        push(service, story, WHOLE[:-2])
    assert objects(service) == []
    assert push(service, story, seconds=14) == "created"


def test_a_push_may_take_as_long_as_its_call_did(service: Service) -> None:
    """One that comes at the speed of speech takes longer than any fetch; what has to be encoded is no different."""
    story = announced(service, consent=False)
    story.consent(2)
    hasty = service.settings.capture.model_copy(update={"fetch_timeout_s": 0})
    settings = service.settings.model_copy(update={"capture": hasty})
    assert push(replace(service, settings=settings), story) == "created"


def test_a_push_beyond_the_limit_is_refused(environment: dict[str, str], clock: object) -> None:
    from recorder.service import opened as opening

    settings = load(environment | {"RECORDER_CAPTURE__MAX_BYTES": "50000"})
    with opening(settings, clock=clock) as service:  # type: ignore[arg-type] -- the shared clock
        story = announced(service)
        with pytest.raises(TooLargeError):
            push(service, story)
        assert objects(service) == []
