"""The four announced classes."""

from __future__ import annotations

from recorder.segments import SEGMENTS, segment_of


def test_p1_only_announced_classes_have_a_name() -> None:
    named = {
        (direction, customer_type, call_kind): segment_of(direction, customer_type, call_kind)
        for direction in ("inbound", "outbound", None, "sideways")
        for customer_type in ("private", "business", None, "vip")
        for call_kind in ("service", "sales", None, "other")
    }

    assert set(named.values()) == {*SEGMENTS, None}
    assert named["inbound", "private", None] == named["inbound", "private", "sales"] == "private_inbound"
    assert named["inbound", "business", "service"] == "business_inbound"
    assert named["outbound", "private", "sales"] == "private_outbound_sales"
    assert named["outbound", "business", "sales"] == "business_outbound_sales"
    assert not any(
        segment for (direction, _, kind), segment in named.items() if direction == "outbound" and kind != "sales"
    )
    assert not any(segment for (direction, _, _), segment in named.items() if direction in {None, "sideways"})
    assert not any(segment for (_, customer_type, _), segment in named.items() if customer_type in {None, "vip"})
