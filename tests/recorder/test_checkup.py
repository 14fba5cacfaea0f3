from __future__ import annotations

from recorder.checkup import examine
from recorder.ports import Service
from tests.conftest import MovingClock


def _levels(service: Service, clock: MovingClock) -> dict[str, str]:
    return {finding.part: finding.level for finding in examine(service, clock()) if finding.level != "warning"}


def test_a_good_house_has_no_fault_and_keeps_nothing_of_the_probe(service: Service, clock: MovingClock) -> None:
    levels = _levels(service, clock)

    assert set(levels.values()) == {"ok"}
    assert list(service.vault.objects.keys("doctor/")) == []


def test_warns_of_keys_beside_what_they_open(service: Service, clock: MovingClock) -> None:
    warned = [finding.text for finding in examine(service, clock()) if finding.level == "warning"]

    assert any("mirror" in text for text in warned)
    assert any("snapshot" in text for text in warned)


def test_names_a_clock_that_went_back(service: Service, clock: MovingClock) -> None:
    service.keyring.ensure(clock())
    clock.advance(days=-1)

    assert _levels(service, clock)["clock"] == "fault"


def test_names_a_folder_others_may_look_into(service: Service, clock: MovingClock) -> None:
    service.settings.data_dir.chmod(0o755)

    assert _levels(service, clock)["data folder"] == "fault"


def test_names_a_broken_line_table_and_goes_on(service: Service, clock: MovingClock) -> None:
    service.settings.lines_path.write_text("[[line]]\nnumber = 7\n")

    levels = _levels(service, clock)

    assert levels["lines"] == "fault"
    assert levels["platforms"] == "ok"
