"""Starting: what is made anew, and what never is."""

from __future__ import annotations

import pytest

from recorder.service import opened
from recorder.settings import Settings
from storage.errors import StoreUnavailableError
from tests.conftest import MovingClock


def test_p6_a_store_whose_volume_is_not_mounted_is_not_made_anew(settings: Settings, clock: MovingClock) -> None:
    with opened(settings, clock=clock) as service:
        pass
    objects = settings.data_dir / "objects"
    objects.rename(settings.data_dir / "unmounted")

    with opened(settings, clock=clock) as service:  # webhooks are still taken in
        assert not objects.exists()
        with pytest.raises(StoreUnavailableError):
            service.vault.objects.create("private_inbound/20261202/x", {})
        (settings.data_dir / "unmounted").rename(objects)
        service.vault.objects.create("private_inbound/20261202/x", {}).abort()
