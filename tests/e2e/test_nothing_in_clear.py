"""A whole story with fixture people, and then a search for them in every file and log it left."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from api import logs
from api.demo.stage import ANNA, BENT, LINE
from api.demo.visitor import Visitor
from recorder.capture import pushing
from tests.e2e.conftest import House
from tests.e2e.journeys import SPEECH, mailed_link, recorded_call, texted_code, until
from tests.recorder.exchange import Story

AGENT, CASE, ACCOUNT, GUEST = "agent-karen-holm", "case-77-41213", "ACC-9917-22", "+4531987654"
PEOPLE = (ANNA, BENT, GUEST, "A-1001", "A-1002", AGENT, CASE, ACCOUNT, "anna@example.com", "bent@example.com")
EXEMPT = ("outbox", "directory.csv", "lines.toml")  # what goes out, and what the operator wrote


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that is said while the story runs, by us and by the libraries."""
    said = io.StringIO()
    logs.configure(said)
    root, handler = logging.getLogger(), logging.StreamHandler(said)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield said
    root.removeHandler(handler)
    root.setLevel(level)
    logs.configure()


def test_p2_nothing_personal_lies_in_clear_in_any_file_or_log(house: House, logged: io.StringIO) -> None:
    staff = house.token("dpo")
    secrets = [*PEOPLE, staff, *a_call_by_twilio(house), *a_call_by_an_exchange(house)]
    secrets += what_people_do(house, staff)
    what_goes_wrong(house, logged)

    needles = [needle for secret in secrets for needle in spellings(secret)]
    needles += [(SPEECH / "broadband-da.wav").read_bytes()[at : at + 48] for at in (30_000, 90_001)]
    for name, content in left_behind(house.data):
        found = [needle for needle in needles if needle in content or needle in name.encode()]
        assert not found, f"{name} holds {found}"
    text = logged.getvalue().encode()
    assert [needle for needle in needles if needle in text] == []
    # The search does find what is there.
    assert any(LINE.encode() in content for name, content in left_behind(house.data) if "sqlite" in name)
    assert any(needle in mail.read_bytes() for mail in house.data.glob("outbox/mail/*") for needle in needles)
    assert b"event.failed" in text


def a_call_by_twilio(house: House) -> list[str]:
    """One with a yes, one with a no; the platform's ids."""
    recorded_call(house)
    refused = house.exchange.call(customer=BENT, line=LINE, key="2", audio=b"", seconds=5)
    (recording,) = until("the exchange's copy is deleted", lambda: list(house.exchange.deleted))
    return [refused.sid, recording]


def a_call_by_an_exchange(house: House) -> list[str]:
    """With an agent, a case, a guest on the line and a pause; pushed, held, and let go."""
    now = house.clock()
    story = Story(house.service, now - timedelta(seconds=60), "pbx-call-5521")
    story.begin(account=ACCOUNT, agent=AGENT, case=CASE)
    story.consent(0, method="verbal", agent=AGENT)
    story.record()
    story.tell("party.joined", 10, party={"role": "outside", "number": GUEST}, leg_id="leg-of-guest-1")
    story.tell("party.left", 12, party={"role": "outside", "number": GUEST}, leg_id="leg-of-guest-1")
    story.tell("recording.paused", 14, recording_id=story.recording)
    story.end(18)
    audio = (SPEECH / "broadband-da.wav").read_bytes()
    assert pushing.push(house.service, story.call_id, story.recording, "audio/wav", iter([audio]), None, now)
    return [story.call_id, story.recording, "leg-of-guest-1"]


def what_people_do(house: House, staff: str) -> list[str]:
    """Find, listen, hold, disclose; the secrets that were made on the way."""
    dpo = Visitor(house.url, staff)
    for asked in ({"phone": ANNA}, {"account": ACCOUNT}, {"agent": AGENT}, {"case": CASE}):
        assert dpo.post_json("/v1/recordings/search", asked).json()["items"]
    console = Visitor(house.url)
    console.post_form("/console/sign-in", token=staff)
    assert console.post_form("/console/recordings/search", phone=ANNA).status == 200
    found = dpo.get("/v1/recordings?state=stored").json()["items"]
    for item in found:
        assert dpo.get(f"/v1/recordings/{item['id']}/audio?purpose=documentation").status == 200
    hold = dpo.post_json(f"/v1/recordings/{found[0]['id']}/holds", {"kind": "legal", "reason": "case-1"})
    assert hold.status == 201
    token = mailed_link(house).rpartition("#")[2]
    anna = Visitor(house.url)
    anna.post_form("/access/open", token=token)
    before = set(house.data.glob("outbox/sms/*.json"))
    anna.post_form("/access/code")
    code = texted_code(house, before)
    anna.post_form("/access/verify", code="000000" if code != "000000" else "111111")
    assert "<audio" in anna.post_form("/access/verify", code=code).text
    return [token]


def what_goes_wrong(house: House, logged: io.StringIO) -> None:
    """Errors are where secrets leak: refused searches, events that cannot be true, a mail that does not leave."""
    Visitor(house.url, "rec_dpo_" + "x" * 43).get("/v1/recordings")
    house.visitor("dpo").post_json("/v1/recordings/search", {"phone": "not a number " + ANNA})
    house.visitor("dpo").get(f"/v1/recordings/{quote(ANNA)}")
    for call_id in ("pbx-other-1", "pbx-other-2"):
        story = Story(house.service, house.clock(), call_id)
        story.begin(account=ACCOUNT)
        story.tell("recording.started", recording_id="rec-of-two")  # the second time it is another call's
    (house.data / "outbox" / "mail").rename(house.data / "outbox" / "elsewhere")
    (house.data / "outbox" / "mail").touch()
    dpo = house.visitor("dpo")
    request = dpo.post_json("/v1/subject-requests", {"kind": "access", "phone": ANNA}).json()
    document = {"recordings": request["matches"], "identity": {"method": "callback"}}
    assert dpo.post_json(f"/v1/subject-requests/{request['id']}/approve", document).status == 200
    until("the mail is refused", lambda: "message.not_delivered" in logged.getvalue())
    (house.data / "outbox" / "mail").unlink()
    (house.data / "outbox" / "elsewhere").rename(house.data / "outbox" / "mail")


def left_behind(data: Path) -> Iterator[tuple[str, bytes]]:
    """Every file by its path and content, database, write-ahead log, objects and keys among them."""
    for path in sorted(data.rglob("*")):
        name = str(path.relative_to(data))
        if path.is_file() and not name.startswith(EXEMPT):
            yield name, path.read_bytes()


def spellings(secret: str) -> set[bytes]:
    """The usual encodings of a text, also where it stands in the middle of something."""
    forms = {secret, quote(secret), json.dumps(secret)[1:-1]}
    if secret.startswith("+45"):
        forms |= {secret[1:], secret[3:], "00" + secret[1:]}
    plain = {form.encode() for form in forms}
    plain |= {form.encode(name) for form in forms for name in ("utf-16-le", "utf-16-be")}
    coded = {form.hex().encode() for form in plain} | {form.hex().upper().encode() for form in plain}
    for form in plain:
        for shift in range(3):
            text = base64.b64encode(bytes(shift) + form).rstrip(b"=")
            inner = text[(0, 2, 3)[shift] : len(text) - ((shift + len(form)) % 3 != 0)]  # without the neighbours' bits
            coded |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return plain | {form for form in coded if len(form) >= 6}
