"""Alerts and dashboard ask for figures that exist, and every alert says what to do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import Metrics
from recorder.ports import Service

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"


def alerts() -> list[dict[str, object]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]


def queries() -> Iterator[str]:
    yield from (str(rule["expr"]) for rule in alerts())
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "recorder.json").read_text("utf-8"))
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def test_every_figure_that_is_asked_for_exists_with_its_labels(service: Service) -> None:
    metrics = Metrics(service)
    known: dict[str, set[str]] = {}
    for collector, names in metrics._registry._collector_to_names.items():
        for name in names:
            known[name] = set(getattr(collector, "_labelnames", ())) | {"instance", "job", "le"}
    asked = 0
    for query in queries():
        for name, matchers in re.findall(r"\b(recorder_[a-z_]+)(?:\{([^}]*)\})?", query):
            assert name in known, f"{name} in {query}"
            assert set(re.findall(r"(\w+)[=!]~?\"", matchers)) <= known[name], query
            asked += 1
        for labels in re.findall(r"\b(?:by|without) \(([^)]*)\)", query):
            for label in labels.split(", "):
                assert any(label in labelnames for labelnames in known.values()), query
    assert asked > 40


def test_every_gauge_is_shown_or_alarmed_about(service: Service) -> None:
    text = Metrics(service).text().decode()
    all_queries = "\n".join(queries())

    assert [
        family.name
        for family in text_string_to_metric_families(text)
        if family.name.startswith("recorder_")
        and not family.name.endswith("_created")
        and family.name not in all_queries
    ] == []


def test_words_that_alerts_match_are_words_of_the_program() -> None:
    sources = "\n".join(
        path.read_text("utf-8") for folder in ("recorder", "storage", "api") for path in (ROOT / folder).rglob("*.py")
    )
    for query in queries():
        for label, value in re.findall(r"\b(kind|type|status)=\"([^\"]+)\"", query):
            assert label == "status" or any(f'"{one}"' in sources for one in (value, value.rpartition(".")[2])), value


def test_every_alert_has_a_paragraph_that_says_what_to_do() -> None:
    page = (ROOT / "docs" / "operating.md").read_text("utf-8")
    explained = re.findall(r"^### (Recorder\w+)$", page, re.M)

    assert [rule["alert"] for rule in alerts()] == explained
    for rule in alerts():
        annotations = rule["annotations"]
        assert isinstance(annotations, dict)
        assert annotations["runbook"] == f"docs/operating.md#{str(rule['alert']).lower()}"
        assert rule["labels"] in ({"severity": one} for one in ("critical", "warning", "info"))


def test_alerts_fire_when_they_should_and_only_then() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs promtool")
        pytest.skip("no promtool on this machine: apt-get install prometheus")
    run = subprocess.run(
        [promtool, "test", "rules", "alerts.test.yaml"], cwd=ALERTS.parent, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr
