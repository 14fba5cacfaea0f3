"""Which answers of a store would break a promise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from storage.probe import StoreTruth, ring_faults, store_doubts, store_faults

GOOD = StoreTruth("bucket b", backstop=("private_inbound/",))
CEPH = replace(GOOD, conditional_writes=False, conditional_multipart=False, tags_multipart=False, region="default")


def faults(truth: StoreTruth, region: str = "eu-north-1") -> tuple[list[str], list[str]]:
    return list(store_faults(truth, region=region)), list(ring_faults(truth, region=region))


def test_a_store_that_does_what_it_is_asked_is_fit_for_both() -> None:
    assert faults(GOOD) == ([], [])
    assert faults(CEPH) == ([], [])  # what is lost is set again, what is ignored is not relied on
    assert list(store_doubts(GOOD, ("private_inbound/",))) == []


@pytest.mark.parametrize(
    ("answer", "store", "ring"),
    [
        ({"ranges": False}, 1, 0),
        ({"tags_single": False, "tags_later": False}, 1, 0),
        ({"tags_multipart": False, "tags_later": False}, 1, 0),
        ({"tags_single": False}, 0, 0),
        ({"uploads_listed": False}, 1, 0),
        ({"deletes_for_good": False}, 1, 1),
        ({"object_lock": True}, 1, 1),
        ({"object_lock": None, "replicated": None}, 0, 0),
        ({"versioning": "on"}, 0, 1),
        ({"versioning": "suspended"}, 0, 1),
        ({"replicated": True}, 0, 1),
        ({"public": True}, 1, 1),
        ({"strangers": ("theirs",)}, 1, 0),
        ({"aws": True, "region": "us-east-1"}, 2, 2),  # outside, and not as configured
        ({"aws": True, "region": "eu-west-1"}, 1, 1),
        ({"aws": True, "region": "eu-north-1"}, 0, 0),
        ({"aws": True, "region": None}, 0, 0),
        ({"region": "default"}, 0, 0),
    ],
)
def test_p3_what_would_break_a_promise_is_a_fault(answer: dict[str, Any], store: int, ring: int) -> None:
    found = faults(replace(GOOD, **answer))
    assert (len(found[0]), len(found[1])) == (store, ring)


@pytest.mark.parametrize(
    "answer",
    [
        {"backstop": None},
        {"backstop": ()},
        {"versioning": "on"},
        {"replicated": True},
        {"object_lock": None},
        {"conditional_writes": False},
    ],
)
def test_what_is_worth_knowing_is_a_doubt(answer: dict[str, Any]) -> None:
    assert len(list(store_doubts(replace(GOOD, **answer), ("private_inbound/",)))) == 1
