"""What the use cases are handed: the far sides as protocols, and the bundle `service.opened` makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from recorder.events import Event
    from recorder.lines import Lines
    from recorder.settings import Settings
    from storage.database import Database
    from storage.inbox import Inbox
    from storage.keyring import KeyRing
    from storage.vault import Vault


@dataclass(frozen=True)
class WebhookRequest:
    """A webhook as it came in: nothing decoded, the URL made from settings and never from the request's host."""

    url: str  # PUBLIC_URL + path + query, as the platform signed it
    path: str  # last segment: voice, consent, …
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True)
class Source:
    """Where a recording lies at its platform, and what must be sent along to get it. Never logged."""

    platform: str
    call_id: str
    recording_id: str
    url: str | None = None
    content_type: str | None = None


class Media(Protocol):
    """A response body being read: `headers` in lower case; `chunks` yields bytes and raises `PlatformError`."""

    status: int
    headers: Mapping[str, str]

    def chunks(self, size: int) -> Iterator[bytes]: ...


@dataclass(frozen=True)
class Listing:
    """What a platform says it recorded of a call: the events its own messages would have been."""

    events: tuple[Event, ...] = ()
    unfinished: bool = False  # more is still being recorded, or made ready


class Platform(Protocol):
    """One telephony platform."""

    name: str

    def verify(self, request: WebhookRequest, now: datetime) -> None:
        """Raise `SignatureError` unless a valid secret signed the request. Every malformed input is that error."""
        ...

    def parse(self, request: WebhookRequest, now: datetime) -> list[Event]:
        """The request's events; empty where it says nothing we keep. Raises `InvalidEventError`."""
        ...

    def fetch(self, source: Source, now: datetime) -> AbstractContextManager[Media]:
        """Open the recording's audio for reading. Raises `PlatformError` (retryable: not there yet, away)."""
        ...

    def delete(self, source: Source) -> bool:
        """Delete the recording at the platform, if it is not gone already. Raises `PlatformError` to be tried again.

        False where that is not for us to do: it has no copy we know of, or deletes none when asked.
        """
        ...

    def recordings(self, call_id: str, now: datetime) -> Listing:
        """Ask what was recorded of a call that our answer told it to record. Raises `PlatformError`, also where the
        platform cannot be asked. Each event has the dedupe key of the platform's own message about it, so whichever
        comes second is a repetition.
        """
        ...


@dataclass(frozen=True)
class Customer:
    """What the directory says about a number. Never stored."""

    phone: str
    account: str | None
    email: str | None
    mobile: str | None
    customer_type: str | None
    language: str


class Directory(Protocol):
    def by_phone(self, phone: str) -> Customer | None:
        """The customer a number belongs to today. Raises `DirectoryUnavailableError`."""
        ...

    def by_account(self, account: str) -> Customer | None: ...

    def is_empty(self) -> bool:
        """Whether it is known that nobody is in it. Raises `DirectoryUnavailableError`."""
        ...


class Mailer(Protocol):
    def send(self, to: str, message: bytes) -> None:
        """Hand over one RFC 5322 message. Raises `DeliveryError`; returning means accepted.

        `DeliveryRefusedError`: it never will be. `DeliveryUnknownError`: it may have been, the answer was lost.
        """
        ...


class Texter(Protocol):
    def send(self, to: str, text: str) -> None:
        """Hand over one SMS. Raises as `Mailer.send` does."""
        ...


class Caller(Protocol):
    def ring(self, to: str, twiml: str) -> None:
        """Start a call that says and asks what the TwiML says. Raises as `Mailer.send` does."""
        ...


@dataclass(frozen=True)
class Service:
    """Everything a use case may need, built once by `recorder.service.opened`."""

    settings: Settings
    database: Database
    keyring: KeyRing
    vault: Vault
    inbox: Inbox
    platforms: Mapping[str, Platform]
    lines: Lines
    directory: Directory
    mailer: Mailer
    texter: Texter
    clock: Callable[[], datetime]
    wake: Callable[[str], None]  # tell a job ("apply", "capture", "erase", "deliver", "codes", …) that it has work
    caller: Caller | None = None  # none where codes are not read aloud
