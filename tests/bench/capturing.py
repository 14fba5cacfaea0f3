"""`python -m tests.bench.capturing ROUNDS SECONDS MEDIA_PORT FOLDER`: copies and captures in turn; prints JSON.

Both fetch the same bytes with the same client and write them to the same store, named by `RECORDER_STORE__…` or else a
folder; the capture decides, hashes, seals, checks, makes peaks, commits and indexes along the way. One small capture
goes before, so that nothing is measured cold. Captures without peaks, which the service never makes, show what peaks
cost; copies without a hash, what the hash costs; plain files, written and flushed without our store, what that costs
or saves. The audio alone is what a capture does between its two transactions: it fetches, seals and stores.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from api import heap
from recorder import calls, capture, faultpoints
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


class Taken:
    """Seconds that passed, and that the processor worked for us, by what was done."""

    def __init__(self) -> None:
        self.walls: dict[str, list[float]] = {}
        self.cpus: dict[str, list[float]] = {}

    def time(self, name: str, work: Callable[[], None]) -> None:
        os.sync()  # or it would wait for what was written before
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self.walls.setdefault(name, []).append(time.perf_counter() - wall)
        self.cpus.setdefault(name, []).append(time.process_time() - cpu)


def copy(url: str, origin: str, store: ObjectStore, *, hashed: bool) -> None:
    """Fetch into a store as it comes. With its SHA-256 it is what a capture is compared with."""
    with open_url("GET", url, origins=[origin], timeout_s=600, max_bytes=10**10, private_ok=True) as media:
        upload, digest = store.create("bench/plain", {}), hashlib.sha256()
        for chunk in media.chunks(BLOCK):
            if hashed:
                digest.update(chunk)
            upload.write(chunk)
        upload.commit()


def plain_file(url: str, origin: str, place: Path) -> None:
    """Fetch into a file as anybody would: write, flush, rename, flush the folder."""
    with open_url("GET", url, origins=[origin], timeout_s=600, max_bytes=10**10, private_ok=True) as media:
        with (place / "plain.part").open("wb", buffering=0) as file:
            for chunk in media.chunks(BLOCK):
                file.write(chunk)
            os.fsync(file.fileno())
        (place / "plain.part").rename(place / "plain")
        folder = os.open(place, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


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


def captured(service: Service) -> None:
    if capture.capture_due(service, service.clock(), limit=1) != 1:
        raise SystemExit("nothing was captured")


class Blank(Peaks):
    """Peaks that are not drawn."""

    def feed(self, sound: bytes | memoryview) -> bytes:
        return b""


def without_peaks(service: Service) -> None:
    drawn, outputs.Peaks = outputs.Peaks, Blank  # type: ignore[misc]
    try:
        captured(service)
    finally:
        outputs.Peaks = drawn  # type: ignore[misc]


@contextmanager
def steps() -> Iterator[dict[str, float]]:
    """When each step of a capture was reached, the last time."""
    reached: dict[str, float] = {}
    faultpoints.hook = lambda name: reached.update({name: time.perf_counter()})
    try:
        yield reached
    finally:
        faultpoints.hook = None


@contextmanager
def prepared(folder: Path, origin: str) -> Iterator[Service]:
    """A service that has captured one second already, so that nothing is measured cold."""
    (folder / "lines.toml").write_text(LINES)
    (folder / "directory.csv").write_text("phone,account,email,mobile,customer_type,language\n")
    store = {name: value for name, value in os.environ.items() if name.startswith("RECORDER_STORE__")}
    settings = load(
        store
        | {
            "RECORDER_DATA_DIR": str(folder),
            "RECORDER_PLATFORMS__STANDARD__SECRETS": SECRET,
            "RECORDER_PLATFORMS__STANDARD__MEDIA_ORIGINS": origin,
        }
    )
    with opened(settings) as service:
        announce(service, f"{origin}/wav/1", 1, "warm")
        captured(service)
        heap.settle()  # as the service does
        forget_peak()
        yield service


def forget_peak() -> None:
    """From now on, the peak is that of what follows: starting up takes more for a moment."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    status = Path("/proc/self/status").read_text("utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def main() -> None:
    rounds, seconds, port, place = sys.argv[1:]
    origin, folder = f"http://127.0.0.1:{port}", Path(place)
    url, taken = f"{origin}/wav/{seconds}", Taken()
    with prepared(folder, origin) as service:
        idle_mib, store = peak_mib(), service.vault.objects
        for number in range(int(rounds)):
            for name, hashed in (("copy", True), ("unhashed copy", False)):
                taken.time(name, lambda hashed=hashed: copy(url, origin, store, hashed=hashed))  # type: ignore[misc] -- bound now
                store.delete("bench/plain")
            taken.time("plain file", lambda: plain_file(url, origin, folder))
            (folder / "plain").unlink()
            announce(service, url, int(seconds), f"pbx-{number}")
            with steps() as reached:
                taken.time("capture", lambda: captured(service))
            audio = reached["capture.uploaded"] - reached["capture.claimed"]
            taken.walls.setdefault("audio alone", []).append(audio)
            announce(service, url, int(seconds), f"blank-{number}")
            taken.time("without peaks", lambda: without_peaks(service))
    print(
        json.dumps(
            {name: statistics.median(walls) for name, walls in taken.walls.items()}
            | {f"{name}, processor": statistics.median(cpus) for name, cpus in taken.cpus.items()}
            | {"idle_mib": idle_mib, "peak_mib": peak_mib()}
        )
    )


if __name__ == "__main__":
    main()
