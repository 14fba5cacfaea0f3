"""Made the checked-in vectors. Sealing draws a fresh salt, so running it again makes other, equally good ones."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.cobblestone import Cobblestone256Encryptor

from storage.container import context

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
