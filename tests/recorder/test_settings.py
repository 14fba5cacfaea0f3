from __future__ import annotations

import base64
from pathlib import Path

import pytest

from recorder.errors import ConfigurationError
from recorder.settings import described, load


def test_defaults_stay_on_this_machine() -> None:
    settings = load({})

    assert settings.http.public_url == "http://127.0.0.1:8080"
    assert settings.database_url.startswith("sqlite:////")
    assert settings.store_url.startswith("file:///")


def test_links_lead_to_the_port_that_was_set() -> None:
    """Where 8080 is taken, we advise to set the port: the console's address must then be true, and its forms work."""
    assert load({"RECORDER_HTTP__PORT": "9000"}).http.public_url == "http://127.0.0.1:9000"


def test_every_fault_is_named_at_once_and_no_value_repeated() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(
            {
                "RECORDER_HTTP__PORT": "seven",
                "RECORDER_HTTP__COLOUR": "blue",
                "RECORDER_SPEED": "hunter2",
                "RECORDER_CAPTURE__PAUSES": "whistle",
            }
        )

    message = str(refusal.value)
    for variable in ("RECORDER_HTTP__PORT", "RECORDER_HTTP__COLOUR", "RECORDER_SPEED", "RECORDER_CAPTURE__PAUSES"):
        assert variable in message
    assert "hunter2" not in message


def test_what_several_settings_say_together_is_named_with_what_each_says_alone() -> None:
    """A fault in one value hides none of the others, so that an operator mends them all before the next start."""
    with pytest.raises(ConfigurationError) as refusal:
        load(
            {
                "RECORDER_HTTP__PORT": "seven",
                "RECORDER_HTTP__PUBLIC_URL": "https://calls.example.com",
                "RECORDER_DIRECTORY__URL": "https://crm.example.com/find",
                "RECORDER_BRANDS__NORDTEL__SLOGAN": "x",
                "RECORDER_KEYS__ROOT_KEY": "hunter2",
                "RECORDER_SUBSCRIBERS__CRM__URL": "https://crm.example.com/hook",
            }
        )

    message = str(refusal.value)
    for named in (
        "RECORDER_HTTP__PORT",
        "mail.url: files are allowed only",
        "sms.url: files are allowed only",
        "directory (no country declared)",
        "brands.nordtel has unknown fields",
        "RECORDER_KEYS__ROOT_KEY",
        "RECORDER_SUBSCRIBERS__CRM__SECRETS",
    ):
        assert named in message
    assert "hunter2" not in message
    assert "RECORDER_…__COUNTRY" in message
    assert "Value error" not in message


def test_a_fault_is_named_by_its_variable_not_by_how_it_was_looked_at() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load({"RECORDER_HTTP__TRUSTED_PROXIES": "10.0.0.0/8,300.1.1.1"})

    assert str(refusal.value).startswith("bad settings: RECORDER_HTTP__TRUSTED_PROXIES: ")
    assert "[" not in str(refusal.value)


@pytest.mark.parametrize("prefixes", ["45", "+45,0045", "+", "+45 20"])
def test_a_prefix_no_number_begins_with_is_refused(prefixes: str) -> None:
    with pytest.raises(ConfigurationError, match="RECORDER_SMS__PREFIXES"):
        load({"RECORDER_SMS__PREFIXES": prefixes})


def test_environment_beats_file_beats_toml(tmp_path: Path) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text('[http]\nport = 1\nhost = "127.0.0.9"\n[organisation]\nname = "Toml"\ncvr = "1"\n')
    name = tmp_path / "name"
    name.write_text("From file\n")

    settings = load(
        {
            "RECORDER_CONFIG": str(toml),
            "RECORDER_ORGANISATION__NAME_FILE": str(name),
            "RECORDER_HTTP__PORT": "2",
        }
    )

    assert (settings.http.port, settings.http.host) == (2, "127.0.0.9")
    assert (settings.organisation.name, settings.organisation.cvr) == ("From file", "1")


@pytest.mark.parametrize("text", ["alpha-1,beta-2", '["alpha-1", "beta-2"]', " alpha-1 , beta-2 "])
def test_lists_come_as_json_or_comma_separated(text: str) -> None:
    settings = load({"RECORDER_PLATFORMS__TWILIO__AUTH_TOKENS": text})

    assert [token.get_secret_value() for token in settings.platforms.twilio.auth_tokens] == ["alpha-1", "beta-2"]
    assert "alpha-1" not in repr(settings)


