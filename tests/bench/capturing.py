"""`python -m tests.bench.capturing ROUNDS SECONDS MEDIA_PORT FOLDER`: copies and captures in turn; prints JSON.

Both fetch the same bytes with the same client and write them to the same store, named by `RECORDER_STORE__…` or else a
folder; the capture decides, hashes, seals, checks, makes peaks, commits and indexes along the way. One small capture
goes before, so that nothing is measured cold. Captures without peaks, which the service never makes, show what peaks
cost; copies without a hash, what the hash costs; plain files, written and flushed without our store, what that costs
or saves.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import statistics
import sys
import time
from datetime import timedelta
from pathlib import Path

from api import heap
from recorder import calls, capture
from recorder.audio import outputs
from recorder.audio.peaks import Peaks
from recorder.events import Event
from recorder.fetch import open_url
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from storage.clock import rfc3339
from storage.objects import ObjectStore
from tests.bench.webhooks import SECRET

BLOCK = 1 << 18
LINES = """\
[[line]]
number = "+4570123456"
brand = "flexii"
customer_type = "private"
call_kind = "service"
language = "da"
script = "inbound-da"
consent = "asked_elsewhere"
then.dial = "+4570000000"
"""


def copy(url: str, origin: str, store: ObjectStore, *, hashed: bool) -> float:
    """Fetch into a store as it comes; gives the seconds. With its SHA-256 it is what a capture is compared with."""
    os.sync()  # or it would wait for what was written before
    started = time.perf_counter()
    with open_url("GET", url, origins=[origin], timeout_s=600, max_bytes=10**10, private_ok=True) as media:
        upload, digest = store.create("bench/plain", {}), hashlib.sha256()
        for chunk in media.chunks(BLOCK):
            if hashed:
                digest.update(chunk)
            upload.write(chunk)
        upload.commit()
    taken = time.perf_counter() - started
    store.delete("bench/plain")
    return taken


def plain_file(url: str, origin: str, place: Path) -> float:
    """Fetch into a file as anybody would: write, flush, rename, flush the folder. Gives the seconds."""
    os.sync()
    started = time.perf_counter()
    with open_url("GET", url, origins=[origin], timeout_s=600, max_bytes=10**10, private_ok=True) as media:
        with (place / "plain.part").open("wb", buffering=0) as file:
            for chunk in media.chunks(BLOCK):
                file.write(chunk)
            os.fsync(file.fileno())
        (place / "plain.part").rename(place / "plain")
        folder = os.open(place, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    taken = time.perf_counter() - started
    (place / "plain").unlink()
    return taken


def announce(service: Service, url: str, seconds: int, name: str = "pbx-1") -> None:
    """One consented, ended call with a recording to fetch."""
    end = service.clock() - timedelta(seconds=5)
    start = end - timedelta(seconds=seconds)
    told = (
        ("call.started", {"direction": "inbound", "from": "+4520123456", "to": "+4570123456"}, start),
        ("consent.granted", {"method": "dtmf", "digit": "1", "script": "inbound-da@1", "at": rfc3339(start)}, start),
        (
            "recording.available",
            {"recording_id": f"rec-{name}", "url": url, "started_at": rfc3339(start), "duration_ms": seconds * 1000},
            end,
        ),
        ("call.ended", {"ended_at": rfc3339(end)}, end),
    )
    for number, (kind, data, at) in enumerate(told):
        event = Event(kind, "standard", name, f"{name}-{number}", at, stamped_at=at, opens=number == 0, data=data)  # type: ignore[arg-type] -- literal kinds
        calls.register(service, event, service.clock())


def captured(service: Service, url: str, seconds: int, name: str) -> float:
    announce(service, url, seconds, name)
    os.sync()
    started = time.perf_counter()
    done = capture.capture_due(service, service.clock(), limit=1)
    taken = time.perf_counter() - started
    if done != 1:
        raise SystemExit("nothing was captured")
    return taken


class Blank(Peaks):
    """Peaks that are not drawn."""

    def feed(self, sound: bytes | memoryview) -> bytes:
        return b""


def without_peaks(service: Service, url: str, seconds: int, name: str) -> float:
    drawn, outputs.Peaks = outputs.Peaks, Blank  # type: ignore[misc]
    try:
        return captured(service, url, seconds, name)
    finally:
        outputs.Peaks = drawn  # type: ignore[misc]


def main() -> None:
    rounds, seconds, port, place = sys.argv[1:]
    origin, folder = f"http://127.0.0.1:{port}", Path(place)
    url = f"{origin}/wav/{seconds}"
    (folder / "lines.toml").write_text(LINES)
    (folder / "directory.csv").write_text("phone,account,email,mobile,customer_type,language\n")
    store = {name: value for name, value in os.environ.items() if name.startswith("RECORDER_STORE__")}
    settings = load(
        store
        | {
            "RECORDER_DATA_DIR": place,
            "RECORDER_PLATFORMS__STANDARD__SECRETS": SECRET,
            "RECORDER_PLATFORMS__STANDARD__MEDIA_ORIGINS": origin,
        }
    )
    taken: dict[str, list[float]] = {
        name: [] for name in ("copy", "unhashed copy", "plain file", "capture", "without peaks")
    }
    with opened(settings) as service:
        captured(service, f"{origin}/wav/1", 1, "warm")
        heap.settle()  # as the service does
        for number in range(int(rounds)):
            taken["copy"].append(copy(url, origin, service.vault.objects, hashed=True))
            taken["unhashed copy"].append(copy(url, origin, service.vault.objects, hashed=False))
            taken["plain file"].append(plain_file(url, origin, folder))
            taken["capture"].append(captured(service, url, int(seconds), f"pbx-{number}"))
            taken["without peaks"].append(without_peaks(service, url, int(seconds), f"blank-{number}"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({name: statistics.median(walls) for name, walls in taken.items()} | {"peak_mib": peak}))


if __name__ == "__main__":
    main()
