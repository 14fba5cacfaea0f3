"""Made the checked-in vectors. Sealing draws a fresh salt, so running it again makes other, equally good ones."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from cryptography.cobblestone import Cobblestone256Encryptor

from storage.columns import mark, seal, wrap
from storage.container import context
from storage.keyobjects import KeyName, RootKey
from storage.keys import Key, derive

HERE = Path(__file__).parent
DEK = bytes(range(32))
PATTERN = bytes(range(251))  # prime, so that chunks differ

for name, size in {"empty": 0, "one-byte": 1, "one-chunk": 16_384, "two-chunks-and-a-bit": 2 * 16_384 + 100}.items():
    ctx = context("rec_vector", "original")
    encryptor = Cobblestone256Encryptor(DEK, ctx)
    repeated = (PATTERN * (size // len(PATTERN) + 1))[:size]
    (HERE / f"container-{name}.sealed").write_bytes(encryptor.update(repeated) + encryptor.finalize())
    about = {
        "recording_id": "rec_vector",
        "rendition": "original",
        "dek": DEK.hex(),
        "context": ctx.hex(),
        "pattern": PATTERN.hex(),
        "plain_bytes": size,
    }
    (HERE / f"container-{name}.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")

ROOT, MATERIAL = bytes([1]) * 32, bytes([2]) * 32
DAY_KEY = Key("day_aaaaaaaaaaaaaaaaaaaaaaaaaa", "day", date(2026, 12, 2), MATERIAL)
NAME = KeyName(DAY_KEY.id, "20261202")
PERSON = {"agent": "a-17", "navn": "Åse", "phone": "+4520123456"}
values = {
    "root_key": ROOT.hex(),
    "root_id": RootKey(ROOT).id,
    "folder": NAME.folder,
    "key_id": NAME.id,
    "key": MATERIAL.hex(),
    "key_object": RootKey(ROOT).seal(NAME, MATERIAL).hex(),
    "recording_id": "rec_vector",
    "dek": DEK.hex(),
    "wrapped_dek": wrap(DAY_KEY, DEK, table="recordings", column="dek", row_id="rec_vector").hex(),
    "personal": PERSON,
    "sealed": seal(DEK, PERSON, table="recordings", row_id="rec_vector").hex(),
    "phone_mark": mark(DAY_KEY, "phone", PERSON["phone"]).hex(),
    "service_key_refs": derive(MATERIAL, "recorder/service/refs/v1").hex(),
}
(HERE / "values.json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", "utf-8")
