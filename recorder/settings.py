"""What an operator can set. Names, defaults and meaning are fixed in docs/settings.md; a test holds the two together.

Order, last wins: defaults, TOML named by RECORDER_CONFIG, files named by `…_FILE`, environment.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from recorder import signing
from recorder.errors import ConfigurationError

PREFIX = "RECORDER_"
EEA = frozenset(
    [
        "AT",
        "BE",
        "BG",
        "HR",
        "CY",
        "CZ",
        "DK",
        "EE",
        "FI",
        "FR",
        "DE",
        "GR",
        "HU",
        "IS",
        "IE",
        "IT",
        "LI",
        "LV",
        "LT",
        "LU",
        "MT",
        "NL",
        "NO",
        "PL",
        "PT",
        "RO",
        "SK",
        "SI",
        "ES",
        "SE",
    ]
)
TWILIO_REGIONS = {"ie1": "IE", "us1": "US", "au1": "AU"}


def is_loopback(url: str) -> bool:
    """Whether a URL stays on this machine: a file, or a loopback host."""
    parts = urlsplit(url)
    if parts.scheme in {"file", "sqlite"}:
        return True
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _listed(value: object) -> object:
    """Environment lists come as JSON or comma-separated."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    return json.loads(text) if text.startswith("[") else [part.strip() for part in text.split(",") if part.strip()]


Strings = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_listed)]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Http(Section):
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    public_url: str = Field(
        "http://127.0.0.1:8080", description="how the world reaches us; signatures and links are made from it"
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
    url: str = Field("", description="sqlite:///… or postgresql+psycopg://…; empty: SQLite in the data directory")


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
    prefixes: Strings = Field(("+45",), description="number prefixes codes may be sent to and rung")
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
    fetch_timeout_s: int = Field(1800, gt=0, description="wall clock for fetching one recording")
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
    shared_keys: Annotated[
        dict[str, SecretStr], BeforeValidator(lambda v: json.loads(v) if isinstance(v, str) else v)
    ] = Field(default_factory=dict, description="HMAC-SHA256 webhook keys by their key id")
    api_url: str = Field(
        "",
        description="REST base; empty: the region's. Media URLs are built from it, never taken from a callback",
    )
    region: str = Field("ie1", description="Twilio region; only regions in the EU/EEA are accepted")

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
        description="whsec_… secrets; every message is signed with each, so that one can be changed"
    )
    events: Annotated[tuple[BulletinType, ...], BeforeValidator(_listed)] = Field(
        ("recording.stored", "recording.erased", "request.answered"), description="what it is told of"
    )
    country: str = Field("", description="where it stands, needed unless it is on this machine")

    @model_validator(mode="after")
    def _sealed_and_signed(self) -> Subscriber:
        parts = urlsplit(self.url)
        if not parts.hostname or parts.scheme not in {"http", "https"} or parts.username is not None or parts.fragment:
            raise ValueError("url must be https://host[:port][/path]")
        if parts.scheme == "http" and not is_loopback(self.url):
            raise ValueError("url must be https unless it is a loopback address")
        if not self.keys:
            raise ValueError("secrets are missing")
        return self

    @property
    def keys(self) -> list[bytes]:
        """What the secrets spell. Handles key material; raises `ValueError` where one is none."""
        return [signing.key_of(secret.get_secret_value()) for secret in self.secrets]


