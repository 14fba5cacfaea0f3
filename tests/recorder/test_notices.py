"""What is said: word for word, in both languages, and nothing in it that counts or loads."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

import pytest

from recorder import notices
from recorder.errors import DeliveryError
from recorder.notices import AccessNotice
from recorder.settings import Organisation

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
LINK = "https://samtale.flexii.dk/access/#" + "aB3_-" * 9
MESSAGE_ID = "msg_" + "a" * 26
CALLED = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)


def notice(
    language: str = "da", *, called: tuple[datetime, ...] = (CALLED,), to: str = "anna@example.com", **changes: str
) -> AccessNotice:
    return AccessNotice(
        language=language,
        organisation=Organisation().model_copy(update=changes),
        sender="databeskyttelse@flexii.dk",
        to=to,
        link=LINK,
        last_digits="42",
        called_at=called,
        works_until=datetime(2026, 12, 22, 23, tzinfo=UTC),
        message_id=MESSAGE_ID,
    )


def read(one: AccessNotice) -> tuple[EmailMessage, str, str]:
    mail = cast("EmailMessage", message_from_bytes(notices.access_mail(one, NOW), policy=policy.default))
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    return mail, plain.get_content(), html.get_content()


DANISH = (
    "Du har bedt om at høre din samtale med os den 3. september 2026. Nu er den klar.",
    "Du kan lytte til den og gemme en kopi her:",
    '1. Åbn linket og tryk på "Send mig en kode".',
    "2. Du får en sms på nummeret, der slutter på 42.",
    "3. Skriv koden, så kan du lytte.",
    "Linket virker til og med den 22. december 2026. Vi sletter ikke samtalen imens, medmindre du beder os om det.",
    'Vil du helst undgå links i mails? Log på Mit Flexii via flexii.dk og vælg "Mine samtaler",',
    '"Mine samtaler", eller ring til os på +45 70 12 34 56.',
    "Vi beder aldrig om MitID, kortoplysninger eller adgangskoder i en mail.",
    "Har du ikke bedt om det her? Så skriv til databeskyttelse@flexii.dk. Ingen kan åbne samtalen uden koden.",
    "Venlig hilsen",
)
ENGLISH = (
    "You asked to hear your call with us on 3 September 2026. It is ready. Listen and save a copy here:",
    '1. Open the link and press "Text me a code".',
    "2. We text the number ending in 42.",
    "3. Enter the code and listen.",
    "The link works through 22 December 2026. We will not delete the call in the meantime unless you ask us to.",
    'Rather not use links in e-mails? Log in to Mit Flexii at flexii.dk and choose "My calls",',
    '"My calls", or call +45 70 12 34 56.',
    "We never ask for MitID, card details or passwords by e-mail.",
    "Didn't ask for this? Write to databeskyttelse@flexii.dk. Nobody can open the call without the code.",
    "Kind regards",
)


@pytest.mark.parametrize(
    ("language", "subject", "lines"),
    [
        ("da", "Din samtale med Flexii er klar", DANISH),
        ("en", "Your call with Flexii is ready", ENGLISH),
    ],
)
def test_the_mail_says_what_was_agreed(language: str, subject: str, lines: tuple[str, ...]) -> None:
    mail, plain, html = read(notice(language))

    assert mail["Subject"] == subject
    assert [line for line in lines if line not in plain] == []
    said = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("&#34;", '"').replace("&#39;", "'")
    assert [
        line for line in lines if line.removeprefix("1. ").removeprefix("2. ").removeprefix("3. ") not in said
    ] == []
    assert (mail["Auto-Submitted"], mail["Content-Language"]) == ("auto-generated", language)
    assert mail["Message-ID"] == f"<{MESSAGE_ID}@flexii.dk>"


@pytest.mark.parametrize("language", ["da", "en"])
def test_the_mail_has_one_link_and_nothing_that_loads_or_counts(language: str) -> None:
    mail, plain, html = read(notice(language))

    assert re.findall(r"\w+://\S+", plain) == [LINK]
    assert LINK in plain.splitlines()
    assert re.findall(r'(?:href|src|action|background|url)\s*[=(]\s*"?([^"\s)>]+)', html) == [LINK]
    assert set(re.findall(r"\w+://[^\s\"<]+", html)) == {LINK}
    assert not re.search(r"<(img|script|link|iframe|object|form|video|audio|style)\b", html)
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]


def test_the_link_survives_every_line_length_on_the_wire() -> None:
    wire = notices.access_mail(notice(), NOW)
    assert max(len(line) for line in wire.split(b"\r\n")) <= 78
    assert wire.isascii()


def test_lines_about_what_is_not_configured_are_left_out() -> None:
    for changes, absent in (
        ({"phone": ""}, "ring til os"),
        ({"self_service_url": ""}, "Log på"),
        ({"phone": "", "self_service_url": ""}, "Vil du helst"),
    ):
        assert absent not in read(notice("da", **changes))[1]


def test_several_calls_are_several() -> None:
    mail, plain, _ = read(notice("da", called=(CALLED + timedelta(days=2), CALLED, CALLED + timedelta(hours=1))))
    assert mail["Subject"] == "Dine samtaler med Flexii er klar"
    assert "dine samtaler med os den 3. september 2026 og 5. september 2026. Nu er de klar." in plain


@pytest.mark.parametrize(
    ("written", "sent_to"),
    [
        ("anna@blåbærgrød.dk", "anna@xn--blbrgrd-fxak7p.dk"),
        ("anna@faß.de", "anna@xn--fa-hia.de"),
        ("anna@βόλος.com", "anna@xn--nxasmm1c.com"),
        ("Anna@Example.COM", "Anna@Example.COM"),
    ],
)
def test_p4_the_link_goes_to_the_very_domain_on_file(written: str, sent_to: str) -> None:
    """Under the rules of 2003 faß.de was fass.de and βόλος.com was βόλοσ.com: today those are other people's."""
    assert notices.address(written) == sent_to
    assert read(notice(to=written))[0]["To"] == sent_to


