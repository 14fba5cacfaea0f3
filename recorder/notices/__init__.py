"""What is said to the people recorded, in mail and SMS: the words of the two languages, and how a mail is built.

A mail has at most one link, nothing remote, no tracking, and says nothing that a stranger could use. Its
Message-ID is the outbox row's: a repeated mail is the same mail, and a bounce says which one came back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from urllib.parse import urlsplit

import idna
import phonenumbers
from babel.dates import format_date
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from recorder.deadlines import ZONE
from recorder.errors import DeliveryRefusedError
from recorder.settings import Organisation

LANGUAGES = ("da", "en")


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
    message_id: str
    by_call: bool = False


@dataclass(frozen=True)
class Letter:
    """An answer about a request, without a link. Handles personal data.

    `kind` is receipt, extended, granted, refused, identity, identity_reminder or identity_closed; `about` is what
    kind of request it is about.
    """

    kind: str
    about: str
    language: str
    organisation: Organisation
    sender: str
    to: str = field(repr=False)
    message_id: str
    received_at: datetime
    due_at: datetime
    asked_at: datetime | None = None  # when the person was asked who they are
    closes_at: datetime | None = None
    reason: str = ""
    explanation: str = field(default="", repr=False)  # the DPO's own words, for a reason that has no words of ours


def access_mail(notice: AccessNotice, now: datetime) -> bytes:
    """The mail with the link, as text and HTML. Raises `DeliveryRefusedError` for an address that is none."""
    language = spoken(notice.language)
    words = {
        "language": language,
        "name": notice.organisation.name,
        "link": notice.link,
        "days": _days(notice.called_at, language),
        "many": len(notice.called_at) > 1,
        "last_digits": notice.last_digits,
        "by_call": notice.by_call,
        "last_day": day(last_whole_day(notice.works_until), language),
        **_speaker(notice.organisation),
    }
    subject, plain, html = (_said(f"access.{language}.{part}", words) for part in ("subject", "txt", "html"))
    return _mail(notice, language, subject, plain, html, now)


def letter_mail(letter: Letter, now: datetime) -> bytes:
    """A letter as text and HTML; its first line is the subject. Raises `DeliveryRefusedError` as `access_mail` does."""
    language = spoken(letter.language)
    words = {
        "about": letter.about,
        "reason": letter.reason,
        "explanation": letter.explanation,
        "reminder": letter.kind == "identity_reminder",
        "held": letter.about in {"access", "portability"},
        "received": _day_of(letter.received_at, language),
        "due": _day_of(letter.due_at, language),
        "asked": _day_of(letter.asked_at, language),
        "closes": day(last_whole_day(letter.closes_at), language) if letter.closes_at else "",
        **_speaker(letter.organisation),
    }
    template = "identity" if letter.kind == "identity_reminder" else letter.kind
    subject, _, plain = _said(f"{template}.{language}.txt", words).partition("\n")
    paragraphs = [paragraph.splitlines() for paragraph in plain.strip().split("\n\n")]
    shown: dict[str, object] = {"language": language, "subject": subject, "paragraphs": paragraphs}
    return _mail(letter, language, subject, plain.strip(), _said("letter.html", shown), now)


def address(text: str) -> str:
    """An address as it stands on an envelope: its domain in ASCII. Raises `DeliveryRefusedError` where it is none."""
    name, at, domain = text.strip().rpartition("@")
    try:
        if not at or not name or not (name + domain).isprintable() or set(text.strip()) & set(' <>,;:"()[]'):
            raise ValueError
        return f"{name}@{_in_ascii(domain)}"
    except ValueError:  # what idna raises is one of them; its words may repeat the address
        raise DeliveryRefusedError("the address is not one that mail can be sent to") from None


def _in_ascii(domain: str) -> str:
    """By IDNA 2008, as registries do: Python's own codec spells faß.de as fass.de, which is somebody else's."""
    return (domain.encode("idna") if domain.isascii() else idna.encode(domain, uts46=True)).decode()


def _speaker(organisation: Organisation) -> dict[str, str]:
    return {
        "name": organisation.name,
        "phone": readable_phone(organisation.phone),
        "site": (urlsplit(organisation.self_service_url).hostname or "").removeprefix("www."),
        "dpo": organisation.dpo_email,
    }


def _mail(notice: AccessNotice | Letter, language: str, subject: str, plain: str, html: str, now: datetime) -> bytes:
    message = EmailMessage(policy=SMTP)
    sender, to = address(notice.sender), address(notice.to)
    try:
        message["From"] = f'"{_quoted(notice.organisation.name)}" <{sender}>'
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{notice.message_id}@{sender.rpartition('@')[2]}>"
    except (ValueError, IndexError):  # the words of the parser may repeat the address
        raise DeliveryRefusedError("the address is not one that mail can be sent to") from None
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(plain + "\n", cte="quoted-printable")
    message.add_alternative(html + "\n", subtype="html", cte="quoted-printable")
    message["Content-Language"] = language  # set earlier, it would belong to the first part only
    return message.as_bytes()


def code_text(digits: str, *, name: str, host: str, minutes: int, language: str) -> str:
    """The SMS with the code; its last line lets phones fill it in on our page and on no other."""
    words = {"digits": digits, "name": name, "minutes": minutes, "host": host}
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


def _day_of(moment: datetime | None, language: str) -> str:
    return day(moment.astimezone(ZONE).date(), language) if moment else ""


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
