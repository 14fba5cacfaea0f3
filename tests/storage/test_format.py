"""docs/format.md is normative: its script opens what our vault wrote, and its vectors open by its words alone."""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import insert

from storage import audit
from storage.columns import mark, open_sealed, unwrap
from storage.database import Database
from storage.keyobjects import KeyName, RootKey
from storage.keyring import KeyRing, load_root_key
from storage.keys import Key
from storage.migrations import migrate
from storage.objects_folder import FolderStore
from storage.tables import AttemptRow, CallRow, RecordingRow
from storage.vault import Vault

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)


def script(about: str = "cobblestone") -> str:
    programs = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "format.md").read_text("utf-8"), re.DOTALL)
    [found] = [one for one in programs if about in one]
    return str(found)


def recorded(data: Path, plain: bytes) -> None:
    """A data directory with one recording, made by our vault."""
    database = Database(f"sqlite:///{data / 'recorder.sqlite'}")
    migrate(database)
    ring = FolderStore(data / "keys")
    keyring = KeyRing(database, ring, load_root_key(data / "root.key", None, ring))
    keyring.open(NOW)
    keyring.ensure(NOW)
    vault = Vault(keyring, FolderStore(data / "objects"))
    key, dek = keyring.day_key(date(2026, 12, 2), NOW), vault.new_dek()
    name = vault.object_key("private_inbound", key.day)
    writer = vault.writer(recording_id="rec_æ", rendition="original", dek=dek, object_key=name, tags={})
    writer.write(plain)
    writer.commit()
    recording = {"id": "rec_æ", "call_id": "call_a", "platform": "standard", "state": "stored", "key_id": key.id}
    with database.write() as connection:
        connection.execute(insert(CallRow.__table__), {"id": "call_a", "platform": "standard", "opened_at": NOW})
        connection.execute(insert(RecordingRow.__table__), recording | {"dek": vault.wrap_dek(dek, "rec_æ", key)})
        attempt = {"id": "att_a", "recording_id": "rec_æ", "number": 1, "rendition": "original", "state": "kept"}
        connection.execute(insert(AttemptRow.__table__), attempt | {"object_key": name, "created_at": NOW})
    database.close()


@pytest.mark.parametrize("size", [0, 100_000])
def test_twenty_lines_without_our_code_open_a_recording(tmp_path: Path, size: int) -> None:
    data = tmp_path / "data"
    data.mkdir()
    plain = os.urandom(size)
    recorded(data, plain)

    command = [sys.executable, "-I", "-c", script(), str(data), "rec_æ", "original"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)

    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout == plain


def test_the_script_has_twenty_lines_and_none_of_our_code() -> None:
    lines = [line for line in script().splitlines() if line.strip()]

    assert len(lines) <= 20
    imported = re.findall(r"^(?:from|import) (.+?)(?: import .*)?$", script(), re.MULTILINE)
    assert imported
    assert {name.split(".")[0] for names in imported for name in names.split(", ")} <= {
        "base64",
        "pathlib",
        "sqlite3",
        "sys",
        "cryptography",
    }


def checked(export: str) -> tuple[int, str]:
    """What the page's program says of an export of the log."""
    command = [sys.executable, "-I", "-X", "utf8", "-c", script("hashlib")]
    ran = subprocess.run(command, input=export, capture_output=True, check=False, timeout=60, encoding="utf-8")
    return ran.returncode, (ran.stdout + ran.stderr).strip()


def test_p5_the_pages_program_checks_an_export_without_our_code(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'recorder.sqlite'}")
    migrate(database)
    for minute in range(3):
        with database.write() as connection:
            now = NOW.replace(minute=minute, microsecond=minute)
            audit.append(connection, type="a.done", actor="system", subject="x", body={"reason": "æ"}, now=now)
    lines = [f"{line}\n" for line in audit.export(database)]
    database.close()

    assert checked("".join(lines)) == (0, "3 entries, all in order")
    assert checked("") == (0, "0 entries, all in order")
    for number, wrong in [
        (2, [lines[0], lines[1].replace("a.done", "b.done"), lines[2]]),
        (2, [lines[0], lines[2]]),
        (1, [lines[1], lines[0], lines[2]]),
        (1, [lines[0].replace('"leaf":"', '"leaf":"0'), *lines[1:]]),
    ]:
        assert checked("".join(wrong)) == (1, f"line {number} does not fit")


VALUES = json.loads((ROOT / "tests" / "vectors" / "values.json").read_text("utf-8"))


def value(name: str) -> bytes:
    return bytes.fromhex(VALUES[name])


def names(*parts: str) -> bytes:
    return b"".join(len(part.encode()).to_bytes(2, "big") + part.encode() for part in parts)


def derived(secret: bytes, label: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, None, label.encode()).derive(secret)


def unsealed(secret: bytes, blob: bytes, label: str, *place: str) -> bytes:
    """As the page says it, by the library."""
    assert blob[0] == 1
    return AESGCM(derived(secret, label)).decrypt(blob[1:13], blob[13:], names(label, *place))


def test_vectors_open_by_the_words_of_the_page() -> None:
    folder, key_id, recording = VALUES["folder"], VALUES["key_id"], VALUES["recording_id"]

    key = unsealed(value("root_key"), value("key_object"), "recorder/ring/v1", folder, key_id)
    dek = unsealed(key, value("wrapped_dek"), "recorder/wrap/v1", "recordings", "dek", recording, key_id)
    text = unsealed(dek, value("sealed"), "recorder/column/v1", "recordings", "sealed", recording)

    assert (key, dek) == (value("key"), value("dek"))
    assert text == '{"agent":"a-17","navn":"Åse","phone":"+4520123456"}'.encode()
    index_key = derived(key, "recorder/index/v1")
    assert hmac.digest(index_key, names("phone", "+4520123456"), "sha256") == value("phone_mark")
    assert derived(value("root_key"), "recorder/root-id/v1")[:8].hex() == VALUES["root_id"]
    assert derived(key, "recorder/service/refs/v1") == value("service_key_refs")


def test_vectors_open_with_our_code() -> None:
    name = KeyName(VALUES["key_id"], VALUES["folder"])
    key = Key(name.id, name.purpose, date(2026, 12, 2), RootKey(value("root_key")).open(name, value("key_object")))
    recording = VALUES["recording_id"]

    dek = unwrap(key, value("wrapped_dek"), table="recordings", column="dek", row_id=recording)

    assert open_sealed(dek, value("sealed"), table="recordings", row_id=recording) == VALUES["personal"]
    assert mark(key, "phone", "+4520123456") == value("phone_mark")
    assert RootKey(value("root_key")).id == VALUES["root_id"]


def test_the_root_key_file_is_32_bytes_in_base64(tmp_path: Path) -> None:
    root = load_root_key(tmp_path / "root.key", None, FolderStore(tmp_path / "keys"))

    assert base64.b64decode((tmp_path / "root.key").read_bytes()) == root
    assert len(root) == 32