def test_an_organisation_may_have_a_domain_with_danish_letters() -> None:
    mail, _, _ = read(replace(notice(), sender="dpo@blåbærgrød.dk"))

    assert mail["From"].addresses[0].addr_spec == "dpo@xn--blbrgrd-fxak7p.dk"
    assert mail["Message-ID"] == f"<{MESSAGE_ID}@xn--blbrgrd-fxak7p.dk>"


@pytest.mark.parametrize("address", ["anna@example.com\r\nBcc: eve@example.com", "", "Anna <"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(DeliveryError) as refusal:
        notices.access_mail(notice(to=address), NOW)
    assert "eve" not in str(refusal.value)


def test_words_of_the_directory_and_settings_are_escaped() -> None:
    _, _, html = read(notice(name='<b onclick="x">Flexii'))
    assert "<b onclick" not in html


def test_the_sms_is_one_part_and_lets_the_phone_fill_it_in() -> None:
    danish = notices.code_text("482109", name="Flexii", host="samtale.flexii.dk", minutes=10, language="da")
    english = notices.code_text("482109", name="Flexii", host="samtale.flexii.dk", minutes=10, language="en")

    assert danish == (
        "Flexii: Din kode er 482109. Den gælder i 10 minutter. Del den aldrig med andre, heller ikke med os.\n\n"
        "@samtale.flexii.dk #482109"
    )
    assert english == (
        "Flexii: Your code is 482109. It is valid for 10 minutes. Never share it with anyone, not even us.\n\n"
        "@samtale.flexii.dk #482109"
    )
    for text in (danish, english):
        assert len(text) <= 160
        assert set(text) - set("æøåÆØÅ") <= {chr(code) for code in (10, *range(32, 127))}  # of GSM 7 bit
        assert re.findall(r"\b\d{6}\b", text) == ["482109", "482109"]


def test_an_unknown_language_is_danish() -> None:
    assert "Din kode" in notices.code_text("482109", name="Flexii", host="x", minutes=10, language="fo")
