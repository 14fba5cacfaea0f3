"""Canonical events: every field is taken, everything malformed refused by name and never repeated."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import InvalidEventError
from recorder.events import Event, EventType, decode, encode
from recorder.platforms import canonical

NOW = datetime(2026, 11, 22, 10, 13, tzinfo=UTC)
TIMESTAMP = "2026-11-22T10:12:05.120Z"
EXAMPLE = {
    "type": "consent.granted",
    "timestamp": TIMESTAMP,
    "data": {
        "call_id": "pbx-81",
        "direction": "inbound",
        "from": "+4520123456",
        "to": "+4570123456",
        "customer_type": "private",
        "agent": "a-17",
        "queue": "billing",
        "method": "dtmf",
        "digit": "1",
        "script": "inbound-da@3",
    },
}
REQUIRED: dict[str, dict[str, Any]] = {
    "call.started": {"direction": "outbound", "from": "+4570123456", "to": None},
    "call.transferred": {"party": {"role": "agent"}},
    "party.joined": {"party": {"role": "outside", "number": "20 12 34 56"}},
    "party.left": {"party": {"role": "customer", "number": "anonymous"}},
    "consent.granted": {"method": "verbal"},
    "recording.available": {"recording_id": "r1", "url": "https://pbx.example.com/r1.wav", "started_at": TIMESTAMP},
    **{
        kind: {"recording_id": "r1"}
        for kind in get_args(EventType)
        if kind.startswith("recording.") and kind != "recording.available"
    },
}


def parse(document: Any) -> Event:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return canonical.parse(body, platform="standard", key="msg_1", stamped_at=NOW, now=NOW)


def event(kind: str, **data: Any) -> Event:
    return parse(
        {"type": kind, "timestamp": TIMESTAMP, "data": {"call_id": "pbx-81", **REQUIRED.get(kind, {}), **data}}
    )


def test_example_of_the_interfaces_is_taken_whole() -> None:
    taken = parse(EXAMPLE)

    assert taken.data == {name: value for name, value in EXAMPLE["data"].items() if name != "call_id"}  # type: ignore[attr-defined]
    assert (taken.call_id, taken.key, taken.clock) == ("pbx-81", "msg_1", "platform")
    assert taken.at == datetime(2026, 11, 22, 10, 12, 5, 120_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "confidence", "taken_as"),
    [
        ("consent.granted", 0, "consent.unanswered"),
        ("consent.granted", 0.49, "consent.unanswered"),
        ("consent.granted", 0.5, "consent.granted"),
        ("consent.granted", None, "consent.granted"),
        ("consent.refused", 0.1, "consent.refused"),
        ("consent.withdrawn", 0.1, "consent.withdrawn"),
    ],
)
def test_p1_a_yes_that_was_hardly_recognised_is_none_and_a_no_always_is(
    kind: str, confidence: float | None, taken_as: str
) -> None:
    assert event(kind, method="verbal", confidence=confidence).type == taken_as


@pytest.mark.parametrize("kind", get_args(EventType))
def test_every_type_is_taken_with_what_it_must_carry(kind: str) -> None:
    taken = event(kind)

    assert taken.type == kind
    assert taken.opens == (kind not in {"recording.available", "recording.absent", "recording.failed"})
    assert decode(encode(taken)) == taken


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, data in REQUIRED.items() for name in data])
def test_what_an_event_must_carry_is_missed(kind: str, name: str) -> None:
    data = {"call_id": "pbx-81", **{field: value for field, value in REQUIRED[kind].items() if field != name}}

    with pytest.raises(InvalidEventError, match=name):
        parse({"type": kind, "timestamp": TIMESTAMP, "data": data})


def test_unknown_fields_are_ignored() -> None:
    taken = event("call.ended", colour="green", party={"role": "king"})

    assert taken.data == {}


def test_times_of_the_data_go_before_the_envelope() -> None:
    ended = event("call.ended", ended_at="2026-11-22T11:11:00+01:00")

    assert ended.at == datetime(2026, 11, 22, 10, 11, tzinfo=UTC)
    assert ended.data == {"ended_at": "2026-11-22T10:11:00Z"}


def test_numbers_are_kept_in_e164_or_not_at_all() -> None:
    taken = event("call.started", **{"from": "sip:20123456@pbx.example.com", "to": "100"})

    assert (taken.data["from"], taken.data["to"]) == ("+4520123456", None)


def test_channels_and_their_roles_are_taken() -> None:
    channel_map = {"0": "customer", "1": "agent"}
    taken = event("recording.available", channels=2, channel_map=channel_map, duration_ms=0)

    assert taken.data["channel_map"] == channel_map
    assert (taken.data["channels"], taken.data["duration_ms"]) == (2, 0)
    assert event("recording.started", channel_map=channel_map).data["channel_map"] == channel_map


def test_null_is_as_good_as_nothing_where_nothing_is_needed() -> None:
    assert event("call.updated", agent=None, customer_type=None).data == {}


@pytest.mark.parametrize("kind", ["call.exploded", "", None, 1, ["call.started"], {"a": 1}, "CALL.STARTED"])
def test_unknown_types_are_refused(kind: object) -> None:
    with pytest.raises(InvalidEventError, match="unknown event type"):
        parse({**EXAMPLE, "type": kind})


@pytest.mark.parametrize(
    "timestamp",
    [
        None, "", 1614265330, "now", "2026-11-22", "2026-11-22T10:12:05", "2026-13-45T10:12:05Z",
        "2026-11-22T25:00:00Z", "2026-11-22T10:12:60Z",
        "2026-11-22T10:12:05+99:00", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59",
        "2001-01-01T00:00:00Z", "2025-11-22T10:12:05Z", "2026-08-24T10:12:59Z",
        "9999-12-31T23:59:59-23:59", "2026-11-22T10:24:00Z", "2026-11-22 10:12:05Z", "２０２６-11-22T10:12:05Z",
    ],
)  # fmt: skip
def test_p1_impossible_times_are_refused(timestamp: object) -> None:
    for document in (
        {**EXAMPLE, "timestamp": timestamp},
        {**EXAMPLE, "data": {**EXAMPLE["data"], "at": timestamp or ""}},  # type: ignore[dict-item]
    ):
        with pytest.raises(InvalidEventError):
            parse(document)


def test_an_event_that_comes_weeks_late_is_taken() -> None:
    """An exchange that was away sends what happened meanwhile; of what is older than this nothing is kept."""
    assert parse({**EXAMPLE, "timestamp": "2026-08-24T10:13:00Z"}).at == NOW - timedelta(days=90)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("call.ended", {"call_id": ""}),
        ("call.ended", {"call_id": 81}),
        ("call.ended", {"call_id": "x" * 129}),
        ("call.ended", {"call_id": "a\nb"}),
        ("call.ended", {"call_id": "a\ud800"}),
        ("call.started", {"direction": "sideways"}),
        ("call.started", {"from": 4520123456}),
        ("call.started", {"to": ["+4520123456"]}),
        ("call.started", {"from": "+" + "9" * 300}),
        ("call.started", {"customer_type": "vip"}),
        ("call.started", {"call_kind": True}),
        ("call.updated", {"account": "x" * 129}),
        ("call.updated", {"agent": {}}),
        ("party.joined", {"party": "customer"}),
        ("party.joined", {"party": {"role": "king"}}),
        ("party.joined", {"party": {"role": "agent", "number": 5}}),
        ("consent.granted", {"method": "telepathy"}),
        ("consent.granted", {"digit": 1}),
        ("consent.granted", {"digit": "x"}),
        ("consent.granted", {"confidence": 1.1}),
        ("consent.granted", {"confidence": "0.9"}),
        ("consent.granted", {"confidence": True}),
        ("consent.granted", {"language": "da; DROP"}),
        ("consent.granted", {"script": "inbound-da"}),
        ("consent.granted", {"offset_ms": 10}),
        ("consent.granted", {"offset_ms": -1, "recording_id": "r1"}),
        ("consent.granted", {"offset_ms": 1.5, "recording_id": "r1"}),
        ("consent.granted", {"offset_ms": 10**30, "recording_id": "r1"}),
        ("recording.available", {"duration_ms": 10**12}),
        ("recording.available", {"duration_ms": "42"}),
        ("recording.available", {"channels": 0}),
        ("recording.available", {"channels": 99}),
        ("recording.available", {"channel_map": {"0": "king"}}),
        ("recording.available", {"channel_map": {"zero": "agent"}}),
        ("recording.available", {"channel_map": {"0": ["agent"]}}),
        ("recording.available", {"channel_map": ["agent"]}),
        ("recording.available", {"url": "file:///etc/passwd"}),
        ("recording.available", {"url": "https://user:secret@pbx.example.com/"}),
        ("recording.available", {"url": "https://pbx.example.com:99999/"}),
        ("recording.available", {"url": "https://[::1/"}),
        ("recording.available", {"url": "https://pbx.example.com/r1#x"}),
        ("recording.available", {"url": "https://pbx.example.com\\@evil.example/"}),
        ("recording.available", {"url": "https://pbx.example.com/ø"}),
        ("recording.available", {"url": "https://pbx.example.com/a b"}),
        ("recording.available", {"url": "//pbx.example.com/r1"}),
        ("recording.available", {"url": "https://pbx.example.com/" + "x" * 2048}),
        ("recording.available", {"url": None}),
        ("recording.failed", {"reason": "x" * 257}),
    ],
)
def test_malformed_fields_are_refused_without_being_repeated(kind: str, data: dict[str, Any]) -> None:
    (name, value) = next(iter(data.items()))

    with pytest.raises(InvalidEventError) as refusal:
        event(kind, **data)

    assert name in str(refusal.value)
    assert len(str(value)) < 4 or str(value) not in str(refusal.value)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"x"', b"{", b"\xff\xfe", b"[" * 100_000, b'{"type": NaN}', b"9" * 5000,
        b'{"type":"call.ended","timestamp":"2026-11-22T10:12:05Z"}',
        b'{"type":"call.ended","timestamp":"2026-11-22T10:12:05Z","data":[]}',
        b'{"type":"call.ended","timestamp":"2026-11-22T10:12:05Z","data":{"call_id":null}}',
    ],
)  # fmt: skip
def test_bodies_that_are_no_events_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidEventError):
        parse(body)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=5
)
names = st.sampled_from(sorted(canonical.READERS))


@given(
    kind=st.sampled_from(get_args(EventType)),
    data=st.dictionaries(names, values),
    timestamp=st.just(TIMESTAMP) | values,
)
def test_no_field_makes_parse_raise_anything_else(kind: str, data: dict[str, Any], timestamp: Any) -> None:
    document = {"type": kind, "timestamp": timestamp, "data": {"call_id": "pbx-81", **REQUIRED.get(kind, {}), **data}}
    try:
        taken = parse(document)
    except InvalidEventError:
        return
    assert decode(encode(taken)) == taken


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"1", b'{"type":"x"}', encode(parse(EXAMPLE)).replace(b"2026-", b"x-")]
)
def test_decode_refuses_what_encode_did_not_write(body: bytes) -> None:
    with pytest.raises(InvalidEventError):
        decode(body)
