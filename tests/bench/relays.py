"""`python -m tests.bench.relays FILE [ENDPOINT REGION BUCKET KEY]`: prints its port, and serves plain bytes to anybody.

`/file` is aiohttp's own answer with a file, sent by the kernel unless `AIOHTTP_NOSENDFILE` is set; `/object` passes an
object of a bucket on, as simply as that can be done.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import boto3
from aiohttp import web

from tests.bench.serving import forever

BLOCK = 1 << 18

FILE = web.AppKey("file", str)
FETCH = web.AppKey("fetch", Any)


async def file(request: web.Request) -> web.FileResponse:
    return web.FileResponse(request.app[FILE])


async def relay(request: web.Request) -> web.StreamResponse:
    """One block is fetched while the one before is on its way."""
    found = await asyncio.to_thread(request.app[FETCH])
    response = web.StreamResponse()
    response.content_length = found["ContentLength"]
    await response.prepare(request)
    coming = asyncio.create_task(asyncio.to_thread(found["Body"].read, BLOCK))
    while block := await coming:
        coming = asyncio.create_task(asyncio.to_thread(found["Body"].read, BLOCK))
        await response.write(block)
    return response


def main() -> None:
    path, *place = sys.argv[1:]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    app = web.Application()
    app[FILE] = path
    app.router.add_get("/file", file)
    if place:
        endpoint, region, bucket, key = place
        client = boto3.client("s3", endpoint_url=endpoint, region_name=region)
        app[FETCH] = lambda: client.get_object(Bucket=bucket, Key=key)
        app.router.add_get("/object", relay)
    forever(app)


if __name__ == "__main__":
    main()
