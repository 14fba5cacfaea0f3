"""What is kept of a recording with a yes: all of it, or what follows the yes to the sample; its key, marks, tags and
objects; each recording of a call by itself.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from sqlalchemy import select

from recorder import capture, personal, sources
from recorder.audio import sniff
from recorder.ports import Service
from storage import audit, columns
from storage.catalogue import calls as call_rows
from storage.catalogue import forecast, recordings
from storage.tables import metadata
from tests.recorder.captured import PATH, SOUND, START, WHOLE, acts, at, only, opened, told
from tests.recorder.exchange import Exchange, Story
from tests.recorder.sounds import decoded
from tests.recorder.stored import objects


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
    assert (decoded(opened(service, kept), "flac").reshape(-1, 2) == SOUND[20_000:]).all()
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
    told(service, exchange, channels=2, channel_map=channel_map)
    capture.capture_due(service, at(13))
    kept = only(service)
    with service.database.read() as connection:
        call = call_rows.get(connection, kept.call_id)

    assert call is not None
    assert kept.channels == 2
    assert personal.of_recording(service, call, kept, at(14))["channel_map"] == channel_map
