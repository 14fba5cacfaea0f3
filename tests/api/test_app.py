"""What is true of every answer of the application."""

from __future__ import annotations

import asyncio
import re
from contextlib import closing
from http.client import HTTPConnection

import pytest
from aiohttp import web

from api import problems
from api.app import all_routes
from api.headers import CONTENT_SECURITY_POLICY
from api.openapi import document
from api.routing import Roles, Route, roles, staff
from recorder.errors import RecorderError
from tests.api.conftest import House


@pytest.fixture
def database_kind() -> str:
    """What is tested here is nothing about rows."""
    return "sqlite"


def leaves(of: type[RecorderError]) -> list[type[RecorderError]]:
    return [of, *(leaf for child in of.__subclasses__() for leaf in leaves(child))]


@pytest.mark.parametrize("error", leaves(RecorderError))
def test_every_error_has_a_status(error: type[RecorderError]) -> None:
    assert problems.STATUS[error.code] in range(400, 600)


async def handler(_request: web.Request) -> web.Response:
    return web.Response()


@pytest.mark.parametrize("permission", [None, "", "anybody"])
def test_a_route_without_a_permission_cannot_be_made(permission: object) -> None:
    with pytest.raises(TypeError):
        Route("GET", "/x", handler, permission)  # type: ignore[arg-type]


def test_roles_that_do_not_exist_cannot_be_asked_for() -> None:
    for make in (roles, staff):
        with pytest.raises(TypeError):
            make("admin")
        with pytest.raises(TypeError):
            make()


async def test_no_route_answers_without_its_permission(house: House) -> None:
    """Every route of the table that asks for a role, asked without any."""
    asked = 0
    for route in all_routes(house.service):
        if isinstance(route.permission, Roles):
            path = route.path.replace("{", "").replace("}", "")
            answer = await house.client.request(route.method, path, allow_redirects=False)
            expected = 303 if route.permission.by == "cookie" and route.method == "GET" else 401
            assert (route.method, route.path, answer.status) == (route.method, route.path, expected)
            asked += 1
    assert asked > 30


