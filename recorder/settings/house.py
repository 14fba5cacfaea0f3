"""Everything settable, as one value; and what follows from several settings together."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from recorder.settings.places import TWILIO_REGIONS, asked_at, country_fault, is_loopback
from recorder.settings.sections import (
    TABLE,
    Canary,
    Capture,
    ConsentSettings,
    DatabaseSettings,
    DirectorySettings,
    Http,
    Keys,
    Mail,
    Organisation,
    Platforms,
    Retention,
    Section,
    Sms,
    Store,
    Subscriber,
)


class Settings(Section):
    """Everything settable. `load` builds it; nothing else reads the environment."""

    data_dir: Path = Field(Path("data"), description="home of everything embedded")
    lines: str = Field("", description="the line table; empty: lines.toml in the data directory")
    http: Http = Field(default_factory=Http)
    organisation: Organisation = Field(default_factory=Organisation)
    brands: Annotated[dict[str, dict[str, str]], TABLE] = Field(
        default_factory=dict,
        description='per brand, what of the organisation differs: `{"flexii": {"name": "…", "phone": "…"}}`, or '
        "RECORDER_BRANDS__FLEXII__NAME and so on",
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
    def _holds_together(self) -> Settings:
        """Check what no setting shows by itself, and name all faults at once: nobody is to find them one by one."""
        faults = [*self._brand_faults(), *self._party_faults(), *self._file_faults()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _brand_faults(self) -> Iterator[str]:
        for brand, fields in self.brands.items():
            unknown = sorted(set(fields) - set(Organisation.model_fields))
            if unknown:
                yield f"brands.{brand} has unknown fields: {', '.join(unknown)}"

    def _party_faults(self) -> Iterator[str]:
        """Addresses that cannot be read, and what would leave the EU/EEA."""
        outside = []
        for name, url, country in self._outside_parties():
            try:
                _ = urlsplit(url).port
            except ValueError:  # whose words may repeat part of a password
                yield f"{name}: the address cannot be read; a password's / ? # @ are written %2F %3F %23 %40"
                continue
            if why := country_fault(url, country):
                outside.append(f"{name} ({why})")
        if outside:
            yield "outside the EU/EEA, or without its RECORDER_…__COUNTRY: " + ", ".join(outside)

    def _file_faults(self) -> Iterator[str]:
        if is_loopback(self.http.public_url):
            return
        for name, url in (("mail.url", self.mail.url), ("sms.url", self.sms.url)):
            if not url or url.startswith("file:"):
                yield f"{name}: files are allowed only while public_url is a loopback address"

    def _outside_parties(self) -> list[tuple[str, str, str]]:
        twilio, standard = self.platforms.twilio, self.platforms.standard
        keys_country = self.keys.country or self.store.country
        parties = [
            ("store", asked_at(self.store.url, self.store.endpoint_url), self.store.country),
            ("keys", asked_at(self.keys.url, self.keys_endpoint_url), keys_country),
            ("keys.mirror", asked_at(self.keys.mirror_url, self.keys_endpoint_url), keys_country),
            ("mail", self.mail.url, self.mail.country),
            self._texting_party(),
            ("directory", self.directory.url, self.directory.country),
        ]
        parties += [("platforms.standard", origin, standard.country) for origin in standard.media_origins]
        parties += [(f"subscribers.{name}", one.url, one.country) for name, one in self.subscribers.items()]
        if twilio.account_sid:
            parties.append(("platforms.twilio", twilio.rest_url, TWILIO_REGIONS.get(twilio.region, twilio.region)))
        return parties

    def _texting_party(self) -> tuple[str, str, str]:
        if not self.sms.url.startswith("twilio:"):
            return "sms", self.sms.url, self.sms.country
        twilio = self.platforms.twilio
        return "sms", twilio.rest_url, TWILIO_REGIONS.get(twilio.region, twilio.region)

    def declared_countries(self) -> list[tuple[str, str]]:
        """Whom we speak to beyond this machine, and the country declared for each."""
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
        key = self.keys.root_key
        return None if key is None else base64.b64decode(key.get_secret_value())