class Settings(Section):
    """Everything settable. `load` builds it; nothing else reads the environment."""

    data_dir: Path = Field(Path("data"), description="home of everything embedded")
    lines: str = Field("", description="the line table; empty: lines.toml in the data directory")
    http: Http = Field(default_factory=Http)
    organisation: Organisation = Field(default_factory=Organisation)
    brands: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="per brand, what of the organisation differs"
    )
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    store: Store = Field(default_factory=Store)
    keys: Keys = Field(default_factory=Keys)
    mail: Mail = Field(default_factory=Mail)
    sms: Sms = Field(default_factory=Sms)
    directory: DirectorySettings = Field(default_factory=DirectorySettings)
    consent: ConsentSettings = Field(default_factory=ConsentSettings)
    capture: Capture = Field(default_factory=Capture)
    retention: Retention = Field(default_factory=Retention)
    platforms: Platforms = Field(default_factory=Platforms)
    subscribers: dict[Annotated[str, StringConstraints(pattern="^[a-z0-9_-]{1,40}$")], Subscriber] = Field(
        default_factory=dict, description="by a name of your choice, who is told what happened"
    )
    canary: Canary = Field(default_factory=Canary)

    @model_validator(mode="after")
    def _brands_override_the_organisation(self) -> Settings:
        for brand, fields in self.brands.items():
            unknown = sorted(set(fields) - set(Organisation.model_fields))
            if unknown:
                raise ValueError(f"brands.{brand} has unknown fields: {', '.join(unknown)}")
        return self

    @model_validator(mode="after")
    def _nothing_leaves_the_eea(self) -> Settings:
        wrong = [
            f"{name} ({why})" for name, url, country in self._outside_parties() if (why := _country_fault(url, country))
        ]
        if wrong:
            raise ValueError("outside the EU/EEA or undeclared: " + ", ".join(wrong))
        return self

    @model_validator(mode="after")
    def _files_only_on_loopback(self) -> Settings:
        if is_loopback(self.http.public_url):
            return self
        for name, url in (("mail.url", self.mail.url), ("sms.url", self.sms.url)):
            if not url or url.startswith("file:"):
                raise ValueError(f"{name}: files are allowed only while public_url is a loopback address")
        return self

    def _outside_parties(self) -> list[tuple[str, str, str]]:
        twilio, standard = self.platforms.twilio, self.platforms.standard
        keys_country = self.keys.country or self.store.country
        parties = [
            ("store", _where(self.store.url, self.store.endpoint_url), self.store.country),
            ("keys", _where(self.keys.url, self.keys_endpoint_url), keys_country),
            ("keys.mirror", _where(self.keys.mirror_url, self.keys_endpoint_url), keys_country),
            ("mail", self.mail.url, self.mail.country),
            self._texting_party(),
            ("directory", self.directory.url, self.directory.country),
        ]
        parties += [("platforms.standard", origin, standard.country) for origin in standard.media_origins]
        parties += [(f"subscribers.{name}", one.url, one.country) for name, one in self.subscribers.items()]
        if twilio.account_sid:
            parties.append(("platforms.twilio", twilio.rest_url, TWILIO_REGIONS.get(twilio.region, "")))
        return parties

    def _texting_party(self) -> tuple[str, str, str]:
        if not self.sms.url.startswith("twilio:"):
            return "sms", self.sms.url, self.sms.country
        twilio = self.platforms.twilio
        return "sms", twilio.rest_url, TWILIO_REGIONS.get(twilio.region, "")

    def declared_countries(self) -> list[tuple[str, str]]:
        """Who is spoken to beyond this machine, and where they said to be."""
        return [(name, country) for name, url, country in self._outside_parties() if country and not is_loopback(url)]

    def organisation_for(self, brand: str | None) -> Organisation:
        """Who speaks for a brand: the organisation with the brand's own values over it."""
        return self.organisation.model_copy(update=self.brands.get(brand or "", {}))

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{(self.data_dir / 'recorder.sqlite').absolute()}"

    @property
    def store_url(self) -> str:
        return self.store.url or (self.data_dir / "objects").absolute().as_uri()

    @property
    def keys_url(self) -> str:
        return self.keys.url or (self.data_dir / "keys").absolute().as_uri()

    @property
    def keys_endpoint_url(self) -> str:
        return self.keys.endpoint_url or self.store.endpoint_url

    @property
    def mail_url(self) -> str:
        return self.mail.url or (self.data_dir / "outbox" / "mail").absolute().as_uri()

    @property
    def sms_url(self) -> str:
        return self.sms.url or (self.data_dir / "outbox" / "sms").absolute().as_uri()

    @property
    def directory_url(self) -> str:
        return self.directory.url or (self.data_dir / "directory.csv").absolute().as_uri()

    @property
    def lines_path(self) -> Path:
        return Path(self.lines) if self.lines else self.data_dir / "lines.toml"

    @property
    def root_key_path(self) -> Path:
        return self.data_dir / "root.key"

    def root_key(self) -> bytes | None:
        """The configured root key, 32 bytes, or None where a file is to be used. Handles key material."""
        if self.keys.root_key is None:
            return None
        try:
            key = base64.b64decode(self.keys.root_key.get_secret_value(), validate=True)
        except (binascii.Error, ValueError) as exc:
            raise ConfigurationError("RECORDER_KEYS__ROOT_KEY is not base64") from exc
        if len(key) != 32:  # noqa: PLR2004 -- AES-256
            raise ConfigurationError("RECORDER_KEYS__ROOT_KEY must be 32 bytes")
        return key


def _where(url: str, endpoint_url: str) -> str:
    """Who is asked for a URL: of a bucket, whoever answers at the endpoint."""
    return endpoint_url or url if url.startswith("s3:") else url


def _country_fault(url: str, country: str) -> str | None:
    if not url or ("://" in url and not url.startswith("s3://") and is_loopback(url)):
        return None
    if "://" not in url:  # a plain path
        return None
    if not country:
        return "no country declared"
    return None if country.upper() in EEA else country.upper()


def load(environ: dict[str, str] | None = None) -> Settings:
    """Settings from TOML, files and environment.

    Raises `ConfigurationError` naming every unknown and every bad setting at once; values are never repeated.
    """
    env = dict(os.environ if environ is None else environ)
    faults: list[str] = []
    tree = _toml(env.get(PREFIX + "CONFIG"), faults)
    for name, value in sorted(env.items()):
        if name.startswith(PREFIX) and name != PREFIX + "CONFIG":
            _place(tree, name, value, faults)
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as exc:
        faults += [
            f"{_variable(error['loc'])}: {error['msg']}" for error in exc.errors(include_input=False, include_url=False)
        ]
    if faults:
        raise ConfigurationError("bad settings: " + "; ".join(faults))
    return settings


def _toml(path: str | None, faults: list[str]) -> dict[str, Any]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        faults.append(f"{PREFIX}CONFIG: {type(exc).__name__}")
        return {}


def _place(tree: dict[str, Any], name: str, value: str, faults: list[str]) -> None:
    if name.endswith("_FILE"):
        try:
            name, value = name.removesuffix("_FILE"), Path(value).read_text("utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as exc:
            faults.append(f"{name}: {type(exc).__name__}")
            return
    *parents, leaf = name.removeprefix(PREFIX).lower().split("__")
    node = tree
    for parent in parents:
        node = node.setdefault(parent, {})
    node[leaf] = value


def _variable(location: tuple[str | int, ...]) -> str:
    parts = [part for part in location if isinstance(part, str)]
    return PREFIX + "__".join(part.upper() for part in parts) if parts else "settings"


def described(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str, str]]:
    """Every setting as (variable, default, meaning), in the order of the model."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from described(field.annotation, (*path, name))
            continue
        if field.annotation is not None and Subscriber in get_args(field.annotation):
            yield from described(Subscriber, (*path, name, "<name>"))
            continue
        default = "" if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
        shown = "" if default in ("", (), None, {}) else str(default)
        variable = PREFIX + "__".join((*path, name)).upper()
        yield (
            variable,
            shown if not isinstance(default, tuple) else ",".join(map(str, default)),
            field.description or "",
        )
