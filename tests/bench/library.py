"""`python -m tests.bench.library FOLDER MEDIA_PORT SECONDS…`: captures, then serves; prints port, token and ids."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from api import heap
from api.server import listening
from recorder import capture, finding, tokens
from recorder.actors import SYSTEM, Actor
from recorder.service import opened
from recorder.settings import load
from tests.bench.capturing import LINES, announce
from tests.bench.webhooks import SECRET


def main() -> None:
    folder, media, *lengths = sys.argv[1:]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    Path(folder, "lines.toml").write_text(LINES)
    Path(folder, "directory.csv").write_text("phone,account,email,mobile,customer_type,language\n")
    named = {name: value for name, value in os.environ.items() if name.startswith("RECORDER_")}
    settings = load(
        named
        | {
            "RECORDER_DATA_DIR": folder,
            "RECORDER_HTTP__PORT": "0",
            "RECORDER_PLATFORMS__STANDARD__SECRETS": SECRET,
            "RECORDER_PLATFORMS__STANDARD__MEDIA_ORIGINS": f"http://127.0.0.1:{media}",
        }
    )
    with opened(settings) as service:
        dpo = Actor("bench", "dpo")
        ids: list[str] = []
        for seconds in lengths:
            announce(service, f"http://127.0.0.1:{media}/wav/{seconds}", int(seconds), name=f"pbx-{seconds}")
            capture.capture_due(service, service.clock(), limit=1)
            stored = finding.search(service, finding.Query(state="stored"), actor=dpo, now=service.clock()).items
            ids += [item.recording.id for item in stored if item.recording.id not in ids]
        token, _ = tokens.create(service, "dpo", "bench", service.clock(), actor=SYSTEM)
        with listening(service) as port:
            heap.settle()
            print(port, token, *ids, flush=True)
            threading.Event().wait()


if __name__ == "__main__":
    main()
