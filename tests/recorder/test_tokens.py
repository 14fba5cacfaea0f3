import re
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import pytest

from recorder import sweep, tokens
from recorder.actors import SYSTEM, Actor
from recorder.errors import InvalidInputError, NotFoundError, UnauthenticatedError
from recorder.ports import Service
from storage import audit
from storage.catalogue import sessions
from tests.recorder.logged import logged
from tests.rows import written_down

NOW = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)


@pytest.mark.parametrize("role", tokens.ROLES)
def test_a_token_says_who_it_is(service: Service, role: str) -> None:
    text, info = tokens.create(service, role, "Anna", NOW, actor=SYSTEM)

    assert re.fullmatch(rf"rec_{role}_[A-Za-z0-9_-]{{43}}", text)
    assert tokens.authenticate(service, text, NOW) == Actor(info.id, role)
    assert tokens.holder(service, info.id, NOW) == Actor(info.id, role)


def test_p4_a_token_is_nowhere_but_with_its_holder(service: Service) -> None:
    text, _ = tokens.create(service, "dpo", "Anna", NOW, actor=SYSTEM)

    secret = text.removeprefix("rec_dpo_").encode()
    kept = written_down(service)
    assert b"token.created" in kept
    assert secret not in kept
    assert secret.decode() not in "".join(audit.export(service.database))


def test_a_token_ends_at_its_second(service: Service) -> None:
    text, info = tokens.create(service, "reviewer", "Bo", NOW, days=1, actor=SYSTEM)
    end = NOW + timedelta(days=1)

    assert info.expires_at == end
    assert tokens.authenticate(service, text, end - timedelta(microseconds=1)).id == info.id
    with pytest.raises(UnauthenticatedError):
        tokens.authenticate(service, text, end)


def test_p4_a_revoked_token_opens_nothing_and_its_sessions_end(service: Service) -> None:
    text, info = tokens.create(service, "dpo", "Anna", NOW, actor=SYSTEM)
    _, other = tokens.create(service, "dpo", "Bo", NOW + timedelta(seconds=1), actor=SYSTEM)
    with service.database.write() as connection:
        cookies = [
            sessions.start(connection, kind="staff", now=NOW, expires_at=NOW + timedelta(hours=1), token_id=token.id)[0]
            for token in (info, other)
        ]

    tokens.revoke(service, info.id, NOW, actor=SYSTEM)
    tokens.revoke(service, info.id, NOW + timedelta(minutes=1), actor=SYSTEM)

    with pytest.raises(UnauthenticatedError):
        tokens.authenticate(service, text, NOW)
    with pytest.raises(UnauthenticatedError):
        tokens.holder(service, info.id, NOW)
    with service.database.read() as connection:
        found = [sessions.find(connection, cookie, NOW) for cookie in cookies]
    assert found[0] is None
    assert found[1] is not None
    assert [token.revoked_at for token in tokens.list_tokens(service)] == [NOW, None]


@pytest.mark.parametrize("text", ["", "rec_dpo_", "rec_dpo_" + "A" * 43, "x" * 10_000, "rec_dpo_\udc80", "rec\0"])
def test_what_is_no_token_is_refused(service: Service, text: str) -> None:
    tokens.create(service, "dpo", "Anna", NOW, actor=SYSTEM)

    with pytest.raises(UnauthenticatedError):
        tokens.authenticate(service, text, NOW)


@pytest.mark.parametrize(("role", "days"), [("customer", 90), ("system", 90), ("", 90), ("dpo", 0), ("dpo", 366)])
def test_bad_wishes_are_refused(service: Service, role: str, days: int) -> None:
    with pytest.raises(InvalidInputError):
        tokens.create(service, role, "Anna", NOW, days, actor=SYSTEM)

    assert tokens.list_tokens(service) == []


def test_revoking_an_unknown_token_is_an_error(service: Service) -> None:
    with pytest.raises(NotFoundError):
        tokens.revoke(service, "tok_unknown", NOW, actor=SYSTEM)


def test_p5_making_and_revoking_are_in_the_record(service: Service) -> None:
    _, info = tokens.create(service, "agent", "Carla", NOW, actor=Actor("tok_admin", "operator"))
    tokens.revoke(service, info.id, NOW, actor=SYSTEM)

    with closing(audit.export(service.database)) as lines:
        entries = "".join(line for line in lines if info.id in line)

    assert entries.count('"type":"token.created"') == entries.count('"type":"token.revoked"') == 1
    assert "Carla" not in entries


@pytest.mark.parametrize("failing", [False, True])
def test_a_token_for_one_act_of_our_own_ends_with_it_and_leaves_no_row(service: Service, failing: bool) -> None:
    with suppress(ConnectionError), tokens.lent(service, "platform", "canary", actor=SYSTEM) as text:
        actor = tokens.authenticate(service, text, service.clock())
        assert actor.role == "platform"
        if failing:
            raise ConnectionError

    with pytest.raises(UnauthenticatedError):
        tokens.authenticate(service, text, service.clock())
    assert tokens.list_tokens(service) == []
    for kind in ("token.created", "token.revoked"):
        assert [(one["actor"], one["subject"]) for one in logged(service, kind)] == [(SYSTEM.id, actor.id)]


def test_whose_a_token_was_is_forgotten_a_year_after_its_end(service: Service) -> None:
    tokens.create(service, "reviewer", "Anna", NOW, days=30, actor=SYSTEM)
    _, revoked = tokens.create(service, "agent", "Bo", NOW, days=365, actor=SYSTEM)
    tokens.revoke(service, revoked.id, NOW + timedelta(days=40), actor=SYSTEM)
    left = []
    for days in (394, 396, 406):
        sweep.sweep(service, NOW + timedelta(days=days), unattended=False)
        left.append({one.name for one in tokens.list_tokens(service)})

    assert left == [{"Anna", "Bo"}, {"Bo"}, set()]
