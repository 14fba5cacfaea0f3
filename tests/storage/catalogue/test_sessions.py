from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from storage.catalogue import sessions
from storage.catalogue.sessions import Session
from storage.database import Database

NOW = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_cookie_opens_its_session_until_its_second(database: Database) -> None:
    with database.write() as connection:
        token, session = sessions.start(connection, kind="link", now=NOW, expires_at=NOW + HOUR, link_id="lnk_1")

        assert session == Session(session.id, "link", "lnk_1", None, False, None, NOW, NOW + HOUR)
        assert sessions.find(connection, token, NOW + HOUR - timedelta(microseconds=1)) == session
        assert sessions.find(connection, token, NOW + HOUR) is None
        assert sessions.find(connection, session.id, NOW) is None
        assert sessions.find(connection, "", NOW) is None


def test_p4_the_row_does_not_hold_the_cookie(database: Database) -> None:
    with database.write() as connection:
        token, _ = sessions.start(connection, kind="link", now=NOW, expires_at=NOW + HOUR, link_id="lnk_1")
        row = connection.execute(text("SELECT * FROM sessions")).one()

    assert token not in repr(row)


def test_p4_a_session_whose_rights_grow_has_a_new_name(database: Database) -> None:
    with database.write() as connection:
        old, session = sessions.start(
            connection, kind="link", now=NOW, expires_at=NOW + HOUR, link_id="lnk_1", language="en"
        )

        renamed = sessions.renamed(connection, session.id, verified=True, expires_at=NOW + 2 * HOUR)

        assert renamed is not None
        token, grown = renamed
        assert sessions.find(connection, old, NOW) is None
        assert sessions.find(connection, token, NOW) == grown
        assert grown == Session(grown.id, "link", "lnk_1", None, True, "en", NOW, NOW + 2 * HOUR)
        assert grown.id != session.id
        assert sessions.renamed(connection, session.id, verified=True, expires_at=NOW + HOUR) is None


def test_a_session_is_extended_and_never_shortened(database: Database) -> None:
    with database.write() as connection:
        token, session = sessions.start(connection, kind="staff", now=NOW, expires_at=NOW + HOUR, token_id="tok_1")

        assert sessions.extend(connection, session.id, NOW + 2 * HOUR)
        assert not sessions.extend(connection, session.id, NOW + HOUR)
        assert sessions.find(connection, token, NOW + HOUR) is not None


def test_sessions_end_with_what_opened_them(database: Database) -> None:
    with database.write() as connection:
        opened = [
            sessions.start(connection, kind="link", now=NOW, expires_at=NOW + HOUR, link_id=link_id, token_id=token_id)
            for link_id, token_id in (
                ("lnk_1", None),
                ("lnk_1", None),
                ("lnk_2", None),
                (None, "tok_1"),
                (None, "tok_2"),
            )
        ]

        assert sessions.end_of_link(connection, "lnk_1") == 2
        assert sessions.end_of_token(connection, "tok_1") == 1
        sessions.end(connection, opened[2][1].id)

        alive = [sessions.find(connection, token, NOW) is not None for token, _ in opened]
        assert alive == [False, False, False, False, True]


def test_sessions_that_ran_out_are_forgotten(database: Database) -> None:
    with database.write() as connection:
        for hours in (1, 2, 3):
            sessions.start(connection, kind="staff", now=NOW, expires_at=NOW + hours * HOUR)

        assert sessions.forget_expired(connection, NOW + 2 * HOUR) == 2
