"""A customer and a DPO in a real browser."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.catalogue import tasks
from tests.e2e.journeys import ask_for_code, enter, mailed_link, recorded_call, sign_in, until
from tests.servers.between import Fate, Request, between

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.e2e.conftest import House

pytestmark = pytest.mark.browser

LEAVE = 'form[action="/access/leave"] button'
WITHDRAW = 'a[href$="/withdraw"]'
COPY_FIRST = 'button[value="copy_first"]'
DELETE_NOW = 'button[value="delete_now"]'

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def assert_accessible(page: Page) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"runOnly": RULES}).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []


def assert_fits(page: Page) -> None:
    """No page scrolls sideways, down to 320 CSS pixels (WCAG 1.4.10)."""
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    hidden = "[...document.querySelectorAll('.scroll')].filter(table => table.scrollWidth > table.clientWidth).length"
    assert page.evaluate(hidden) == 0  # on a phone no column of a table is out of sight


def assert_facts_have_room(page: Page) -> None:
    """However long the names beside them are, two fifths of the width are the facts' own."""
    narrow = (
        "document.querySelectorAll('dl.facts dd')].filter(dd => dd.clientWidth < 0.4 * dd.parentElement.clientWidth)"
    )
    for width in (560, 1200):
        page.set_viewport_size({"width": width, "height": 720})
        assert page.evaluate(f"[...{narrow}.map(dd => dd.textContent)") == [], width


def kept(house: House) -> list[Path]:
    """What the store holds that is large enough to be audio."""
    return [path for path in (house.data / "objects").rglob("*") if path.is_file() and path.stat().st_size > 100]


def tab_to(page: Page, selector: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"no way by keyboard to {selector}")


def follow(page: Page, selector: str) -> None:
    """Click, and be on the page it leads to: what is looked at too early is the page before, or none."""
    with page.expect_navigation():
        page.locator(selector).first.click()


def context(browser: Browser, *, locale: str, scheme: str, javascript: bool = True) -> BrowserContext:
    return browser.new_context(
        viewport={"width": 320, "height": 720},
        locale=locale,
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=javascript,
    )


@pytest.mark.parametrize(("locale", "scheme"), [("da-DK", "light"), ("en-GB", "dark")])
def test_p4_a_customer_hears_keeps_and_withdraws(house: House, browser: Browser, locale: str, scheme: str) -> None:
    recording = recorded_call(house)
    page = context(browser, locale=locale, scheme=scheme).new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)

    page.goto(mailed_link(house))
    assert_accessible(page)
    link = page.url
    enter(house, page, link)
    assert_accessible(page)
    assert_fits(page)

    playing = page.evaluate(
        """async () => {
            const audio = document.querySelector("audio");
            audio.muted = true;
            audio.currentTime = 9;
            await audio.play();
            await new Promise(done => audio.addEventListener("timeupdate", done));
            const heard = {at: audio.currentTime, length: audio.duration};
            audio.pause();
            return heard;
        }"""
    )
    assert playing["at"] >= 9
    assert playing["length"] == pytest.approx(18.5, abs=0.3)  # MP3 frames pad both ends
    with page.expect_download() as download:
        page.locator("a[download]").first.click()
    assert download.value.suggested_filename.endswith(".mp3")
    assert download.value.path().stat().st_size > 50_000

    follow(page, 'a[href*="withdraw"], form[action*="withdraw"] button')
    assert_accessible(page)
    follow(page, "main form button.danger")
    assert_accessible(page)
    assert_facts_have_room(page)
    assert house.visitor("dpo").get(f"/v1/recordings/{recording}").status in {200, 404}
    assert kept(house) == []
    assert faults == []


@pytest.mark.parametrize(("locale", "scheme"), [("da-DK", "dark"), ("en-GB", "light")])
def test_a_customer_withdraws_from_all_calls_at_once(house: House, browser: Browser, locale: str, scheme: str) -> None:
    for name in ("broadband-da", "billing-da"):
        recorded_call(house, name)
    page = context(browser, locale=locale, scheme=scheme).new_page()
    enter(house, page, mailed_link(house))

    for choice in (COPY_FIRST, DELETE_NOW):
        page.goto(f"{house.url}/access/recordings")
        assert_accessible(page)
        assert_fits(page)
        follow(page, 'a[href="/access/recordings/withdraw"]')
        assert_accessible(page)
        assert_fits(page)
        follow(page, choice)
        assert_accessible(page)
        assert_fits(page)

    assert page.locator(".receipt dd").count() == 2
    until("nothing is left in the store", lambda: not kept(house))


