"""What we ask of Twilio: a recording's audio, its deletion, the list of a call's recordings; none of it is trusted."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recorder.errors import InvalidEventError, PlatformError
from recorder.events import decode, encode
from recorder.platforms import twilio_recordings
from recorder.ports import Listing
from tests.recorder.platforms.twilios import ACCOUNT, CALL, NOW, RECORDING, platform, reaching, recording, source


def test_media_address_is_built_and_never_taken_from_the_callback(far_side: Callable[..., Any]) -> None:
    rest = far_side(200, bytes(2_000_000))

    with reaching(rest.url).fetch(source(), NOW) as media:
        assert sum(map(len, media.chunks(65_536))) == 2_000_000

    credentials = base64.b64encode(f"{ACCOUNT}:first".encode()).decode()
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}.wav"
    assert rest.seen == [("GET", path, f"Basic {credentials}")]


@pytest.mark.parametrize("status", [204, 404])
def test_deleted_or_gone_already_is_done(far_side: Callable[..., Any], status: int) -> None:
    rest = far_side(status)

    assert reaching(rest.url).delete(source())

    assert rest.asked == [("DELETE", f"/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}.json")]


@pytest.mark.parametrize("status", [401, 429, 500])
def test_refused_deletion_is_tried_again(far_side: Callable[..., Any], status: int) -> None:
    with pytest.raises(PlatformError) as failure:
        reaching(far_side(status).url).delete(source())

    assert failure.value.retryable


def test_recording_ids_that_are_none_are_never_asked_for() -> None:
    with pytest.raises(PlatformError):
        platform().delete(source("../Accounts"))


def test_switched_off_nothing_is_asked_for() -> None:
    with pytest.raises(PlatformError) as failure:
        platform(account_sid="", auth_tokens=[]).delete(source())

    assert failure.value.retryable


PLACE = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}/Recordings.json"


def an_entry(number: int, **said: object) -> dict[str, object]:
    start = "Sun, 22 Nov 2026 14:00:00 +0000"
    known = {"sid": f"RE{number:032x}", "call_sid": CALL, "status": "completed", "start_time": start, "duration": "42"}
    return known | {"channels": 2, "source": "StartCallRecordingTwiML", "error_code": None} | said


def test_a_list_is_asked_for_as_twilios_own_client_would_and_read_page_by_page(far_side: Callable[..., Any]) -> None:
    pages = [
        {"recordings": [an_entry(1)], "next_page_uri": f"{PLACE}?PageSize=100&Page=1&PageToken=PA1"},
        {"recordings": [an_entry(2), an_entry(3, status="processing")], "next_page_uri": None},
    ]
    rest = far_side(200, *(json.dumps(page).encode() for page in pages))

    found = reaching(rest.url).recordings(CALL, NOW)

    credentials = base64.b64encode(f"{ACCOUNT}:first".encode()).decode()
    targets = [f"{PLACE}?PageSize=100", f"{PLACE}?PageSize=100&Page=1&PageToken=PA1"]
    assert rest.seen == [("GET", target, f"Basic {credentials}") for target in targets]
    assert [event.recording_id for event in found.events] == [f"RE{1:032x}", f"RE{2:032x}"]
    assert found.unfinished


def test_what_a_list_says_has_the_key_and_the_measures_of_a_callback(far_side: Callable[..., Any]) -> None:
    rest = far_side(200, json.dumps({"recordings": [an_entry(0, sid=RECORDING)]}).encode())
    told = {"RecordingStartTime": "Sun, 22 Nov 2026 14:00:00 +0000", "RecordingDuration": "42"}
    source = {"RecordingSource": "StartCallRecordingTwiML"}

    (listed,) = reaching(rest.url).recordings(CALL, NOW).events
    (called,) = platform().parse(recording(RecordingStatus="completed", RecordingChannels="2", **told, **source), NOW)

    assert listed == replace(called, data=called.data | {"by_answer": "unsaid"})


@pytest.mark.parametrize("further", ["http://169.254.169.254/x", "//evil.example/x", "@evil.example/", f"{PLACE}/../x"])
def test_p2_a_list_never_sends_our_credentials_elsewhere(far_side: Callable[..., Any], further: str) -> None:
    rest = far_side(200, json.dumps({"recordings": [], "next_page_uri": further}).encode())

    with pytest.raises(PlatformError):
        reaching(rest.url).recordings(CALL, NOW)

    assert len(rest.seen) == 1


def test_a_list_without_an_end_is_left(far_side: Callable[..., Any]) -> None:
    rest = far_side(200, json.dumps({"recordings": [], "next_page_uri": f"{PLACE}?Page=1"}).encode())

    reaching(rest.url).recordings(CALL, NOW)

    assert len(rest.seen) == 5


def test_a_call_that_is_not_there_has_no_recordings(far_side: Callable[..., Any]) -> None:
    assert reaching(far_side(404).url).recordings(CALL, NOW) == Listing()


@pytest.mark.parametrize("status", [302, 401, 429, 500])
def test_a_list_that_is_refused_is_asked_for_again(far_side: Callable[..., Any], status: int) -> None:
    with pytest.raises(PlatformError) as failure:
        reaching(far_side(status).url).recordings(CALL, NOW)

    assert failure.value.retryable


@pytest.mark.parametrize("call_id", ["", "../Accounts", CALL + "/x", "pbx-1"])
def test_call_ids_that_are_none_are_never_asked_about(far_side: Callable[..., Any], call_id: str) -> None:
    rest = far_side(200, b'{"recordings": []}')

    with pytest.raises(PlatformError):
        reaching(rest.url).recordings(call_id, NOW)

    assert rest.seen == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*twilio_recordings.LISTED.values(), "call_sid"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(entries=st.lists(json_values, max_size=3), rest=json_values, body=st.binary())
@example(entries=[], rest=None, body=b'{"recordings": ' + b"[" * 300_000)
@example(entries=[{"sid": RECORDING, "status": "completed", "source": "\ud800"}], rest=None, body=b"")
@example(entries=[{"sid": RECORDING, "status": "failed", "error_code": "\ud800"}], rest=None, body=b"")
def test_no_list_makes_reading_it_or_keeping_what_it_says_raise_anything_else(
    entries: Any, rest: Any, body: bytes
) -> None:
    documents = (body, json.dumps(rest).encode(), json.dumps({"recordings": entries, "next_page_uri": rest}).encode())
    for document in documents:
        with suppress(PlatformError, InvalidEventError):
            found, _ = twilio_recordings.page(document)
            for event in twilio_recordings.listed(CALL, found, NOW).events:
                assert decode(encode(event)) == event