async def test_the_document_says_where_a_401_asks_for_a_token_and_the_application_does_so(house: House) -> None:
    paths = document(all_routes(house.service))["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            if (said := operation["responses"].get("401")) is not None:
                answer = await house.client.request(method, path.replace("{", "").replace("}", ""))
                assert answer.status == 401, path
                asks = answer.headers.get("WWW-Authenticate")
                assert (asks == "Bearer") == ("WWW-Authenticate" in said["headers"]), path
    assert {"/metrics", "/v1/recordings", "/webhooks/events"} <= paths.keys()


async def test_no_route_of_the_api_opens_with_the_consoles_cookie_nor_the_reverse(house: House) -> None:
    await house.signed_in("dpo")
    assert (await house.client.get("/v1/recordings")).status == 401

    house.client.session.cookie_jar.clear()
    answer = await house.client.get("/console/recordings", headers=house.bearer("dpo"), allow_redirects=False)
    assert answer.status == 303


async def test_every_answer_carries_the_strict_headers(house: House) -> None:
    for path in ("/healthz", "/console/sign-in", "/v1/recordings", "/nowhere", "/static/base.css"):
        answer = await house.client.get(path)
        assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["X-Request-ID"]
        assert answer.headers["Server"] == "recorder"
        assert "Strict-Transport-Security" not in answer.headers
    assert (await house.client.get("/console/sign-in")).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("text", [b"\xff\xfe", b"\xc3\xa6", b'"\\377\\000"', b"x" * 4000])
@pytest.mark.parametrize(
    ("path", "header", "start", "status"),
    [
        ("/console/", "Cookie", b"staff=", 303),
        ("/access/recordings", "Cookie", b"access=", 404),
        ("/access/open", "Cookie", b"access=", 303),
        ("/v1/recordings", "Authorization", b"Bearer ", 401),
    ],
)
async def test_p4_what_nobody_was_given_opens_nothing(
    house: House, path: str, header: str, start: bytes, status: int, text: bytes
) -> None:
    """Whatever bytes it is made of, and it is no fault of ours. aiohttp's own client cannot send all of them."""

    def asked() -> int:
        with closing(HTTPConnection(house.client.host, house.client.port or 0)) as connection:
            connection.request("GET", path, headers={header: start + text})
            return connection.getresponse().status

    assert await asyncio.to_thread(asked) == status


async def test_unknown_routes_and_wrong_methods_are_problems(house: House) -> None:
    answer = await house.client.get("/v1/nowhere")
    body = await answer.json(content_type="application/problem+json")
    assert (answer.status, body["code"], body["status"]) == (404, "not_found", 404)
    assert body["request_id"] == answer.headers["X-Request-ID"]

    answer = await house.client.put("/v1/recordings")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET"
    assert (await answer.json(content_type="application/problem+json"))["code"] == "method_not_allowed"


async def test_people_get_a_page_in_their_language(house: House) -> None:
    for language, words in (("da", "Siden findes ikke"), ("en", "There is nothing here")):
        answer = await house.client.get("/lost", headers={"Accept": "text/html", "Accept-Language": language})
        assert answer.status == 404
        assert words in await answer.text()


@pytest.mark.parametrize(
    ("lost", "way"), [("/console/nowhere", "/console/"), ("/access/nowhere", "/access/recordings"), ("/lost", None)]
)
async def test_who_is_lost_is_shown_a_way_on(house: House, lost: str, way: str | None) -> None:
    text = await (await house.client.get(lost, headers={"Accept": "text/html"})).text()

    found = re.search(r'<a class="button" href="([^"]+)"', text)
    assert (found and found[1]) == way


async def test_a_request_id_is_kept_when_it_is_harmless_and_replaced_when_not(house: House) -> None:
    kept = await house.client.get("/healthz", headers={"X-Request-ID": "abcdef12-3"})
    replaced = await house.client.get("/healthz", headers={"X-Request-ID": "<script>"})

    assert kept.headers["X-Request-ID"] == "abcdef12-3"
    assert "<" not in replaced.headers["X-Request-ID"]


async def test_get_routes_do_not_answer_head_unless_they_say_so(house: House) -> None:
    assert (await house.client.head("/healthz")).status == 200
    assert (await house.client.head("/console/sign-in")).status == 405
    assert (await house.client.head("/v1/recordings", headers=house.bearer("dpo"))).status == 405


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"queue": NaN}',
        b'{"limit": Infinity}',
        b'{"limit": 1e999}',
        b'{"limit": ' + b"9" * 5000 + b"}",
        b'{"queue": "a", "queue": "b"}',
        b'{"queue": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"queue": "a\\u0000b"}',
        '{"queue": "a"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"queue": "a"}',
    ],
)
async def test_bodies_that_are_no_json_object_are_400(house: House, body: bytes) -> None:
    answer = await house.client.post("/v1/recordings/search", data=body, headers=house.bearer("dpo"))
    assert answer.status == 400
    assert (await answer.json(content_type="application/problem+json"))["code"] == "invalid_input"


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_too_large_is_413_declared_or_not(house: House, declared: bool) -> None:
    size = house.service.settings.http.max_body_bytes + 1

    async def pieces():
        yield b"x" * size

    data = b"x" * size if declared else pieces()
    answer = await house.client.post("/v1/recordings/search", data=data, headers=house.bearer("dpo"))
    assert answer.status == 413
    assert (await answer.json(content_type="application/problem+json"))["code"] == "too_large"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 401),
        ({"Sec-Fetch-Site": "none"}, 401),
        ({"Origin": "http://127.0.0.1:8080"}, 401),
        ({}, 401),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8080"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_unsafe_methods_refuse_other_sites(house: House, headers: dict[str, str], status: int) -> None:
    answer = await house.client.post("/console/sign-in", data={"token": "x"}, headers=headers)
    assert answer.status == status


async def test_health_readiness_and_figures(house: House) -> None:
    assert (await (await house.client.get("/healthz")).json()) == {"status": "ok"}
    ready = await house.client.get("/readyz")
    assert (ready.status, (await ready.json())["checks"]) == (200, {"database": "ok", "keys": "ok"})

    assert (await house.client.get("/metrics", headers=house.bearer("dpo"))).status == 403
    figures = await (await house.client.get("/metrics", headers=house.bearer("operator"))).text()
    assert 'recorder_http_requests_total{method="GET",route="/healthz",status="200"} 1.0' in figures
    assert "recorder_erasures_overdue 0.0" in figures


async def test_figures_carry_no_path_that_was_typed(house: House) -> None:
    await house.client.get("/+4520123456")
    await house.client.request("SECRET", "/healthz")

    figures = await (await house.client.get("/metrics", headers=house.bearer("operator"))).text()
    assert "20123456" not in figures
    assert "SECRET" not in figures


async def test_static_files_are_cached_for_good_only_under_their_fingerprint(house: House) -> None:
    page = await (await house.client.get("/console/sign-in")).text()
    address = page.partition('href="/static/base.css')[2].partition('"')[0]

    fixed = await house.client.get("/static/base.css" + address)
    loose = await house.client.get("/static/base.css?v=other")
    assert "immutable" in fixed.headers["Cache-Control"]
    assert loose.headers["Cache-Control"] == "no-cache"
    assert (await house.client.get("/static/..%2fapp.py")).status == 404


async def test_no_page_links_to_another_house(house: House) -> None:
    """`//evil.example/access` is a path here, and an address of somebody else's in a link."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.client.port)
    writer.write(b"GET //evil.example/access?a=1 HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
    page = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()

    assert 'href="?a=1&amp;lang=en"' in page
    assert "evil.example" not in page
