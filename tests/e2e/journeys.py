"""Steps people take, as tests and screenshots take them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from api.demo.stage import ANNA, LINE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.conftest import House

T = TypeVar("T")
SPEECH = Path(__file__).parents[2] / "api" / "demo" / "speech"


def until(what: str, look: Callable[[], T | None], seconds: float = 60) -> T:
    """Look until it is there: the far end of a job that was rung."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain: {what}")


def recorded_call(house: House, name: str = "broadband-da", seconds: float = 18, customer: str = ANNA) -> str:
    """A call with a yes; the id of what was stored."""
    dpo = house.visitor("dpo")
    before = {item["id"] for item in dpo.get("/v1/recordings?state=stored").json()["items"]}
    audio = (SPEECH / f"{name}.wav").read_bytes()
    house.exchange.call(customer=customer, line=LINE, key="1", audio=audio, seconds=seconds)

    def new() -> str | None:
        items = dpo.get("/v1/recordings?state=stored").json()["items"]
        return next((str(item["id"]) for item in items if item["id"] not in before), None)

    return until("the recording is stored", new)


def mailed_link(house: House, phone: str = ANNA) -> str:
    """An access request opened and approved; the link its mail carries."""
    dpo = house.visitor("dpo")
    request = dpo.post_json("/v1/subject-requests", {"kind": "access", "phone": phone}).json()
    before = set(house.data.glob("outbox/mail/*.eml"))
    answer = dpo.post_json(
        f"/v1/subject-requests/{request['id']}/approve",
        {"recordings": request["matches"], "identity": {"method": "callback"}},
    )
    assert answer.status == 200, answer.text
    mail = until("the mail", lambda: next(iter(set(house.data.glob("outbox/mail/*.eml")) - before), None))
    message: Any = message_from_bytes(mail.read_bytes(), policy=policy.default)
    found = re.search(r"http\S+/access/#[\w-]+", message.get_body(("plain",)).get_content())
    assert found is not None
    return found.group(0)


def texted_code(house: House, before: set[Path]) -> str:
    """The code of the SMS that has come since."""
    file = until("the SMS", lambda: next(iter(set(house.data.glob("outbox/sms/*.json")) - before), None))
    found = re.search(r"\b\d{6}\b", json.loads(file.read_text("utf-8"))["text"])
    assert found is not None
    return found.group(0)


def ask_for_code(house: House, page: Page, link: str) -> None:
    """From the link in the mail to the code that was texted, typed in and not sent yet."""
    page.goto(link)
    page.locator("main form button").first.click()
    before = set(house.data.glob("outbox/sms/*.json"))
    page.locator('form[action="/access/code"] button').click()
    page.locator('input[name="code"]').fill(texted_code(house, before))


def enter(house: House, page: Page, link: str) -> None:
    """From the link in the mail to the list of recordings, as the customer goes."""
    ask_for_code(house, page, link)
    page.locator('form[action="/access/verify"] button').click()
    page.wait_for_url("**/access/recordings")


def sign_in(house: House, page: Page, role: str = "dpo") -> None:
    page.goto(f"{house.url}/console/")
    page.locator('input[name="token"]').fill(house.token(role))
    page.locator('input[name="token"]').press("Enter")
    page.wait_for_selector("nav")