def test_the_customers_way_works_without_javascript(house: House, browser: Browser) -> None:
    recorded_call(house)
    link = mailed_link(house)
    page = context(browser, locale="da-DK", scheme="light", javascript=False).new_page()

    page.goto(link)
    page.locator('input[name="token"]').fill(link)
    enter_without_link = page.locator("main form button").first
    enter_without_link.click()

    assert page.locator('form[action="/access/code"] button').count() == 1
    assert_fits(page)


@pytest.mark.parametrize("steps", [[LEAVE], [WITHDRAW, DELETE_NOW]], ids=["logged out", "deleted"])
def test_p4_the_back_button_brings_no_recording_back(house: House, browser: Browser, steps: list[str]) -> None:
    recorded_call(house)
    page = browser.new_page()
    enter(house, page, mailed_link(house))
    for step in steps:
        follow(page, step)
    for _ in steps:
        page.go_back()
        page.locator("h1").wait_for()

    assert page.locator("audio").count() == 0


def test_a_new_link_pasted_over_an_old_one_takes_its_place(house: House, browser: Browser) -> None:
    """Only what stands behind the # differs, so the browser does not load the page again."""
    page = browser.new_page()
    page.goto(f"{house.url}/access/#" + "o" * 43)
    page.goto(f"{house.url}/access/#" + "n" * 43)

    assert page.locator('input[name="token"]').input_value() == "n" * 43


