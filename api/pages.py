"""Server-rendered pages: one template environment per language, everything escaped, nothing inline."""

from __future__ import annotations

import hashlib
from functools import cache, partial
from importlib.resources import files
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from api import words
from api.auth import session_seconds
from api.routing import ACTOR, SAFE_METHODS, SERVICE, SESSION_ENDS
from recorder.notices import readable_phone


@cache
def environment(lang: str) -> Environment:
    """Templates of `api/templates`. `_()` and `ngettext()` translate; filters are `phone` and those of `words`."""
    env = Environment(
        loader=PackageLoader("api"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    install = env.install_gettext_callables  # type: ignore[attr-defined]  # the i18n extension adds it
    install(partial(words.translate, lang), partial(words.translate_plural, lang), newstyle=True)
    env.policies["ext.i18n.trimmed"] = True
    env.filters.update(words.filters(lang), phone=readable_phone)
    env.globals.update(lang=lang, languages=words.LANGUAGES, asset=asset)
    return env


def render(
    request: web.Request, template: str, lang: str | None = None, *, status: int = 200, **context: Any
) -> web.Response:
    """A page of `api/templates`. Without `lang`, in the language the request asks for; a choice by `?lang=` is kept.

    Templates also see `organisation`, `switch` (to the other language, or None), `role` (of whoever is signed in)
    and `session_seconds` (until they are logged out, or None).
    """
    lang = lang or words.language(request)
    service = request.app[SERVICE]
    text = (
        environment(lang)
        .get_template(template)
        .render(
            {
                "organisation": service.settings.organisation,
                "switch": _switch(request, lang),
                "role": actor.role if (actor := request.get(ACTOR)) else None,
                "session_seconds": session_seconds(request) if SESSION_ENDS in request else None,
                **context,
            }
        )
    )
    response = web.Response(text=text, content_type="text/html", status=status)
    response.headers["Vary"] = "Accept-Language, Cookie"
    if request.query.get("lang") in words.LANGUAGES:
        response.set_cookie(
            words.COOKIE,
            lang,
            path="/",
            max_age=365 * 86_400,
            secure=service.settings.http.secure,
            httponly=True,
            samesite="Strict",
        )
    return response


def _switch(request: web.Request, lang: str) -> dict[str, str] | None:
    """The other language and this page's address in it; None for a page that only a posted form leads to."""
    if request.method not in SAFE_METHODS and not _can_be_got(request):
        return None
    other = "en" if lang == "da" else "da"
    return {"lang": other, "href": "?" + request.rel_url.update_query(lang=other).raw_query_string}


def _can_be_got(request: web.Request) -> bool:
    """Whether the address that a form is posted to also answers GET."""
    resource = request.match_info.route.resource
    return resource is not None and any(route.method == "GET" for route in resource)


def asset(name: str) -> str:
    """The address of a file of `api/static`, with its fingerprint in the query, so that it may be cached for good."""
    return f"/static/{name}?v={fingerprint(name)}"


@cache
def fingerprint(name: str) -> str:
    return hashlib.sha256(files("api").joinpath("static", name).read_bytes()).hexdigest()[:12]
