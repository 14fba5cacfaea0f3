"""Where we are, as browsers say it."""

from __future__ import annotations

from urllib.parse import urlsplit


def origin(url: str) -> str:
    """Scheme and authority of a URL, as browsers send it in `Origin`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
