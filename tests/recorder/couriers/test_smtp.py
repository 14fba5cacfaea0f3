"""Mail to a real relay: TLS or nothing, and what each answer, or none, means."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import trustme

from recorder.couriers.smtp import SmtpMailer
from recorder.errors import DeliveryError, DeliveryRefusedError, DeliveryUnknownError
from tests.servers.relay import CUT, SILENT, Relay, StartRelay, relays, trusting

HELLO = b"Subject: x\r\n\r\nhello\r\n"
LOGIN = "recorder:p%40ss%3Aword@"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def relay(authority: trustme.CA) -> Iterator[StartRelay]:
    with relays(authority) as start:
        yield start


def mailer(
    server: Relay, authority: trustme.CA, *, login: str = LOGIN, scheme: str = "smtp", **limits: float
) -> SmtpMailer:
    url = f"{scheme}://{login}localhost:{server.port}"
    return SmtpMailer(url, sender="bounces@example.com", tls=trusting(authority), **limits)


@pytest.mark.parametrize(("tls", "scheme"), [("starttls", "smtp"), ("implicit", "smtps")])
def test_mail_goes_out_under_tls(relay: StartRelay, authority: trustme.CA, tls: str, scheme: str) -> None:
    server = relay(tls=tls)
    mailer(server, authority, scheme=scheme).send("anna@example.com", HELLO)

    ((sender, recipients, content),) = server.taken
    assert (sender, recipients) == ("bounces@example.com", ["anna@example.com"])
    assert content.startswith(b"Subject: x")


def test_p2_a_relay_without_tls_is_told_nothing(relay: StartRelay, authority: trustme.CA) -> None:
    server = relay(tls=None)
    with pytest.raises(DeliveryError, match="offers no TLS"):
        mailer(server, authority).send("anna@example.com", HELLO)
    with pytest.raises(DeliveryError):
        mailer(server, authority, scheme="smtps").send("anna@example.com", HELLO)
    assert (server.taken, server.options) == ([], [])


@pytest.mark.parametrize(("tls", "scheme"), [("starttls", "smtp"), ("implicit", "smtps")])
def test_p2_a_relay_with_a_strangers_certificate_is_told_nothing(
    relay: StartRelay, authority: trustme.CA, tls: str, scheme: str
) -> None:
    wrong_name, wrong_issuer = relay(tls=tls, host="elsewhere.example"), relay(tls=tls)
    with pytest.raises(DeliveryError):
        mailer(wrong_name, authority, scheme=scheme).send("anna@example.com", HELLO)
    with pytest.raises(DeliveryError):
        mailer(wrong_issuer, trustme.CA(), scheme=scheme).send("anna@example.com", HELLO)
    assert wrong_name.options == wrong_issuer.options == []


@pytest.mark.parametrize("step", ["to_rcpt", "to_data"])
def test_greylisting_is_tried_again_and_a_refusal_is_for_good(
    relay: StartRelay, authority: trustme.CA, step: str
) -> None:
    server = relay(**{step: ["451 come back later", "550 anna@example.com is unknown here"]})
    ours = mailer(server, authority)
    with pytest.raises(DeliveryError) as later:
        ours.send("anna@example.com", HELLO)
    with pytest.raises(DeliveryRefusedError) as never:
        ours.send("anna@example.com", HELLO)

    assert type(later.value) is DeliveryError
    for refusal, code in ((later, "451"), (never, "550")):
        assert code in str(refusal.value)
        assert "anna" not in str(refusal.value)
        assert refusal.value.__cause__ is None
    ours.send("anna@example.com", HELLO)


def test_a_lost_answer_is_known_to_be_unknown(relay: StartRelay, authority: trustme.CA) -> None:
    server = relay(to_data=[CUT, SILENT])
    for _ in range(2):
        with pytest.raises(DeliveryUnknownError):
            mailer(server, authority, timeout_s=0.5).send("anna@example.com", HELLO)
    assert len(server.taken) == 2


def test_a_connection_cut_before_the_content_is_an_ordinary_failure(relay: StartRelay, authority: trustme.CA) -> None:
    server = relay(to_rcpt=[CUT])
    with pytest.raises(DeliveryError) as failure:
        mailer(server, authority).send("anna@example.com", HELLO)
    assert type(failure.value) is DeliveryError
    assert server.taken == []


def test_what_was_taken_is_taken_whether_or_not_the_relay_says_goodbye(authority: trustme.CA) -> None:
    """A relay that falls silent after its 250: waiting for its goodbye would send the mail again."""
    with relays(authority) as start:
        server = start()
        closing = server.handle_DATA

        async def accept_and_go(smtp: object, session: object, envelope: object) -> str:
            answer = await closing(smtp, session, envelope)
            await smtp.push(answer)  # type: ignore[attr-defined]  # aiosmtpd's server
            smtp.transport.abort()  # type: ignore[attr-defined]
            return "250 unheard"

        server.handle_DATA = accept_and_go  # type: ignore[method-assign]
        mailer(server, authority).send("anna@example.com", HELLO)
    assert len(server.taken) == 1


def test_a_slow_relay_is_left(authority: trustme.CA) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:  # takes connections and never greets
        server = Relay(port=listening.getsockname()[1])
        with pytest.raises(DeliveryError) as left:
            mailer(server, authority, timeout_s=0.2).send("anna@example.com", HELLO)
    assert type(left.value) is DeliveryError, "nothing was said that might have been heard"


@contextmanager
def babbling(greeting: bytes, then: bytes, every_s: float) -> Iterator[Relay]:
    """What greets like this, and then says the same again and again."""
    stop = threading.Event()

    def babble(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.sendall(greeting)
            while not stop.wait(every_s):
                connection.sendall(then)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=babble, args=(listening,))
        thread.start()
        yield Relay(port=listening.getsockname()[1])
        stop.set()
        thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize("greeting", [b"220 hello\r\n", b"", b"220-hello\r\n"])
def test_a_relay_that_drips_is_cut_off(authority: trustme.CA, greeting: bytes) -> None:
    """Each byte comes well before the timeout of one read; the whole of it never would."""
    with babbling(greeting, b"2", 0.02) as server, pytest.raises(DeliveryError):
        mailer(server, authority, timeout_s=5, exchange_s=0.3).send("anna@example.com", HELLO)


def test_a_handshake_that_drips_is_cut_off(authority: trustme.CA) -> None:
    """Nothing shuts it down, and it needs nothing: Python counts the timeout for the whole of a handshake."""
    record = b"\x16\x03\x03\x40\x00"  # 16 KiB follow
    with babbling(record, b"a", 0.02) as server, pytest.raises(DeliveryError, match="TimeoutError"):
        mailer(server, authority, scheme="smtps", timeout_s=0.3).send("anna@example.com", HELLO)


@pytest.mark.parametrize("greeting", [b"220 hello\r\n", b""])
def test_an_answer_without_an_end_is_not_gathered(authority: trustme.CA, greeting: bytes) -> None:
    with babbling(greeting, b"250-" + b"x" * 1000 + b"\r\n", 0) as server, pytest.raises(DeliveryError):
        mailer(server, authority, exchange_s=60).send("anna@example.com", HELLO)


def test_a_wrong_password_and_a_server_that_is_away_are_tried_again(relay: StartRelay, authority: trustme.CA) -> None:
    for broken in (mailer(relay(), authority, login="recorder:wrong@"), mailer(Relay(port=1), authority)):
        with pytest.raises(DeliveryError) as refusal:
            broken.send("anna@example.com", HELLO)
        assert refusal.value.retryable
        with pytest.raises(DeliveryError):
            broken.check()


def test_checking_sends_nothing(relay: StartRelay, authority: trustme.CA) -> None:
    server = relay()
    mailer(server, authority).check()
    assert (server.taken, server.options) == ([], [])


def test_a_relay_that_can_is_asked_not_to_return_the_link(relay: StartRelay, authority: trustme.CA) -> None:
    able, unable = relay(dsn=True), relay()
    for server in (able, unable):
        mailer(server, authority).send("anna@example.com", HELLO)
    assert (able.options, unable.options) == (["hdrs"], [""])


def test_an_address_no_relay_can_be_told_is_refused(relay: StartRelay, authority: trustme.CA) -> None:
    with pytest.raises(DeliveryRefusedError) as refusal:
        mailer(relay(), authority).send("ånna@example.com", HELLO)
    assert "nna" not in str(refusal.value)
