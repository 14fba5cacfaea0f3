"""`recorder doctor`: every seeded fault is found, by its code, and what would break a promise forbids a start."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from api import server
from recorder import checkup
from recorder.checkup import KINDS, Finding, house, machine, outside
from recorder.couriers.smtp import SmtpMailer
from recorder.errors import UnsafeError
from recorder.ports import Service
from recorder.settings import Settings, load
from storage.probe import StoreTruth
from tests.conftest import TWILIO_SID, TWILIO_TOKEN, MovingClock
from tests.servers.gateway import Gateway
from tests.servers.relay import relays, trusting


def codes(findings: Iterator[Finding] | list[Finding]) -> set[str]:
    return {finding.code for finding in findings}


def levels(service: Service, clock: MovingClock) -> dict[str, str]:
    return {finding.code: finding.level for finding in checkup.examine(service, clock())}


def changed(settings: Settings, section: str, **values: Any) -> Settings:
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


def test_a_good_house_has_no_fault_and_keeps_nothing_of_the_probe(service: Service, clock: MovingClock) -> None:
    found = levels(service, clock)

    assert [code for code, level in found.items() if level == "fault"] == []
    assert {"clock_ok", "database_ok", "keys_ok", "store_ok", "ffmpeg_ok", "lines_ok", "platforms_ok"} <= found.keys()
    assert list(service.vault.objects.keys("doctor/")) == []
    assert server.sound(checkup.examine_start(service, clock())) != []


def test_every_kind_has_words_and_every_fault_says_what_to_do() -> None:
    for code, kind in KINDS.items():
        assert kind.text, code
        assert kind.level == "ok" or kind.advice, code
        assert not kind.blocks or kind.level == "fault", code


def test_warns_of_keys_beside_what_they_open(service: Service, clock: MovingClock) -> None:
    assert {"keys_no_mirror", "keys_beside_data"} <= levels(service, clock).keys()


def test_names_a_clock_that_went_back_and_one_that_differs(service: Service, clock: MovingClock) -> None:
    service.keyring.ensure(clock())
    clock.advance(days=-1)
    assert "clock_behind" in levels(service, clock)

    class Elsewhere:
        def __init__(self, ours: Any) -> None:
            self._ours = ours

        def clock(self) -> Any:
            return clock() + timedelta(minutes=6)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._ours, name)

    vault = service.vault
    vault.objects = Elsewhere(vault.objects)
    assert "clock_differs" in codes(house.clock(service, clock()))


def test_names_a_folder_others_may_look_into(service: Service, clock: MovingClock) -> None:
    service.settings.data_dir.chmod(0o755)
    assert levels(service, clock)["folder_open"] == "fault"


def test_names_a_broken_line_table_and_goes_on(service: Service, clock: MovingClock) -> None:
    service.settings.lines_path.write_text("[[line]]\nnumber = 7\n")
    found = levels(service, clock)
    assert {"lines_faulty", "platforms_ok"} <= found.keys()
    service.settings.lines_path.write_text("")
    assert "lines_none" in levels(service, clock)


def test_names_a_directory_that_knows_nobody(service: Service, clock: MovingClock) -> None:
    assert levels(service, clock)["directory_ok"] == "ok"
    (service.settings.data_dir / "directory.csv").unlink()
    found = levels(service, clock)
    assert found["directory_none"] == "warning"
    assert "directory_ok" not in found


def test_a_part_that_fails_is_a_fault_of_that_part_and_stops_no_other(service: Service, clock: MovingClock) -> None:
    shutil.rmtree(service.settings.data_dir / "objects")
    (service.settings.data_dir / "objects").write_text("a file where the folder should be")
    (failed,) = [one for one in checkup.examine(service, clock()) if one.code == "part_failed"]
    assert (failed.part, failed.level) == ("store", "fault")
    (service.settings.data_dir / "objects").unlink()


def test_p2_a_root_key_others_may_read_forbids_the_start(service: Service, clock: MovingClock) -> None:
    service.settings.root_key_path.chmod(0o640)
    with pytest.raises(UnsafeError, match=r"root key \(640\) \[root_key_open\]"):
        server.sound(checkup.examine_start(service, clock()))


@pytest.mark.parametrize(
    ("truth", "code"),
    [
        ({"deletes_for_good": False}, "store_faulty"),
        ({"object_lock": True}, "store_faulty"),
        ({"tags_single": False, "tags_later": False}, "store_faulty"),
    ],
)
def test_p3_a_store_that_does_not_delete_forbids_the_start(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch, truth: dict[str, Any], code: str
) -> None:
    known = StoreTruth("bucket", **truth)
    monkeypatch.setattr(type(service.vault.objects), "truth", lambda self, **_: known)
    found = checkup.examine_start(service, clock())
    assert code in codes(found)
    with pytest.raises(UnsafeError, match=code):
        server.sound(found)


def test_p3_a_place_that_keeps_versions_must_not_keep_keys(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ring,) = service.keyring.places
    monkeypatch.setattr(type(ring), "truth", lambda self, **_: StoreTruth("ring", versioning="on"))
    with pytest.raises(UnsafeError, match="versioning is on"):
        server.sound(checkup.examine_start(service, clock()))


def test_what_the_kernel_says_is_judged() -> None:
    good = {"files": 65536, "core": 0, "pattern": "core", "swaps": "Filename Type Size\n"}
    assert codes(machine.limits(**good)) == {"process_ok"}
    assert codes(machine.limits(**good | {"files": 1024})) == {"files_few"}
    assert codes(machine.limits(**good | {"core": -1})) == {"core_dumped"}
    assert codes(machine.limits(**good | {"pattern": "|/usr/lib/systemd/systemd-coredump %P"})) == {"core_piped"}
    swapped = "Filename Type\n/dev/zram0 partition\n/dev/sda2 partition\n"
    (finding,) = machine.limits(**good | {"swaps": swapped})
    assert (finding.code, "/dev/sda2" in finding.text, "zram" in finding.text) == ("swap_on", True, False)


@pytest.mark.parametrize(("free", "code"), [(10**8, "disk_full"), (10**9, "disk_low"), (10**11, "disk_ok")])
def test_room_on_the_disk(free: int, code: str) -> None:
    assert machine.room(free).code == code


def test_p6_sqlite_on_a_network_file_system_forbids_the_start(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\nproc /proc proc rw 0 0\n")
    assert machine.file_system(tmp_path / "data", mounts) == "nfs4"
    assert machine.file_system(Path("/usr"), mounts) == "ext4"
    assert machine.file_system(Path("/usr"), tmp_path / "none") == ""
    assert KINDS["folder_on_network"].blocks == "P6"


def test_names_an_ffmpeg_that_is_missing_or_lacks_what_is_needed(
    service: Service, clock: MovingClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = tmp_path / "ffmpeg"
    poor.write_text("#!/bin/sh\necho 'ffmpeg version 0.1'\necho ' A..... flac '\n")
    poor.chmod(0o700)
    monkeypatch.setattr(machine, "ffmpeg", lambda: str(poor))
    (finding,) = machine.ffmpeg_works(service.settings, clock())
    assert (finding.code, "libmp3lame" in finding.text) == ("ffmpeg_codecs", True)
    monkeypatch.setattr(machine, "ffmpeg", lambda: str(tmp_path / "none"))
    assert codes(machine.ffmpeg_works(service.settings, clock())) == {"ffmpeg_missing"}


def test_mail_is_asked_to_the_door(settings: Settings, clock: MovingClock, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    with relays(authority) as start:
        good, bare = start(), start(tls=None)

        def of(port: int, login: str = "") -> set[str]:
            there = changed(settings, "mail", url=f"smtp://{login}localhost:{port}")
            known = SmtpMailer(there.mail.url, sender="x@example.com", tls=trusting(authority))
            monkeypatch.setattr(outside, "mailer_for", lambda _settings: known)
            return codes(outside.mail(there, clock()))

        assert of(good.port) == {"mail_ok"}
        assert of(good.port, "recorder:wrong@") == of(bare.port) == of(1) == {"mail_away"}
        assert good.taken == bare.taken == []
    assert codes(outside.mail(settings, clock())) != set()
    assert codes(outside.mail(changed(settings, "mail", sender="not an address"), clock())) == {"mail_sender"}


def test_sms_is_asked_without_sending_any(settings: Settings, clock: MovingClock, gateway: Gateway) -> None:
    assert codes(outside.sms(settings, clock())) == {"sms_files"}
    by_gateway = changed(settings, "sms", url=gateway.url.replace("://", "://secret@") + "/sms")
    assert codes(outside.sms(by_gateway, clock())) == {"sms_ok"}
    assert codes(outside.sms(changed(settings, "sms", url="http://127.0.0.1:1/"), clock())) == {"sms_away"}

    by_twilio = load(
        {
            "RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID": TWILIO_SID,
            "RECORDER_PLATFORMS__TWILIO__AUTH_TOKENS": TWILIO_TOKEN,
            "RECORDER_PLATFORMS__TWILIO__API_URL": gateway.url,
            "RECORDER_SMS__URL": "twilio://Flexii",
        }
    )
    assert codes(outside.sms(by_twilio, clock())) == {"sms_ok"}
    for status in (401, 500):
        gateway.answers = [(status, b"{}")]
        assert codes(outside.sms(by_twilio, clock())) == {"sms_away"}
    assert {method for method, *_ in gateway.taken} == {"HEAD", "GET"}


def test_our_own_address_is_tried(settings: Settings, clock: MovingClock, gateway: Gateway) -> None:
    assert codes(outside.public_url(settings, clock())) == {"public_url_local"}
    away = changed(settings, "http", public_url="https://recorder.invalid")
    assert codes(outside.public_url(away, clock())) == {"public_url_away"}


def test_who_speaks_to_customers_is_not_the_example(settings: Settings, clock: MovingClock) -> None:
    assert codes(outside.organisation(settings, clock())) == {"organisation_ok"}
    public = changed(settings, "http", public_url="https://recorder.invalid")
    (found,) = outside.organisation(public, clock())
    assert (found.code, found.level) == ("organisation_example", "warning")
    assert "RECORDER_ORGANISATION__PHONE" in found.text
    own = dict.fromkeys(type(settings.organisation).model_fields, "ours")
    assert codes(outside.organisation(changed(public, "organisation", **own), clock())) == {"organisation_ok"}


def test_weak_secrets_are_named_by_their_setting(settings: Settings, clock: MovingClock) -> None:
    weak = load(
        {
            "RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID": TWILIO_SID,
            "RECORDER_PLATFORMS__TWILIO__AUTH_TOKENS": "hunter2",
            "RECORDER_PLATFORMS__TWILIO__SHARED_KEYS": '{"k1": "short"}',
        }
    )
    found = list(outside.platforms(weak, clock()))
    assert [one.code for one in found] == ["platform_secret_weak", "platform_secret_weak", "platforms_ok"]
    assert "hunter2" not in str(found)
    assert codes(outside.platforms(load({}), clock())) == {"platforms_none"}


def test_what_does_not_start_is_still_examined(settings: Settings, clock: MovingClock) -> None:
    settings.root_key_path.unlink()
    found = list(checkup.consult(settings, clock))
    assert (found[0].code, found[0].level) == ("start_refused", "fault")
    assert {"ffmpeg_ok", "disk_ok", "mail_files"} <= codes(found)


def test_the_command_prints_for_people_and_for_machines(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from api.cli import main

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (Path(environment["RECORDER_DATA_DIR"]) / "root.key").chmod(0o644)
    for arguments in (["doctor"], ["doctor", "--json"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 1
        out = capsys.readouterr().out
        assert "root_key_open" in out
    found = {one["code"]: one for one in json.loads(out)["findings"]}
    assert found["root_key_open"].keys() == {"code", "level", "part", "text", "advice", "blocks"}
    assert (found["root_key_open"]["blocks"], found["disk_ok"]["level"]) == (True, "ok")
