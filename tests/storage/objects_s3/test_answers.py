"""Answers that no store should give: what says nothing is not taken for nothing, and what goes nowhere ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

import pytest

from storage.errors import StoreUnavailableError
from storage.objects_s3 import S3Store
from tests.objects import KEY
from tests.servers.loopback import answering


@dataclass
class Babbler:
    """A store that answers whatever it is asked with one and the same body."""

    store: S3Store
    body: str = ""


@pytest.fixture
def babbler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Babbler]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            sent = found.body.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

    with answering(Handler) as origin:
        found = Babbler(S3Store("x", endpoint_url=origin, region="eu-north-1"))
        yield found


def more(name: str, *told: str) -> str:
    """A listing that has more to say, and names where it goes on."""
    return f"<{name}><IsTruncated>true</IsTruncated>{''.join(told)}</{name}>"


MARKED = "<NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"
BEHIND = "<NextKeyMarker>private_inbound/20261202/0f1e2</NextKeyMarker>"
NO_DATE = "<ListVersionsResult><Version><Key>a</Key><LastModified>never</LastModified></Version></ListVersionsResult>"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<ListVersionsResult></ListVersionsResult>",
        NO_DATE,
        more("ListVersionsResult"),
        more("ListVersionsResult", MARKED),
        more("ListVersionsResult", BEHIND),
    ],
)
def test_p3_an_answer_that_is_no_listing_says_nothing_is_gone(babbler: Babbler, body: str) -> None:
    babbler.body = body

    with pytest.raises(StoreUnavailableError):
        babbler.store.remaining(KEY)
    with pytest.raises(StoreUnavailableError):
        babbler.store.delete(KEY)


@pytest.mark.parametrize(
    "body",
    [
        "",
        more("ListBucketResult"),
        more("ListBucketResult", "<NextContinuationToken>x</NextContinuationToken>"),
        "<ListBucketResult><Contents><Key>a</Key><Size>many</Size></Contents></ListBucketResult>",
    ],
)
def test_p3_a_listing_that_is_none_or_never_ends_is_a_store_that_is_away(babbler: Babbler, body: str) -> None:
    babbler.body = body

    with pytest.raises(StoreUnavailableError):
        list(babbler.store.keys("private_inbound/"))