def test_what_is_printed_is_ink_on_paper(house: House, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{house.url}/console/sign-in")
    page.emulate_media(media="print", color_scheme="dark")

    paper, ink = page.eval_on_selector(
        ".card", "card => [getComputedStyle(card).backgroundColor, getComputedStyle(card).color]"
    )
    assert (paper, ink) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")


def test_what_is_chosen_is_seen_where_the_system_takes_all_colours_away(house: House, browser: Browser) -> None:
    recorded_call(house)
    page = browser.new_page(forced_colors="active")
    enter(house, page, mailed_link(house))
    edge = "[true, false].map(on => getComputedStyle(document.querySelector(`[aria-pressed=${on}]`)).outlineStyle)"
    assert page.evaluate(edge) == ["solid", "none"]

    sign_in(house, page)
    assert page.eval_on_selector("nav [aria-current]", "link => getComputedStyle(link).outlineStyle") == "solid"


@pytest.mark.parametrize(("locale", "scheme"), [("da-DK", "dark"), ("en-GB", "light")])
def test_a_dpo_answers_a_request_by_keyboard_alone(house: House, browser: Browser, locale: str, scheme: str) -> None:
    recorded_call(house)
    page = context(browser, locale=locale, scheme=scheme).new_page()
    sign_in(house, page)
    page.goto(f"{house.url}/console/requests")

    tab_to(page, 'input[name="phone"]')
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    page.locator('input[name="phone"][aria-invalid="true"]:focus').wait_for()
    assert_accessible(page)
    assert_fits(page)
    page.keyboard.press("End")
    page.keyboard.type("0123456")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/requests/req_*")
    assert_accessible(page)
    assert_fits(page)
    tab_to(page, 'input[name="identity"]')
    page.keyboard.press("Space")
    tab_to(page, 'form[action$="/approve"] button')
    page.keyboard.press("Enter")

    page.locator(".badge.good").first.wait_for()
    assert_accessible(page)
    assert_fits(page)


def test_a_dpo_is_told_before_the_session_ends_and_keeps_it_and_what_was_typed(house: House, browser: Browser) -> None:
    page = browser.new_page(locale="en-GB", viewport={"width": 320, "height": 720})
    page.clock.install()
    sign_in(house, page)
    page.goto(f"{house.url}/console/requests")
    page.locator('input[name="account"]').fill("A-1001")

    page.clock.run_for(24 * 60_000)
    assert page.locator(".ending .notice").count() == 0
    page.clock.run_for(90_000)
    assert re.search(r"You are signed out at \d\d:\d\d\.", page.locator(".ending").inner_text())
    assert_accessible(page)
    assert_fits(page)
    page.get_by_role("button", name="Stay signed in").press("Enter")
    page.locator(".ending .notice").wait_for(state="detached")

    house.clock.back = timedelta(minutes=-31)
    page.clock.run_for(31 * 60_000)
    assert "You have been signed out." in page.locator(".ending").inner_text()
    assert page.locator('input[name="account"]').input_value() == "A-1001"


def test_who_wakes_a_sleeping_computer_is_told_that_the_visit_is_over(house: House, browser: Browser) -> None:
    recorded_call(house)
    page = browser.new_page(locale="da-DK")
    enter(house, page, mailed_link(house))
    page.clock.set_system_time(datetime.now(UTC) + timedelta(minutes=61))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    assert "Du er blevet logget ud." in page.locator(".ending").inner_text()


def test_who_listens_stays_without_being_asked(house: House, browser: Browser) -> None:
    recorded_call(house)
    page = browser.new_page()
    enter(house, page, mailed_link(house))
    page.evaluate("document.querySelector('audio').play()")
    house.clock.back = timedelta(minutes=-56)
    with page.expect_response("**/access/stay") as stayed:
        page.clock.set_system_time(datetime.now(UTC) + timedelta(minutes=56))
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    assert int(stayed.value.text()) > 3500
    assert page.locator(".ending .notice").count() == 0


def test_p6_a_double_click_on_a_slow_line_counts_once(house: House, browser: Browser) -> None:
    recorded_call(house)
    pressed_twice = threading.Event()

    def decide(request: Request) -> Fate:
        if request.path == "/access/verify":
            pressed_twice.wait(30)
        return "pass"

    with between(house.url) as line:
        line.decide = decide
        page = browser.new_page()
        ask_for_code(house, page, mailed_link(house).replace(house.url, line.endpoint))
        button = page.locator('form[action="/access/verify"] button').bounding_box()
        assert button is not None
        page.mouse.click(button["x"] + 20, button["y"] + 20)
        until("the first press arrives", lambda: line.count("POST", "/access/verify"))
        page.mouse.click(button["x"] + 20, button["y"] + 20)
        pressed_twice.set()
        page.wait_for_url("**/access/recordings")
        assert line.count("POST", "/access/verify") == 1


@pytest.mark.parametrize(("locale", "scheme"), [("da-DK", "light"), ("en-GB", "dark")])
def test_a_dpo_finds_listens_and_deletes(house: House, browser: Browser, locale: str, scheme: str) -> None:
    recording = recorded_call(house)
    with house.service.database.write() as connection:
        tasks.open_task(connection, "hold_not_sheltered", recording, house.clock())
    page = context(browser, locale=locale, scheme=scheme).new_page()

    page.goto(f"{house.url}/console/")
    assert_accessible(page)
    sign_in(house, page)
    assert_accessible(page)
    assert_fits(page)
    page.goto(f"{house.url}/console/recordings")
    assert_accessible(page)
    assert_fits(page)
    page.set_viewport_size({"width": 1100, "height": 720})
    assert_fits(page)
    page.set_viewport_size({"width": 320, "height": 720})
    page.locator('input[name="phone"]').fill("20 12 34 56")
    with page.expect_navigation():
        page.locator('input[name="phone"]').press("Enter")
    assert "20123456" not in page.url
    follow(page, f'a[href*="{recording}"]')
    assert_accessible(page)
    assert_fits(page)
    page.locator('input[name="purpose"][value="documentation"]').check()
    page.locator('form:has(input[name="purpose"]) button').click()
    page.wait_for_selector("audio")
    assert page.evaluate(
        "new Promise((yes, no) => { const a = document.querySelector('audio'); a.preload = 'auto'; a.load();"
        " a.onloadeddata = () => yes(a.duration > 18); a.onerror = () => no('no audio'); })"
    )
    assert_accessible(page)

    page.goto(f"{house.url}/console/recordings/{recording}")
    follow(page, 'a[href$="/erase"]')
    assert_accessible(page)
    assert_fits(page)
    page.locator('input[name="reason"]').first.check()
    page.locator("main form button.danger").click()
    page.wait_for_url("**/console/certificates/**")
    assert_accessible(page)
    assert_fits(page)
    assert kept(house) == []
