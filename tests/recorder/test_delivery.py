"""Mail by a real SMTP server under TLS, SMS by a real gateway, files for trying out; nothing lost, nothing doubled."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from recorder import access_links, delivery, subject_requests
from recorder.couriers import mailer_for, texter_for
from recorder.couriers.folders import FolderMailer
from recorder.couriers.gateway import GatewayTexter
from recorder.couriers.smtp import SmtpMailer
from recorder.errors import ConfigurationError, DeliveryError
from recorder.ports import Service
from recorder.settings import Settings
from storage.catalogue import requests, tasks
from tests.conftest import MovingClock
from tests.recorder.asking import DPO, ask, code, granted, link_rows, mails, matches, stored, texts, token, visiting

USER, PASSWORD = "recorder", "p@ss:word"


@dataclass
class Relay:
    """A mail server and what it took in."""

    port: int = 0
    taken: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    answer: str = "250 taken"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd's name
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return self.answer


class AnyPort(Controller):
    """aiosmtpd's own looks for itself at the port it was given, which for 0 is not the one it got."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def relay(authority: trustme.CA) -> Iterator[Callable[..., Relay]]:
    running: list[Controller] = []

    def start(*, tls: bool = True, host: str = "localhost") -> Relay:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(host).configure_cert(context)

        def allow(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
            right = isinstance(data, LoginPassword) and data == LoginPassword(USER.encode(), PASSWORD.encode())
            return AuthResult(success=right)

        handler = Relay()
        options: dict[str, Any] = {"tls_context": context, "require_starttls": True} if tls else {}
        controller = AnyPort(handler, hostname="127.0.0.1", port=0, authenticator=allow, **options)
        controller.start()
        handler.port = controller.port
        running.append(controller)
        return handler

    yield start
    for controller in running:
        controller.stop()


def mailer(relay: Relay, authority: trustme.CA, login: str = "recorder:p%40ss%3Aword@") -> SmtpMailer:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return SmtpMailer(f"smtp://{login}localhost:{relay.port}", sender="dpo@example.com", tls=trusting)


def test_mail_goes_out_under_tls(relay: Callable[..., Relay], authority: trustme.CA) -> None:
    server = relay()
    mailer(server, authority).send("anna@example.com", b"Subject: x\r\n\r\nhello\r\n")

    ((sender, recipients, content),) = server.taken
    assert (sender, recipients) == ("dpo@example.com", ["anna@example.com"])
    assert content.startswith(b"Subject: x")


def test_p2_a_relay_without_tls_is_told_nothing(relay: Callable[..., Relay], authority: trustme.CA) -> None:
    server = relay(tls=False)
    with pytest.raises(DeliveryError, match="offers no TLS"):
        mailer(server, authority).send("anna@example.com", b"secret")
    assert server.taken == []


def test_p2_a_relay_with_a_strangers_certificate_is_told_nothing(
    relay: Callable[..., Relay], authority: trustme.CA
) -> None:
    wrong_name = relay(host="elsewhere.example")
    with pytest.raises(DeliveryError):
        mailer(wrong_name, authority).send("anna@example.com", b"secret")
    with pytest.raises(DeliveryError):
        mailer(relay(), trustme.CA()).send("anna@example.com", b"secret")
    assert wrong_name.taken == []


@pytest.mark.parametrize("answer", ["451 later", "550 anna@example.com is unknown here"])
def test_a_refusal_says_why_but_not_to_whom(relay: Callable[..., Relay], authority: trustme.CA, answer: str) -> None:
    server = relay()
    server.answer = answer
    with pytest.raises(DeliveryError) as refusal:
        mailer(server, authority).send("anna@example.com", b"hello")
    assert answer[:3] in str(refusal.value)
    assert "anna" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_wrong_password_and_a_server_that_is_away_are_errors_to_retry(
    relay: Callable[..., Relay], authority: trustme.CA
) -> None:
    for broken in (mailer(relay(), authority, "recorder:wrong@"), mailer(Relay(port=1), authority)):
        with pytest.raises(DeliveryError) as refusal:
            broken.send("anna@example.com", b"hello")
        assert refusal.value.retryable


@pytest.fixture
def gateway() -> Iterator[tuple[str, list[tuple[str | None, dict[str, str]]], list[int]]]:
    taken: list[tuple[str | None, dict[str, str]]] = []
    answers = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            taken.append((self.headers["Authorization"], body))
            self.send_response(answers[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}/sms", taken, answers
    server.shutdown()
    server.server_close()
    thread.join()


def test_sms_goes_to_the_gateway(gateway: tuple[str, list[Any], list[int]]) -> None:
    address, taken, answers = gateway
    GatewayTexter(f"http://s3cret@{address}").send("+4520123456", "hej æøå")
    GatewayTexter(f"http://user:pass@{address}").send("+4520123456", "hej")

    assert taken[0] == ("Bearer s3cret", {"to": "+4520123456", "text": "hej æøå"})
    assert taken[1][0] == "Basic dXNlcjpwYXNz"
    answers[0] = 500
    with pytest.raises(DeliveryError, match="500"):
        GatewayTexter(f"http://{address}").send("+4520123456", "hej")


def test_files_are_whole_and_for_their_owner_only(tmp_path: Path) -> None:
    FolderMailer(tmp_path / "mail").send("anna@example.com", b"hello")
    (file,) = (tmp_path / "mail").iterdir()
    assert (file.suffix, file.read_bytes(), file.stat().st_mode & 0o777) == (".eml", b"hello", 0o600)

    (tmp_path / "blocked").write_text("a file where the folder should be")
    with pytest.raises(DeliveryError):
        FolderMailer(tmp_path / "blocked").send("anna@example.com", b"hello")


@pytest.mark.parametrize(
    ("section", "url", "make"), [("mail", "http://x", mailer_for), ("sms", "smtp://x", texter_for)]
)
def test_a_kind_that_is_not_spoken_stops_the_start(
    settings: Settings, section: str, url: str, make: Callable[[Settings], object]
) -> None:
    changed = settings.model_copy(update={section: getattr(settings, section).model_copy(update={"url": url})})
    with pytest.raises(ConfigurationError):
        make(changed)


class Flaky:
    """A courier that fails so many times, then delivers into a list."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.sent: list[Any] = []

    def send(self, to: str, message: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise DeliveryError
        self.sent.append(message)


def open_tasks(service: Service) -> list[tuple[str, str]]:
    with service.database.read() as connection:
        return [(task.kind, task.subject_id) for task in tasks.open_tasks(connection)]


def approved(service: Service, clock: MovingClock) -> str:
    request = ask(service, clock)
    chosen = [one.recording_id for one in matches(service, request.id)]
    subject_requests.approve(service, request.id, chosen, "callback", DPO, clock())
    return request.id


def test_p6_a_mail_is_tried_until_it_is_taken(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    courier = Flaky(failures=3)
    flaky = replace(service, mailer=courier)
    approved(flaky, clock)

    assert delivery.deliver_due(flaky, clock()) == 0
    assert delivery.deliver_due(flaky, clock()) == 0, "not before its wait is over"
    for _ in range(3):
        clock.advance(minutes=2)
        delivery.deliver_due(flaky, clock())
    assert len(courier.sent) == 1
    clock.advance(hours=1)
    assert delivery.deliver_due(flaky, clock()) == 0


def test_a_mail_nobody_takes_for_two_days_is_for_people_to_look_at(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    flaky = replace(service, mailer=Flaky(failures=10_000))
    request_id = approved(flaky, clock)
    for _ in range(60):
        clock.advance(hours=1, minutes=1)
        delivery.deliver_due(flaky, clock())

    assert open_tasks(service) == [("delivery_failed", request_id)]


def test_p6_a_crash_after_handing_over_repeats_the_mail_with_the_same_link(
    service: Service, clock: MovingClock
) -> None:
    stored(service, clock)

    class CrashError(BaseException):
        pass

    class Crashing:
        def send(self, to: str, message: bytes) -> None:
            service.mailer.send(to, message)
            raise CrashError

    approved(service, clock)
    with pytest.raises(CrashError):
        delivery.deliver_due(replace(service, mailer=Crashing()), clock())
    first = token(service)
    assert delivery.deliver_due(service, clock()) == 0, "the lease of the dead still stands"
    clock.advance(minutes=3)
    assert delivery.deliver_due(service, clock()) == 1

    assert token(service) == first
    assert len({mail["Message-ID"] for mail in mails(service)}) == 1
    assert visiting(service, clock)


def test_p6_many_workers_send_each_message_once(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    for _ in range(5):
        approved(service, clock)
    with ThreadPoolExecutor(8) as workers:
        sent = sum(workers.map(lambda _: delivery.deliver_due(service, clock()), range(8)))

    assert (sent, len(mails(service))) == (5, 5)


def directory(service: Service, row: str) -> None:
    path = service.settings.data_dir / "directory.csv"
    path.write_text("phone,account,email,mobile,customer_type,language\n" + row + "\n")


@pytest.mark.parametrize("changed", ["eve@example.com,+4520123456", "anna@example.com,+4520666666"])
def test_p4_a_changed_address_or_mobile_stops_at_a_person(service: Service, clock: MovingClock, changed: str) -> None:
    stored(service, clock)
    request_id = granted(service, clock)
    cookie = access_links.open_link(service, token(service), clock())
    directory(service, f"+4520123456,A-1001,{changed},private,da")

    access_links.send_code(service, cookie, clock())
    assert delivery.deliver_due(service, clock()) == 0
    assert (texts(service), open_tasks(service)) == ([], [("contact_changed", request_id)])

    subject_requests.reissue(service, request_id, DPO, clock())
    delivery.deliver_due(service, clock())
    assert open_tasks(service) == []
    assert visiting(service, clock)


@pytest.mark.parametrize(
    "row",
    [
        "+4520123456,A-1001,,+4520123456,private,da",
        "+4520123456,A-1001,anna@example.com,,private,da",
        "+4520123456,A-1001,anna@example.com,+8613800000000,private,da",
    ],
)
def test_where_nobody_can_be_reached_people_are_asked(service: Service, clock: MovingClock, row: str) -> None:
    stored(service, clock)
    directory(service, row)
    request_id = granted(service, clock)

    assert (mails(service), open_tasks(service)) == ([], [("contact_missing", request_id)])


def test_a_code_is_not_sent_when_it_is_too_late(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    granted(service, clock)
    cookie = access_links.open_link(service, token(service), clock())
    access_links.send_code(service, cookie, clock())
    clock.now += timedelta(minutes=11)

    assert delivery.deliver_due(service, clock()) == 0
    assert texts(service) == []
    assert code(service, clock, cookie)


def test_the_mail_speaks_the_persons_language(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    directory(service, "+4520123456,A-1001,anna@example.com,+4520123456,private,en")
    request_id = granted(service, clock)

    (mail,) = mails(service)
    assert (mail["Subject"], mail["To"]) == ("Your call with Flexii is ready", "anna@example.com")
    assert link_rows(service, request_id)[0].language == "en"


def test_a_refused_requests_mail_is_not_sent(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request_id = approved(service, clock)
    subject_requests.revoke(service, request_id, DPO, clock())

    assert delivery.deliver_due(service, clock()) == 0
    assert mails(service) == []


def test_a_message_whose_person_can_no_longer_be_known_is_for_people_to_look_at(
    service: Service, clock: MovingClock
) -> None:
    stored(service, clock)
    request_id = approved(service, clock)
    with service.database.write() as connection:
        requests.change(connection, request_id, when=["answered"], key_id=None)

    assert delivery.deliver_due(service, clock()) == 0
    assert open_tasks(service) == [("delivery_failed", request_id)]
