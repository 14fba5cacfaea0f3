"""P1: a pause is muted or cut, as wide as it may have been; where it cannot be placed, nothing is kept."""

from __future__ import annotations

from recorder.consent import Decision
from recorder.consent.spans import UNTIL_END, WHOLE
from tests.recorder.consent.facts import DAY, END, a_call, a_recording, decision, edge, said


def test_p1_a_pause_is_muted_or_cut() -> None:
    call = a_call(said("granted", 0))
    recording = a_recording(edge("paused", 10.0001), edge("resumed", 20.0001))

    muted, cut = decision(call, recording), decision(call, recording, pauses="cut")

    assert (muted.keep, muted.mute, muted.whole) == (WHOLE, ((10_000, 20_001),), False)
    assert (cut.keep, cut.mute) == (((0, 10_000), (20_001, UNTIL_END)), ())


def test_p1_a_pause_that_never_ends_lasts() -> None:
    call = a_call(said("granted", 0))

    assert decision(call, a_recording(edge("paused", 10))).mute == ((10_000, UNTIL_END),)
    always = a_recording(edge("paused", 0))
    assert decision(call, always, now=END + DAY, pauses="cut") == Decision("discard", "paused")


def test_p1_a_resumption_whose_pause_was_lost_pauses_all_before_it() -> None:
    recording = a_recording(edge("paused", 10), edge("resumed", 20), edge("resumed", 50))

    assert decision(a_call(said("granted", 0)), recording).mute == ((10_000, 50_000),)
    later = a_recording(*recording.edges, edge("paused", 40), edge("resumed", 80))
    assert decision(a_call(said("granted", 0)), later).mute == ((10_000, 20_000), (40_000, 80_000))


def test_p1_a_pause_that_cannot_be_placed_discards() -> None:
    call = a_call(said("granted", 0), skew_us=None)

    assert decision(call, a_recording(edge("paused", 10, "service")), now=END + DAY).reason == "unproven"


def test_p1_an_agents_pause_is_taken_two_seconds_wider() -> None:
    recording = a_recording(edge("paused", 10, "service"), edge("resumed", 20, "service"))

    assert decision(a_call(said("granted", 0)), recording).mute == ((8_000, 22_000),)
    lost = a_recording(edge("resumed", 20, "service"))
    assert decision(a_call(said("granted", 0)), lost).mute == ((0, 22_000),)


def test_p1_a_recording_stopped_and_started_again_has_no_timeline_after_the_stop() -> None:
    call, once = a_call(said("granted", 0)), [edge("started", 0), edge("stopped", 100)]

    assert decision(call, a_recording(*once)).whole
    assert decision(call, a_recording(once[1])).whole
    assert decision(call, a_recording(*once, edge("started", 200))).mute == ((100_000, UNTIL_END),)
