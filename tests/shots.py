"""`make shots`: pictures of the pages, taken from a running house, for the README and for people who review."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from tests.e2e.conftest import browser as browser_fixture
from tests.e2e.conftest import house as house_fixture
from tests.e2e.journeys import enter, mailed_link, recorded_call, sign_in

HERE = Path(__file__).parent.parent
PICTURES = HERE / "docs" / "pictures"


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    opened_house = contextlib.contextmanager(house_fixture.__wrapped__)  # type: ignore[attr-defined] -- pytest keeps the function
    opened_browser = contextlib.contextmanager(browser_fixture.__wrapped__)  # type: ignore[attr-defined] -- same
    with tempfile.TemporaryDirectory() as folder, opened_house(Path(folder)) as house, opened_browser() as browser:
        recording = recorded_call(house, "billing-da", 37)
        phone = browser.new_page(viewport={"width": 390, "height": 900}, device_scale_factor=2, locale="da-DK")
        enter(house, phone, mailed_link(house))
        phone.screenshot(path=PICTURES / "customer.png", clip={"x": 0, "y": 0, "width": 390, "height": 600})
        desk = browser.new_page(viewport={"width": 1200, "height": 1080}, locale="en-GB")
        sign_in(house, desk)
        desk.goto(f"{house.url}/console/recordings/{recording}")
        desk.screenshot(path=PICTURES / "console.png", clip={"x": 0, "y": 0, "width": 1200, "height": 1000})
    for picture in sorted(PICTURES.glob("*.png")):
        print(picture.relative_to(HERE))


if __name__ == "__main__":
    main()
