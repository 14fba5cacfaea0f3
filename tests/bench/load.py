"""A load of prepared requests from a process of its own: closed loop for throughput, open loop for latency."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import sys
import time
from collections.abc import Iterator
from pathlib import Path

CONNECTIONS = 64  # kept open for an open loop; more are opened where the server falls behind


class Connection(asyncio.Protocol):
    """One keep-alive connection. Every request is answered without a body, or with a Content-Length."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[int] | None = None
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[int]:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = 0
        for line in head.split(b"\r\n"):
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        if len(body) < length:
            return
        self._buffer = body[length:]
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(int(head[9:12]))


async def _connections(port: int, count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]


async def closed(port: int, requests: list[bytes], count: int, expect: int) -> dict[str, float]:
    """Every connection asks again as soon as it is answered; gives requests a second."""
    connections = await _connections(port, count)
    remaining: Iterator[bytes] = iter(requests)

    async def worker(connection: Connection) -> None:
        for request in remaining:
            status = await connection.ask(request)
            if status != expect:
                raise SystemExit(f"answered {status}")

    started = time.perf_counter()
    await asyncio.gather(*(worker(connection) for connection in connections))
    return {"rps": len(requests) / (time.perf_counter() - started)}


async def opened(port: int, requests: list[bytes], rate: float, expect: int) -> dict[str, float]:
    """Requests leave on time whether or not earlier ones were answered; latency counts from the due moment."""
    free = await _connections(port, CONNECTIONS)
    latencies: list[float] = []

    async def one(request: bytes, due: float) -> None:
        connection = free.pop() if free else (await _connections(port, 1))[0]
        status = await connection.ask(request)
        latencies.append(time.perf_counter() - due)
        free.append(connection)
        if status != expect:
            raise SystemExit(f"answered {status}")

    tasks = []
    started = time.perf_counter()
    for number, request in enumerate(requests):
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(request, due)))
    await asyncio.gather(*tasks)
    ordered = sorted(latencies)
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[int(len(ordered) * 0.99)]}


def main() -> None:
    """`python -m tests.bench.load PORT REQUESTS.pickle closed|open NUMBER EXPECTED_STATUS`; prints JSON."""
    port, path, how, number, expect = sys.argv[1:]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    requests: list[bytes] = pickle.loads(Path(path).read_bytes())  # our own file
    run = (
        closed(int(port), requests, int(number), int(expect))
        if how == "closed"
        else opened(int(port), requests, float(number), int(expect))
    )
    print(json.dumps(asyncio.run(run)))


if __name__ == "__main__":
    main()