@pytest.mark.parametrize(
    "environment",
    [
        {"RECORDER_MAIL__URL": "smtp://relay.example.com:587"},
        {"RECORDER_MAIL__URL": "smtp://relay.example.com:587", "RECORDER_MAIL__COUNTRY": "US"},
        {"RECORDER_SMS__URL": "https://sms.example.com"},
        {"RECORDER_DIRECTORY__URL": "https://crm.example.com/find", "RECORDER_DIRECTORY__COUNTRY": "GB"},
        {"RECORDER_STORE__URL": "s3://bucket/prefix", "RECORDER_STORE__ENDPOINT_URL": "https://s3.example.com"},
        {"RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID": "AC1", "RECORDER_PLATFORMS__TWILIO__REGION": "us1"},
        {"RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID": "AC1", "RECORDER_PLATFORMS__TWILIO__REGION": "ei1"},
        {"RECORDER_PLATFORMS__STANDARD__MEDIA_ORIGINS": "https://pbx.example.com"},
    ],
)
def test_no_outside_party_is_undeclared_or_outside_the_eea(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="EU/EEA"):
        load(environment)


def test_a_declared_country_and_loopback_may_start() -> None:
    load(
        {
            "RECORDER_MAIL__URL": "smtp://relay.example.com:587",
            "RECORDER_MAIL__COUNTRY": "dk",
            "RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID": "AC1",
            "RECORDER_PLATFORMS__STANDARD__MEDIA_ORIGINS": "http://127.0.0.1:9000",
        }
    )


@pytest.mark.parametrize("url", ["http://api.dublin.ie1.twilio.com", "https://api.twilio.com", "https://x.example/ie1"])
def test_twilio_is_asked_in_its_region_under_tls_or_on_this_machine(url: str) -> None:
    with pytest.raises(ConfigurationError, match="api_url"):
        load({"RECORDER_PLATFORMS__TWILIO__API_URL": url})
    for allowed in ("https://api.ie1.twilio.com", "http://127.0.0.1:9000"):
        load({"RECORDER_PLATFORMS__TWILIO__API_URL": allowed})


@pytest.mark.parametrize("url", ["http://calls.example.com", "ftp://x", "https://x/?q=1", "not a url"])
def test_public_url_is_https_unless_loopback(url: str) -> None:
    with pytest.raises(ConfigurationError, match="HTTP"):
        load({"RECORDER_HTTP__PUBLIC_URL": url})


def test_mail_and_sms_as_files_only_on_loopback() -> None:
    with pytest.raises(ConfigurationError, match="files are allowed only"):
        load({"RECORDER_HTTP__PUBLIC_URL": "https://calls.example.com"})


def test_a_brand_overrides_the_organisation() -> None:
    settings = load({"RECORDER_BRANDS__NORDTEL__NAME": "Nordtel"})

    assert settings.organisation_for("nordtel").name == "Nordtel"
    assert settings.organisation_for("nordtel").cvr == settings.organisation.cvr
    assert settings.organisation_for("flexii").name == "Flexii"
    with pytest.raises(ConfigurationError, match="unknown fields"):
        load({"RECORDER_BRANDS__NORDTEL__SLOGAN": "x"})


def test_tables_come_as_json() -> None:
    settings = load({"RECORDER_BRANDS": '{"nordtel": {"name": "Nordtel"}}'})

    assert settings.organisation_for("nordtel").name == "Nordtel"
    assert load({"RECORDER_BRANDS": "", "RECORDER_PLATFORMS__TWILIO__SHARED_KEYS": ""}).brands == {}
    with pytest.raises(ConfigurationError, match="RECORDER_BRANDS: must be JSON") as refusal:
        load({"RECORDER_BRANDS": "hunter2"})
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("text", ["%%%", base64.b64encode(b"short").decode()])
def test_a_root_key_is_32_bytes_of_base64(text: str) -> None:
    with pytest.raises(ConfigurationError, match="ROOT_KEY"):
        load({"RECORDER_KEYS__ROOT_KEY": text})


def test_every_setting_is_documented() -> None:
    assert all(meaning for _, _, meaning in described())
