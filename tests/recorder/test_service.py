"""Starting: what is made anew, and what never is."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder import checkup
from recorder.service import opened
from recorder.settings import Settings, load
from storage.errors import KeyRingMissingError, StoreUnavailableError
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


@pytest.fixture
def mirrored(environment: dict[str, str], clock: MovingClock, tmp_path: Path) -> Settings:
    """A house whose ring has been mirrored by a start."""
    settings = load(environment | {"RECORDER_KEYS__MIRROR_URL": (tmp_path / "mirror").as_uri()})
    with opened(settings, clock=clock):
        pass
    return settings


@pytest.mark.parametrize("mount_point", [False, True])
def test_p3_a_ring_whose_volume_is_not_mounted_is_not_made_anew(
    mirrored: Settings, clock: MovingClock, *, mount_point: bool
) -> None:
    ring = mirrored.data_dir / "keys"
    ring.rename(mirrored.data_dir / "unmounted")
    if mount_point:
        ring.mkdir()

    with pytest.raises(KeyRingMissingError, match="though its mirror does"), opened(mirrored, clock=clock):
        pass
    assert not ring.exists() or not list(ring.iterdir()), "a copy of keys there would outlive their day"
    (refused,) = [one for one in checkup.consult(mirrored, clock) if one.code == "start_refused"]
    assert "[key_ring_missing]" in refused.text
    assert "name the mirror as RECORDER_KEYS__URL" in refused.advice

    if mount_point:
        ring.rmdir()
    (mirrored.data_dir / "unmounted").rename(ring)
    with opened(mirrored, clock=clock) as service:
        assert service.keyring.search_keys(clock())


def test_a_ring_without_a_mirror_is_not_made_anew_either(settings: Settings, clock: MovingClock) -> None:
    (settings.data_dir / "keys").rename(settings.data_dir / "unmounted")
    settings.root_key_path.unlink()

    with pytest.raises(KeyRingMissingError), opened(settings, clock=clock):
        pass
    assert not (settings.data_dir / "keys").exists()
    assert not settings.root_key_path.exists(), "a new root key would hide the loss"


def test_a_lost_ring_lives_on_from_its_mirror_once_a_person_says_so(
    mirrored: Settings, environment: dict[str, str], clock: MovingClock, tmp_path: Path
) -> None:
    (mirrored.data_dir / "keys").rename(mirrored.data_dir / "lost")
    urls = {
        "RECORDER_KEYS__URL": (tmp_path / "mirror").as_uri(),
        "RECORDER_KEYS__MIRROR_URL": (tmp_path / "new").as_uri(),
    }

    with opened(load(environment | urls), clock=clock) as service:
        ring, mirror = service.keyring.places
        assert {*mirror.keys("")} == {*ring.keys("")} != set()
