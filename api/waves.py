"""A waveform as SVG path data: a lane per channel, one above the other. Pure."""

from __future__ import annotations

from collections.abc import Sequence

STEP = 4
LANE = 36


def paths(lanes: Sequence[Sequence[float]]) -> dict[str, object]:
    """Width and height of the drawing, and per lane a path of upright strokes around its middle line."""
    count = max((len(lane) for lane in lanes), default=0)
    drawn = [_lane(lane, LANE * (2 * number + 1) / 2) for number, lane in enumerate(lanes)]
    return {"width": count * STEP, "height": LANE * len(lanes), "lanes": drawn}


def _lane(lane: Sequence[float], middle: float) -> str:
    strokes = []
    for number, height in enumerate(lane):
        reach = max(0.5, height * (LANE / 2 - 2))
        strokes.append(f"M{number * STEP + STEP // 2} {middle - reach:.1f}V{middle + reach:.1f}")
    return "".join(strokes)
