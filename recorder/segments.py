"""Which announced class a call belongs to."""

from __future__ import annotations

SEGMENTS = ("private_inbound", "business_inbound", "private_outbound_sales", "business_outbound_sales")
CUSTOMER_TYPES = ("private", "business")
CALL_KINDS = ("service", "sales")


def segment_of(direction: str | None, customer_type: str | None, call_kind: str | None) -> str | None:
    """The announced class of a call, or None: a call of no announced class is not recorded.

    An outbound call is announced only as a sales call; an inbound one whatever it is about.
    """
    if customer_type not in CUSTOMER_TYPES:
        return None
    if direction == "inbound":
        return f"{customer_type}_inbound"
    if direction == "outbound" and call_kind == "sales":
        return f"{customer_type}_outbound_sales"
    return None
