"""Telephone numbers in one form: E.164, or nothing where the caller withheld it."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote

import phonenumbers

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
# A zero here is part of an Italian number. In a German one it is only dialled at home: +49 (0)30 …
MAYBE_TRUNK = re.compile(rf"\+(?:{'|'.join(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))})0")
# What networks send instead of a number. The digits spell ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN and UNAVAILABLE.
SPELLED = ("+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253")
WITHHELD = {"anonymous", "restricted", "blocked", "unknown", "unavailable", "private", "withheld", *SPELLED}
COSTLY = frozenset([phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST])
CONTEXT = re.compile(r"(?:^|;)phone-context=(\+[0-9]+)")  # RFC 3966: the country code of a number without one
HOME = "DK"  # whose numbers come without a country code
MAX_LENGTH = 256  # a SIP address may be long; nothing longer is looked at


def normalise(text: str) -> str | None:
    """A number in E.164; None when it is withheld or no telephone number.

    SIP and tel addresses give the number in their user part. A number without country code, there or in their
    `phone-context`, is read as a Danish one.
    """
    if len(text) > MAX_LENGTH:
        return None
    text = _user_part(text.strip())
    # Zeros stand for a withheld number; and the parser would take the digits of a name: agent20123456 is nobody's.
    if text.lower() in WITHHELD or not text.strip("0") or any(character.isalpha() for character in text):
        return None
    if E164.fullmatch(text) and not MAYBE_TRUNK.match(text):  # the form platforms send: not worth a parser
        return text
    spelled = _parsed(text)
    return spelled if spelled in {None, text} else normalise(spelled)  # it takes one zero at a time


def last_digits(number: str) -> str:
    """The last two, to name a number without telling it."""
    return number[-2:]


def takes(number: str) -> Literal["sms", "call"] | None:
    """How a number can be told a code: a fixed line by a call only, one that costs extra not at all.

    Denmark does not tell fixed lines from mobiles by their numbers: there it is "sms", and people choose.
    """
    try:
        kind = phonenumbers.number_type(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None
    if kind in COSTLY:
        return None
    return "call" if kind == phonenumbers.PhoneNumberType.FIXED_LINE else "sms"


def _parsed(text: str) -> str | None:
    try:
        number = phonenumbers.parse(text, HOME)
    except phonenumbers.NumberParseException:
        return None
    spelled = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    possible = not number.extension and phonenumbers.is_possible_number(number)
    return spelled if possible and E164.fullmatch(spelled) else None


def _user_part(text: str) -> str:
    text = text.rpartition("<")[2].rstrip(">")  # what stands before it is a display name
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() not in {"sip", "sips", "tel"}:
        return text.partition("@")[0]
    user, _, parameters = unquote(rest.partition("@")[0]).partition(";")
    country = CONTEXT.search(parameters)
    return country[1] + user if country and not user.startswith("+") else user
