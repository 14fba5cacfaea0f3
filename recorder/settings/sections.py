"""What an operator can set, subject by subject: names, defaults, meaning and what is refused."""

from __future__ import annotations

import base64
import ipaddress
import json
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from recorder import fetch, signing
from recorder.settings.places import is_loopback


def _listed(value: object) -> object:
    """Environment lists come as JSON or comma-separated."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    return json.loads(text) if text.startswith("[") else [part.strip() for part in text.split(",") if part.strip()]


def _tabled(value: object) -> object:
    """Environment tables come as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else {}
    except ValueError:
        raise ValueError("must be JSON") from None


Strings = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_listed)]
Prefix = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]*$")]
TABLE = BeforeValidator(_tabled)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ROOT_KEY_BYTES = 32


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Http(Section):
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    public_url: str = Field(
        default_factory=lambda given: f"http://127.0.0.1:{given.get('port') or 8080}",
        description="how the world reaches us, by default at the port above; signatures and links are made from it",
    )
    drain_s: int = Field(
        0, ge=0, le=300, description="seconds between being told to stop and taking no more: a load balancer notices"
    )
    max_body_bytes: int = Field(1_000_000, gt=0, description="largest webhook or JSON body")
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_listed)] = Field(
        (),
        description="networks of your own proxies: only from them X-Forwarded-For is believed, and only to count how "
        "often one address opens links",
    )

    @model_validator(mode="after")
    def _origin_only(self) -> Http:
        parts = urlsplit(self.public_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("public_url must be http(s)://host[:port][/path] without query or fragment")
        if parts.scheme == "http" and not is_loopback(self.public_url):
            raise ValueError("public_url must be https unless it is a loopback address")
        object.__setattr__(self, "public_url", self.public_url.rstrip("/"))
        return self

    @property
    def secure(self) -> bool:
        return self.public_url.startswith("https://")


class Organisation(Section):
    name: str = Field("Flexii", description="who speaks on pages, in mails and prompts")
    cvr: str = Field("12345678", description="company number")
    address: str = Field("Eksempelvej 1, 2100 København Ø", description="postal address")
    dpo_email: str = Field("databeskyttelse@flexii.dk", description="the data protection officer's mailbox")
    phone: str = Field("+4570123456", description="number to call for help; empty hides it")
    self_service_url: str = Field("https://flexii.dk", description="where customers log in; empty hides it")


class DatabaseSettings(Section):
    url: str = Field(
        "",
        pattern=r"^(sqlite:///.|postgresql(\+psycopg)?://|$)",
        description="sqlite:///… or postgresql+psycopg://…; empty: SQLite in the data directory",
    )


class Store(Section):
    url: str = Field("", description="file:///… or s3://bucket/prefix; empty: a folder in the data directory")
    endpoint_url: str = Field("", description="S3 endpoint, where it is not AWS")
    region: str = Field("", description="S3 region")
    country: str = Field("", description="where the store stands (ISO 3166), needed unless it is on this machine")


class Keys(Section):
    url: str = Field("", description="key ring: file:///… or s3://bucket/prefix; empty: a folder in the data directory")
    endpoint_url: str = Field("", description="S3 endpoint of the ring; empty: the store's")
    mirror_url: str = Field("", description="a second ring, written and destroyed along")
    root_key: SecretStr | None = Field(
        None, description="base64 of 32 bytes; unset: a generated file, for an empty ring only"
    )
    country: str = Field("", description="where the ring stands, needed unless it is on this machine")

    @field_validator("root_key")
    @classmethod
    def _of_256_bits(cls, key: SecretStr | None) -> SecretStr | None:
        try:
            if key is not None and len(base64.b64decode(key.get_secret_value(), validate=True)) != ROOT_KEY_BYTES:
                raise ValueError
        except ValueError:  # whose words may repeat it
            raise ValueError("must be base64 of 32 bytes") from None
        return key


class Mail(Section):
    url: str = Field(
        "",
        description="smtp://user:password@host:587 (TLS required) or file:///…; empty: files in the data directory",
    )
    sender: str = Field("", description="From address; empty: the DPO's")
    bounces_to: str = Field("", description="envelope sender, where bounces go; empty: the From address")
    country: str = Field("", description="where the relay stands, needed unless it is on this machine")


class Sms(Section):
    url: str = Field(
        "",
        description="twilio://<number, name or messaging service>, an https:// gateway, or file:///…; empty: files in "
        "the data directory",
    )
    call_from: str = Field(
        "", description="number at Twilio that rings to read a code aloud; empty: codes come by SMS only"
    )
    prefixes: Annotated[tuple[Prefix, ...], BeforeValidator(_listed)] = Field(
        ("+45",),
        description="number prefixes codes may be sent to and rung",
    )
    country: str = Field("", description="where the gateway stands, needed unless it is on this machine")


class DirectorySettings(Section):
    url: str = Field("", description="CSV file or HTTPS endpoint; empty: directory.csv in the data directory")
    token: SecretStr | None = Field(None, description="bearer token for the endpoint")
    country: str = Field("", description="where the directory stands, needed unless it is on this machine")


class ConsentSettings(Section):
    deadline_s: int = Field(
        86_400, ge=0, description="seconds after the call's end in which a consent may still arrive"
    )


class Capture(Section):
    workers: int = Field(2, ge=1, le=64, description="captures at the same time")
    max_bytes: int = Field(2_000_000_000, gt=0, description="largest recording fetched or pushed")
    max_seconds: int = Field(5 * 3600, gt=0, description="longest recording kept")
    fetch_timeout_s: int = Field(
        1800, gt=0, description="wall clock for fetching one recording; a push has MAX_SECONDS more"
    )
    wait_for_end_s: int = Field(60, ge=0, description="how long a recording waits for its call's end")
    pauses: str = Field("mute", pattern="^(mute|cut)$", description="what happens to paused stretches: mute or cut")
    source_delete_days: int = Field(
        7, ge=1, le=7, description="days a deletion at the platform is retried before people are asked"
    )


class Retention(Section):
    private_inbound_days: int = Field(90, ge=1, le=90, description="days kept: private customers who call us")
    business_inbound_days: int = Field(90, ge=1, le=90, description="days kept: business customers who call us")
    private_outbound_sales_days: int = Field(90, ge=1, le=90, description="days kept: sales calls to private customers")
    business_outbound_sales_days: int = Field(
        90, ge=1, le=90, description="days kept: sales calls to business customers"
    )

    def days(self, segment: str) -> int:
        return int(getattr(self, f"{segment}_days"))


class Twilio(Section):
    account_sid: str = Field("", description="Twilio account; empty: the platform is off")
    auth_tokens: Secrets = Field((), description="valid auth tokens; the first is used for REST")
    shared_keys: Annotated[dict[str, SecretStr], TABLE] = Field(
        default_factory=dict, description='HMAC-SHA256 webhook keys by their key id: `{"KEY ID": "…"}`'
    )
    api_url: str = Field(
        "",
        description="REST base; empty: the region's. Media URLs are built from it, never taken from a callback",
    )
    region: str = Field("ie1", description="Twilio region; only regions in the EU/EEA are accepted")

    @model_validator(mode="after")
    def _asked_in_its_region(self) -> Twilio:
        parts = urlsplit(self.rest_url)
        theirs = parts.scheme == "https" and (parts.hostname or "").endswith(f".{self.region}.twilio.com")
        if not theirs and not is_loopback(self.rest_url):
            raise ValueError(f"api_url must be https://….{self.region}.twilio.com or a loopback address")
        return self

    @property
    def rest_url(self) -> str:
        return self.api_url.rstrip("/") or f"https://api.dublin.{self.region}.twilio.com"


class Standard(Section):
    secrets: Secrets = Field(
        (), description="whsec_… and whpk_… secrets for /webhooks/events; empty: the platform is off"
    )
    media_origins: Strings = Field((), description="scheme://host:port audio may be fetched from")
    media_token: SecretStr | None = Field(None, description="bearer token sent only to those origins")
    country: str = Field("", description="where the exchange stands, needed when a media origin is not on this machine")


class Platforms(Section):
    twilio: Twilio = Field(default_factory=Twilio)
    standard: Standard = Field(default_factory=Standard)


class Canary(Section):
    number: str = Field(
        "", pattern=r"^(\+[1-9][0-9]{6,14})?$", description="number of ours test calls come from; empty: there are none"
    )
    answers: str = Field(
        "",
        pattern=r"^(\+[1-9][0-9]{6,14})?$",
        description="number of ours they are connected to, so that no colleague's telephone rings",
    )


BulletinType = Literal["recording.stored", "recording.erased", "request.answered"]


class Subscriber(Section):
    """Another system that is told what happened."""

    url: str = Field(description="https address that is told by Standard Webhooks, ids only")
    secrets: Secrets = Field(
        description="whsec_… and whsk_… secrets; every message is signed with each, so that one can be changed"
    )
    events: Annotated[tuple[BulletinType, ...], BeforeValidator(_listed)] = Field(
        ("recording.stored", "recording.erased", "request.answered"), description="what it is told of"
    )
    country: str = Field("", description="where it stands, needed unless it is on this machine")

    @model_validator(mode="after")
    def _sealed_and_signed(self) -> Subscriber:
        parts = urlsplit(self.url)
        if not fetch.is_callable(self.url) or parts.username is not None:
            raise ValueError(
                "url must be https://host[:port][/path]; a name with other letters than a to z is written xn--…, any "
                "other sign %XX"
            )
        if parts.scheme == "http" and not is_loopback(self.url):
            raise ValueError("url must be https unless it is a loopback address")
        if not self.signers:
            raise ValueError("secrets are missing")
        return self

    @property
    def signers(self) -> list[signing.Signer]:
        """One for each secret. Handles key material; raises `ValueError` where one is malformed."""
        return [signing.signer(secret.get_secret_value()) for secret in self.secrets]
