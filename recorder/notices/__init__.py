"""What is said to the people recorded, in mail and SMS: the words of the two languages, and how a mail is built.

A mail has one link, nothing remote, nothing that counts, and says nothing that a stranger could use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from functools import cache
from urllib.parse import urlsplit

import phonenumbers
from babel.dates import format_date
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from recorder.deadlines import ZONE
from recorder.errors import DeliveryError
from recorder.settings import Organisation

LANGUAGES = ("da", "en")
CODE_MINUTES = 10


@dataclass(frozen=True)
class AccessNotice:
    """All that the access mail says. Handles personal data and a token."""

    language: str
    organisation: Organisation
    sender: str
    to: str = field(repr=False)
    link: str = field(repr=False)
    last_digits: str
    called_at: Sequence[datetime]
    works_until: datetime


def access_mail(notice: AccessNotice, now: datetime) -> bytes:
    """The mail with the link, as text and HTML. Raises `DeliveryError` for an address that is none."""
    language = spoken(notice.language)
    words = {
        "language": language,
        "name": notice.organisation.name,
        "link": notice.link,
        "days": _days(notice.called_at, language),
        "many": len(notice.called_at) > 1,
        "last_digits": notice.last_digits,
        "last_day": day(last_whole_day(notice.works_until), language),
        "phone": readable_phone(notice.organisation.phone),
        "site": (urlsplit(notice.organisation.self_service_url).hostname or "").removeprefix("www."),
        "dpo": notice.organisation.dpo_email,
    }
    message = EmailMessage(policy=SMTP)
    if "@" not in notice.to:
        raise DeliveryError("the address is not one that mail can be sent to")
    try:
        message["From"] = f'"{_quoted(notice.organisation.name)}" <{notice.sender}>'
        message["To"] = notice.to
        message["Subject"] = _said(f"access.{language}.subject", words)
        message["Date"] = format_datetime(now)
        message["Message-ID"] = make_msgid(domain=notice.sender.rpartition("@")[2] or "localhost")
    except (ValueError, IndexError) as exc:
        raise DeliveryError("the address is not one that mail can be sent to") from exc
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_said(f"access.{language}.txt", words) + "\n", cte="quoted-printable")
    message.add_alternative(_said(f"access.{language}.html", words) + "\n", subtype="html", cte="quoted-printable")
    message["Content-Language"] = language  # set earlier, it would belong to the first part only
    return message.as_bytes()


def code_text(digits: str, *, name: str, host: str, language: str) -> str:
    """The SMS with the code; its last line lets phones fill it in on our page and on no other."""
    words = {"digits": digits, "name": name, "minutes": CODE_MINUTES, "host": host}
    return _said(f"code.{spoken(language)}.txt", words)


def spoken(language: str | None) -> str:
    return language if language in LANGUAGES else "da"


def day(value: date, language: str) -> str:
    pattern, locale = ("d. MMMM y", "da_DK") if language == "da" else ("d MMMM y", "en_GB")
    return format_date(value, pattern, locale=locale)


def last_whole_day(until: datetime) -> date:
    """The last day on which it works from midnight to midnight: what "through" may promise."""
    return (until.astimezone(ZONE) - timedelta(days=1)).date()


def readable_phone(number: str) -> str:
    try:
        parsed = phonenumbers.parse(number, "DK")
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _days(called_at: Sequence[datetime], language: str) -> str:
    """`3. september 2026`, or several of them joined as people do."""
    days = list(dict.fromkeys(moment.astimezone(ZONE).date() for moment in sorted(called_at)))
    said = [day(one, language) for one in days]
    joint = " og " if language == "da" else " and "
    return joint.join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("recorder.notices"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _said(name: str, words: dict[str, object]) -> str:
    return _templates().get_template(name).render(words).strip()


def _quoted(name: str) -> str:
    return name.replace("\\", "").replace('"', "")
