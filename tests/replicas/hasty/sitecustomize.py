"""Loaded by every process of the replicas under test: what takes a minute elsewhere takes three seconds here."""

import os
import traceback
from datetime import timedelta
from importlib import import_module

MINUTE, THIRD = timedelta(seconds=3), 1.0
SHORTER = {
    "recorder.capture.uploading": {"LEASE": MINUTE, "RENEW_AFTER_S": THIRD},
    "recorder.capture": {"WHILE_AWAY": timedelta(seconds=1)},
    "recorder.sources": {"LEASE": MINUTE, "FIRST_WAIT_S": 1, "LONGEST_WAIT_S": 1},
    "recorder.delivery": {"LEASE": MINUTE},
    "recorder.erasure": {"TURN": MINUTE},
    "recorder.jobs": {"RENEW_SECONDS": 1},
    "recorder.jobs.runners": {"LEASE_SECONDS": MINUTE.seconds},
    "api.worker": {"FIRST_PAUSE": THIRD, "LONGEST_PAUSE": THIRD},
}

try:
    for module, values in SHORTER.items():
        for name, value in values.items():
            getattr(import_module(module), name)  # one that has moved would be shortened nowhere
            setattr(import_module(module), name, value)
except BaseException:  # noqa: BLE001 -- Python itself would say so in a line, and start without
    traceback.print_exc()
    os._exit(1)
