"""Who a number belongs to: by file, by HTTPS, and what happens when neither answers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from recorder import directory as directories
from recorder.directory import CsvDirectory, HttpsDirectory, directory_for
from recorder.errors import ConfigurationError, DirectoryUnavailableError
from recorder.ports import Customer
from recorder.settings import Settings
from tests.rewriting import rewriting

HEADER = "phone,account,email,mobile,customer_type,language\n"
ANNA = Customer("+4520123456", "A-1", "anna@example.com", "+4520123499", "private", "en")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    return rewriting(tmp_path / "directory.csv")


def test_customers_are_found_by_number_and_account(write: Callable[[str], Path]) -> None:
    rows = "20 12 34 56,A-1,anna@example.com,+4520123499,private,en\n+4520123457,,,,,\n"
    directory = CsvDirectory(write("\ufeff" + HEADER + rows))

    assert directory.by_phone("+4520123456") == directory.by_account("A-1") == ANNA
    assert directory.by_phone("+4520123457") == Customer("+4520123457", None, None, None, None, "da")
    assert directory.by_phone("+4599999999") is None
    assert directory.by_account("") is None


def test_odd_values_are_nothing_rather_than_wrong(write: Callable[[str], Path]) -> None:
    rows = "+4520123456,A-1,a@b@c,mobile,vip,de\nnobody,A-2,,,,\n+4520123456,A-3,x@example.com,,,\n"
    directory = CsvDirectory(write(HEADER + rows))

    assert directory.by_phone("+4520123456") == Customer("+4520123456", "A-1", None, None, None, "da")
    assert directory.by_account("A-2") is None


def test_a_changed_file_is_read_anew_and_no_file_is_nobody(tmp_path: Path, write: Callable[[str], Path]) -> None:
    directory = CsvDirectory(tmp_path / "directory.csv")
    assert directory.by_phone("+4520123456") is None

    write(HEADER + "+4520123456,A-1,,,,\n")
    found = directory.by_phone("+4520123456")
    write(HEADER + "+4520123456,A-9,,,,\n")
    moved = directory.by_phone("+4520123456")
    (tmp_path / "directory.csv").unlink()

    assert found is not None
    assert found.account == "A-1"
    assert moved is not None
    assert moved.account == "A-9"
    assert directory.by_account("A-1") is None
    assert directory.by_phone("+4520123456") is None


class Watched(type(Path())):  # type: ignore[misc]  # which kind of path depends on the system
    """A file that opens once four have looked at it, and remembers how often it was opened."""

    looks = opens = 0
    all_looked = Event()

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        Watched.looks += 1
        if Watched.looks == 4:
            Watched.all_looked.set()
        found: os.stat_result = super().stat(follow_symlinks=follow_symlinks)
        return found

    def open(self, *arguments: Any, **options: Any) -> Any:
        Watched.opens += 1
        Watched.all_looked.wait(5)
        return super().open(*arguments, **options)


def test_a_changed_file_is_read_once_however_many_ask_meanwhile(write: Callable[[str], Path]) -> None:
    directory = CsvDirectory(Watched(write(HEADER + "+4520123456,A-1,,,,\n")))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(directory.by_phone, ["+4520123456"] * 4))

    assert [one and one.account for one in found] == ["A-1"] * 4
    assert Watched.opens == 1


@pytest.mark.parametrize("content", [b"", b"phone,account\n", HEADER.encode() + b'"' + b"x" * 200_000, b"\xff\xfe"])
def test_a_file_that_is_none_is_an_outage_and_not_an_empty_directory(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "directory.csv"
    path.write_bytes(content)

    with pytest.raises(DirectoryUnavailableError):
        CsvDirectory(path).by_phone("+4520123456")


class Endpoint:
    """A directory by HTTP: answers what it was told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.answer = 200, b""
        self.asked: list[tuple[Any, str | None]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.asked.append((json.loads(body), self.headers.get("Authorization")))
                self.send_response(endpoint.status)
                self.send_header("Content-Length", str(len(endpoint.answer)))
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(endpoint.answer)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign] -- we hang up on purpose
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/customers"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    thread = Thread(target=endpoint.server.serve_forever, args=(0.01,))
    thread.start()
    yield endpoint
    endpoint.server.shutdown()
    thread.join()
    endpoint.server.server_close()


def test_the_endpoint_is_asked_once_for_a_burst(endpoint: Endpoint) -> None:
    endpoint.answer = json.dumps(vars(ANNA)).encode()
    directory = HttpsDirectory(endpoint.url, "t0ken")

    found = [directory.by_phone("+4520123456") for _ in range(3)] + [directory.by_account("A-1")]

    assert found == [ANNA] * 4
    assert endpoint.asked == [
        ({"phone": "+4520123456"}, "Bearer t0ken"),
        ({"account": "A-1"}, "Bearer t0ken"),
    ]


def test_nobody_is_404_or_null(endpoint: Endpoint) -> None:
    directory = HttpsDirectory(endpoint.url, None)
    endpoint.answer = b"null"
    by_null = directory.by_phone("+4520123456")
    endpoint.status, endpoint.answer = 404, b"<html>"
    by_404 = directory.by_phone("+4520123457")

    assert (by_null, by_404) == (None, None)
    assert endpoint.asked[0][1] is None


@pytest.mark.parametrize(
    ("status", "answer"),
    [(500, b""), (302, b""), (200, b""), (200, b"<html>"), (200, b"[]"), (200, b"{}"),
     (200, b"[" * 60_000), (200, b" " * 70_000)],
)  # fmt: skip
def test_an_answer_that_is_none_is_an_outage_and_not_kept(endpoint: Endpoint, status: int, answer: bytes) -> None:
    directory = HttpsDirectory(endpoint.url, None)
    endpoint.status, endpoint.answer = status, answer

    for _ in range(2):
        with pytest.raises(DirectoryUnavailableError):
            directory.by_phone("+4520123456")

    assert len(endpoint.asked) == 2


def test_a_directory_that_is_away_is_an_outage(endpoint: Endpoint) -> None:
    endpoint.server.server_close()

    with pytest.raises(DirectoryUnavailableError) as outage:
        HttpsDirectory(endpoint.url, None).by_phone("+4520123456")

    assert "20123456" not in str(outage.value)


def test_the_cache_has_an_end_and_forgets_the_oldest(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "CACHE_SIZE", 2)
    endpoint.answer = b"null"
    directory = HttpsDirectory(endpoint.url, None)

    for number in "1232231":
        directory.by_phone(f"+452012345{number}")

    assert [question["phone"][-1] for question, _ in endpoint.asked] == ["1", "2", "3", "1"]


def test_settings_choose_the_directory(tmp_path: Path) -> None:
    def chosen(**directory: str) -> object:
        return directory_for(Settings.model_validate({"data_dir": tmp_path, "directory": directory}))

    assert isinstance(chosen(), CsvDirectory)
    assert isinstance(chosen(url=(tmp_path / "x.csv").as_uri()), CsvDirectory)
    assert isinstance(chosen(url=str(tmp_path / "x.csv")), CsvDirectory)
    assert isinstance(chosen(url="http://127.0.0.1:1/customers"), HttpsDirectory)
    assert isinstance(chosen(url="https://crm.example/customers", country="DK"), HttpsDirectory)
    for wrong in ("http://crm.example/customers", "ftp://crm.example/"):
        with pytest.raises(ConfigurationError):
            chosen(url=wrong, country="DK")
