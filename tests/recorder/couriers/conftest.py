from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.gateway import Gateway, listening


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with listening() as known:
        yield known
