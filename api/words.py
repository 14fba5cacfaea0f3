"""Words, dates and sizes in the two languages people read here.

Templates are written in English; `api/locale/da/*.po` are read as they are, when first needed, so that nothing has to
be built. A sentence without a translation is shown in English, and a test fails.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import cache, partial
from importlib.resources import files

from aiohttp import web
from babel.core import negotiate_locale
from babel.dates import format_date, format_datetime
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from recorder.deadlines import ZONE

LANGUAGES = ("da", "en")
COOKIE = "lang"

FIRM = "\N{NO-BREAK SPACE}"  # no line ends between a number and what it counts
_DAY = {"da": f"d.{FIRM}MMMM y", "en": f"d{FIRM}MMMM y"}
_MOMENT = {"da": f"{_DAY['da']} 'kl.'{FIRM}HH.mm", "en": f"{_DAY['en']} 'at'{FIRM}HH:mm"}
_DATE = {"da": f"d.{FIRM}MMM{FIRM}y", "en": f"d{FIRM}MMM{FIRM}y"}
_STAMP = {"da": f"{_DATE['da']} HH.mm", "en": f"{_DATE['en']} HH:mm"}
_LOCALE = {"da": "da_DK", "en": "en_GB"}


def language(request: web.Request) -> str:
    """The language of this page: `?lang=`, then the cookie it set, then the browser's wish, then Danish."""
    for wish in (request.query.get("lang"), request.cookies.get(COOKIE)):
        if wish in LANGUAGES:
            return wish
    header = request.headers.get("Accept-Language", "")
    wishes = [part.split(";")[0].strip().split("-")[0].lower() for part in header[:200].split(",")]
    wishes = ["da" if wish in {"nb", "nn", "no", "sv"} else wish for wish in wishes]
    return negotiate_locale(wishes, LANGUAGES) or "da"


@cache
def catalogue(lang: str) -> dict[str, str | tuple[str, ...]]:
    """Every sentence of a language by its English; plurals as tuples by form."""
    sentences: dict[str, str | tuple[str, ...]] = {}
    if lang == "en":
        return sentences
    for source in sorted(files("api").joinpath("locale", lang).iterdir(), key=lambda item: item.name):
        if source.name.endswith(".po"):
            with source.open("rb") as file:
                for message in read_po(file, locale=lang):
                    if message.id:
                        key = message.id if isinstance(message.id, str) else message.id[0]
                        sentences[key] = (
                            message.string if isinstance(message.string, str) else tuple(message.string or ())
                        )
    return sentences


def translate(lang: str, sentence: str) -> str:
    found = catalogue(lang).get(sentence)
    return found if isinstance(found, str) and found else sentence


def translate_plural(lang: str, one: str, many: str, number: int) -> str:
    found = catalogue(lang).get(one)
    form = 0 if number == 1 else 1
    return found[form] if isinstance(found, tuple) and len(found) > form and found[form] else (one, many)[form]


def moment(lang: str, value: datetime | str | None) -> str:
    """A moment in Copenhagen, to the minute: `3. november 2026 kl. 10.14`."""
    when = _parsed(value)
    return "–" if when is None else format_datetime(when, _MOMENT[lang], tzinfo=ZONE, locale=_LOCALE[lang])


def stamp(lang: str, value: datetime | str | None) -> str:
    """The same, short enough for a table."""
    when = _parsed(value)
    return "–" if when is None else format_datetime(when, _STAMP[lang], tzinfo=ZONE, locale=_LOCALE[lang])


def short_day(lang: str, value: datetime | None) -> str:
    """The day of a moment in Copenhagen, short enough for a table."""
    return "–" if value is None else format_date(value.astimezone(ZONE).date(), _DATE[lang], locale=_LOCALE[lang])


def day(lang: str, value: datetime | date | str | None) -> str:
    """The day of a moment in Copenhagen, or a day as it is (also as text)."""
    if isinstance(value, str) and len(value) == len("yyyymmdd"):
        value = date(int(value[:4]), int(value[4:6]), int(value[6:]))
    elif isinstance(value, str) and len(value) == len("yyyy-mm-dd"):
        value = date.fromisoformat(value)
    elif isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, datetime):
        value = value.astimezone(ZONE).date()
    return "–" if value is None else format_date(value, _DAY[lang], locale=_LOCALE[lang])


def duration(lang: str, milliseconds: int | None) -> str:
    """`4 min. 12 sek.`, in words a screen reader reads out."""
    if milliseconds is None:
        return "–"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    units = {"da": ("t.", "min.", "sek."), "en": ("h", "min", "s")}[lang]
    parts = [f"{value}{FIRM}{unit}" for value, unit in zip((hours, minutes, seconds), units, strict=True) if value]
    return " ".join(parts) or f"0{FIRM}{units[-1]}"


def count(lang: str, number: int) -> str:
    """`1.000` in Danish, `1,000` in English."""
    return str(format_decimal(number, locale=_LOCALE[lang]))


def size(lang: str, number: int | None) -> str:
    """Bytes as people count them: `2,1 MB`."""
    if number is None:
        return "–"
    value, units = float(number), ["byte", "kB", "MB", "GB"]
    while value >= 1000 and len(units) > 1:  # noqa: PLR2004 -- SI
        value, units = value / 1000, units[1:]
    pattern = "0" if units[0] in {"byte", "kB"} else "0.0"
    return f"{format_decimal(value, pattern, locale=_LOCALE[lang])}{FIRM}{units[0]}"


def filters(lang: str) -> dict[str, Callable[..., str]]:
    """What templates call as `{{ value | moment }}`, bound to one language."""
    return {
        function.__name__: partial(function, lang)
        for function in (moment, stamp, short_day, day, duration, count, size)
    }


def _parsed(value: datetime | str | None) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
