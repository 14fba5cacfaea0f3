"""What a million recordings make slow, if anything: finding one number among them, and sweeping a thousand."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

from recorder.service import opened
from recorder.settings import load
from tests.bench import crowd, finding, sweeping
from tests.bench.figures import Figure
from tests.bench.places import places


def figures() -> Iterator[Figure]:
    for place in places():
        os.environ.update(place.credentials)
        with (
            tempfile.TemporaryDirectory() as folder,
            opened(load({"RECORDER_DATA_DIR": folder} | place.settings)) as service,
        ):
            crowd.fill(service.database, service.clock())
            yield finding.measured(service, place)
            yield sweeping.idle(service, place)
            yield sweeping.measured(service, place)
