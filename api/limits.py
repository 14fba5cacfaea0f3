"""Limits on what one address or visitor may ask for that costs us something. In memory only, never written down."""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from aiohttp import web

from api.auth import now
from api.routing import SERVICE
from recorder.errors import TooManyError
from recorder.settings import Network

ADDRESSES = 10_000  # remembered at most; to make us forget one takes as many others, each of them limited


class Allowance:
    """For each address, `at_once` in a burst and one more every second. Not thread-safe: belongs to the event loop."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._left: OrderedDict[str, tuple[float, datetime]] = OrderedDict()

    def take(self, address: str, moment: datetime) -> bool:
        """Use one up, if there is one left."""
        left, since = self._left.pop(address, (float(self._at_once), moment))
        left = min(self._at_once, left + max(0.0, (moment - since).total_seconds()))
        allowed = left >= 1
        self._left[address] = (left - 1 if allowed else left, moment)
        if len(self._left) > ADDRESSES:
            self._left.popitem(last=False)
        return allowed


OPENINGS = web.AppKey("openings", Allowance)
AT_ONCE = 300  # a whole office, or a mobile network, may share an address

STREAMS = web.AppKey("streams", Counter[str])
STREAMS_AT_ONCE = 16  # to one link; each holds a megabyte ready to be sent, or an encoder of ten megabytes


def limited(request: web.Request) -> None:
    """Raise `TooManyError` where this address has used up its openings, whether or not its link is a valid one."""
    proxies = request.app[SERVICE].settings.http.trusted_proxies
    address = caller(request.remote or "", request.headers.getall("X-Forwarded-For", []), proxies)
    if not request.app[OPENINGS].take(address, now(request)):
        raise TooManyError


@contextmanager
def one_stream_more(request: web.Request, link_id: str) -> Iterator[None]:
    """Count one stream to this link while the block runs, even unread. Raises `TooManyError` at the limit."""
    streams = request.app[STREAMS]
    if streams[link_id] >= STREAMS_AT_ONCE:
        raise TooManyError("as much is being sent already as goes to one person at once")
    streams[link_id] += 1
    try:
        yield
    finally:
        streams[link_id] -= 1
        if not streams[link_id]:
            del streams[link_id]


def caller(peer: str, forwarded: Iterable[str], proxies: Collection[Network]) -> str:
    """Who is asking: the peer, or where that is a proxy of ours, the last address in `X-Forwarded-For` that is not.

    Addresses further left are not believed: the sender may have written them. An IPv6 customer counts as a whole /64.
    """
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    address = peer
    while _is_one_of(address, proxies) and hops:
        address = hops.pop()
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


def _is_one_of(address: str, networks: Collection[Network]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)
