"""What a caller hears, word by word (docs and wording of the prompts), and what Twilio is told."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recorder.lines import Line
from recorder.scripts import Script
from recorder.scripts.texts import BUILT_IN
from recorder.settings import Organisation
from recorder.voice import prompts
from recorder.voice.prompts import Voice

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LINE = Line("+4570123456", "flexii", dial="+4570000000")
FLOW = Line("+4570123456", "flexii", redirect="https://flow.example/next?a=1&b=2")
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="{}"), min_size=1)  # no places to be filled


def voice(name: str = "inbound-da", **organisation: Any) -> Voice:
    fields = {"version": 1, "sha256": "", "added_at": NOW, "approved_at": NOW, "approved_by": "system"}
    return Voice(Organisation(**organisation), Script(name=name, **(BUILT_IN[name] | fields)))


def tree(text: str) -> ET.Element:
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>')
    return ET.fromstring(text)


def test_p1_the_question_informs_before_a_key_counts() -> None:
    inform, gather = tree(
        prompts.question(voice(), "https://h/webhooks/twilio/consent?script=inbound-da&version=1&language=da")
    )

    assert (inform.tag, inform.attrib) == ("Say", {"language": "da-DK"})
    assert inform.text == (
        "Velkommen til Flexii. Må vi optage samtalen? Vi bruger optagelsen til kvalitetssikring, oplæring af "
        "medarbejdere og dokumentation af det, vi aftaler. Du kan altid trække dit samtykke tilbage."
    )
    assert gather.tag == "Gather"
    assert gather.attrib == {
        "input": "dtmf",
        "numDigits": "1",
        "timeout": "5",
        "actionOnEmptyResult": "true",
        "finishOnKey": "",
        "method": "POST",
        "action": "https://h/webhooks/twilio/consent?script=inbound-da&version=1&language=da",
    }
    assert [(said.tag, said.text) for said in gather] == [
        ("Say", "Tryk 1 for ja eller 2 for nej. Du får samme hjælp uanset hvad.")
    ]


@given(WORDS, WORDS)
@example("Welcome\x0bto us, & <stay>", "\ufffe")
def test_whatever_words_the_house_chose_the_caller_is_asked_and_put_through(words: str, brand: str) -> None:
    script = replace(voice().script, texts={"inform": words, "choose": "{brand}", "refused": words})
    speaking = Voice(Organisation(name=brand), script)
    flow = replace(FLOW, redirect=f"https://flow.example/{words}")

    inform, gather = tree(prompts.question(speaking, f"https://h/consent?{words}"))

    assert spoken(inform.text) == spoken(words)
    assert spoken(gather[0].text) == spoken(brand)
    assert spoken(tree(prompts.unrecorded(flow, speaking))[-1].text) == spoken(flow.redirect)


def spoken(text: str | None) -> str:
    """What of a text an answer in XML can carry; all ends of lines are one to it."""
    carried = "".join(one for one in text or "" if one in "\t\n\r" or (one >= " " and one not in "\ufffe\uffff"))
    return carried.replace("\r\n", "\n").replace("\r", "\n")


def test_p1_recording_starts_after_the_thanks_and_in_full() -> None:
    thanks, start, dial = tree(prompts.recorded(voice(), LINE, "https://h/webhooks/twilio/recording?cause=consent"))

    assert thanks.text == "Tak. Vi optager samtalen og gemmer den i 90 dage. Læs mere på flexii.dk."
    assert start.tag == "Start"
    assert [(child.tag, child.attrib) for child in start] == [
        (
            "Recording",
            {
                "channels": "dual",
                "trim": "do-not-trim",
                "recordingStatusCallback": "https://h/webhooks/twilio/recording?cause=consent",
                "recordingStatusCallbackMethod": "POST",
                "recordingStatusCallbackEvent": "in-progress completed absent",
            },
        )
    ]
    assert (dial.tag, dial.text) == ("Dial", "+4570000000")


def test_p1_any_other_answer_connects_to_the_same_place_unrecorded() -> None:
    yes = tree(prompts.recorded(voice(), LINE, "https://h/"))
    polite, dial = no = tree(prompts.unrecorded(LINE, voice()))

    assert polite.text == "Helt i orden. Vi optager ikke samtalen."
    assert (dial.tag, dial.attrib, dial.text) == (yes[-1].tag, yes[-1].attrib, yes[-1].text)
    assert no.find(".//Recording") is None


def test_english_lines_speak_english() -> None:
    inform, gather = tree(prompts.question(voice("inbound-en"), "https://h/"))
    thanks = tree(prompts.recorded(voice("inbound-en"), LINE, "https://h/"))[0]
    polite = tree(prompts.unrecorded(LINE, voice("inbound-en")))[0]

    assert {said.attrib["language"] for said in (inform, gather[0], thanks, polite)} == {"en-GB"}
    assert inform.text == (
        "Welcome to Flexii. May we record this call? We use the recording for quality, for training our staff, and to "
        "document what we agree. You can withdraw your consent at any time."
    )
    assert gather[0].text == "Press 1 for yes or 2 for no. You get the same help either way."
    assert thanks.text == "Thank you. We are recording this call and will keep it for 90 days. Read more at flexii.dk."
    assert polite.text == "That's fine. We won't record this call."


def test_another_brand_says_its_own_name_and_address() -> None:
    organisation = Organisation(name="Tele & <Co>", self_service_url="https://teleco.example/mit")
    other = Voice(organisation, voice().script)

    inform = tree(prompts.question(other, "https://h/"))[0]
    thanks = tree(prompts.recorded(other, LINE, "https://h/"))[0]

    assert inform.text is not None
    assert inform.text.startswith("Velkommen til Tele & <Co>.")
    assert thanks.text == "Tak. Vi optager samtalen og gemmer den i 90 dage. Læs mere på teleco.example."


def test_without_self_service_nobody_is_sent_there() -> None:
    thanks = tree(prompts.recorded(voice(self_service_url=""), LINE, "https://h/"))[0]

    assert thanks.text == "Tak. Vi optager samtalen og gemmer den i 90 dage."


def test_a_flow_of_ones_own_goes_on_after_the_answer() -> None:
    for text in (
        prompts.recorded(voice(), FLOW, "https://h/"),
        prompts.unrecorded(FLOW, voice()),
        prompts.unrecorded(FLOW),
    ):
        last = tree(text)[-1]

        assert (last.tag, last.attrib, last.text) == ("Redirect", {"method": "POST"}, FLOW.redirect)


def test_connecting_alone_says_nothing() -> None:
    assert [(verb.tag, verb.text) for verb in tree(prompts.unrecorded(LINE))] == [("Dial", "+4570000000")]


@pytest.mark.parametrize(
    ("called", "phone", "verb"),
    [
        ("+4599999999", "+4570123456", ("Dial", "+4570123456")),
        (None, "+4570123456", ("Dial", "+4570123456")),
        ("+4570123456", "+4570123456", ("Reject", None)),
        ("+4599999999", "", ("Reject", None)),
    ],
)
def test_p6_an_unknown_number_is_connected_but_never_in_a_circle(
    called: str | None, phone: str, verb: tuple[str, str | None]
) -> None:
    (answer,) = tree(prompts.unknown_number(called, Organisation(phone=phone)))

    assert (answer.tag, answer.text) == verb
