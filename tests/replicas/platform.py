"""A telephony platform: tells of calls by signed webhooks, and repeats each until it is taken."""

from __future__ import annotations

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.conftest import STANDARD_SECRET
from tests.recorder.exchange import Exchange
from tests.recorder.sounds import noise, wav

AT_ONCE = 8
PATIENCE_SECONDS = 60.0
ANSWER_SECONDS = 3.0  # after which a platform takes a webhook for lost


@dataclass
class Platform:
    """`taken` are the ids of webhooks that were answered 204."""

    port: int
    media: Exchange
    random: Random
    taken: list[str] = field(default_factory=list)

    def calls(self, granted: int, refused: int, seconds: float) -> None:
        """Calls with a yes and calls with a no, spread over so many seconds; returns when all is told and taken."""
        answers = ["granted"] * granted + ["refused"] * refused
        self.random.shuffle(answers)
        pauses = [self.random.uniform(0, 2 * seconds * AT_ONCE / len(answers) / 5) for _ in answers]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            told = [pool.submit(self._call, *one) for one in zip(count(), answers, pauses, strict=False)]
        for one in told:
            one.result()

    def _call(self, number: int, answer: str, pause: float) -> None:
        name, began = f"pbx-{number}", datetime.now(UTC) - timedelta(seconds=20)
        whole = {"direction": "inbound", "from": "+4520123456", "to": "+4570123456", "customer_type": "private"}
        recording = {"recording_id": f"r-{number}"}
        path = f"/{number}.wav"
        self.media.recordings[path] = sound(number)
        available = {"url": self.media.origin + path, "started_at": (began + timedelta(seconds=2)).isoformat()}
        self._tell(f"{name}-1", "call.started", name, began, whole)
        for at, (kind, data) in enumerate(
            [
                (f"consent.{answer}", {"method": "dtmf", "digit": "1", "script": "inbound-da@1"}),
                ("recording.started", recording),
                ("call.ended", {}),
                ("recording.available", recording | available),
            ],
            start=1,
        ):
            time.sleep(pause)
            self._tell(f"{name}-{at + 1}", kind, name, began + timedelta(seconds=at), data)

    def _tell(self, key: str, kind: str, call: str, at: datetime, data: dict[str, Any]) -> None:
        body = json.dumps({"type": kind, "timestamp": at.isoformat(), "data": {"call_id": call, **data}})
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._posted(key, body):
            assert time.monotonic() < deadline, f"nobody takes {key}"
            time.sleep(0.1)
        self.taken.append(key)

    def _posted(self, key: str, body: str) -> bool:
        now = datetime.now(UTC)
        headers = {
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(STANDARD_SECRET).sign(key, now, body),
        }
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            line.request("POST", "/webhooks/events", body, headers)
            return line.getresponse().status == 204
        except (OSError, http.client.HTTPException):
            return False
        finally:
            line.close()


def sound(number: int) -> bytes:
    """A second that is nobody else's."""
    return wav(noise(Random(number), 1, channels=1))
