"""A sweep of a thousand among a million, against hand-written SQL and store calls that remove the same."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection

from recorder import sweep
from recorder.ports import Service
from storage.catalogue import sweeping as catalogue
from tests.bench import crowd
from tests.bench.figures import Figure, alternated, ratio
from tests.bench.places import Place

BATCH = 1000
WAVE = 2 * BATCH  # swept at once
ROUNDS = 3
LIMIT = 1.4
OBJECT = bytes(1000)


def measured(service: Service, place: Place) -> Figure:
    """Measure in a database that `crowd` has filled."""
    with service.database.read() as connection:
        waves = [crowd.take(connection, at * WAVE, WAVE) for at in range(2 * ROUNDS)]
    for wave in waves:
        _put(service, place, wave)
    hands = iter(waves)

    def ours() -> float:
        wave = next(hands)
        _make_due(service, wave)
        started = time.perf_counter()
        report = sweep.sweep(service, service.clock(), unattended=False)
        seconds = time.perf_counter() - started
        assert report.erased == len(wave), report
        return seconds

    def raw() -> float:
        wave = next(hands)
        _make_due(service, wave)
        started = time.perf_counter()
        for _ in range(WAVE // BATCH):
            by_hand(service)
        return time.perf_counter() - started

    by_hand_s, sweep_s = (taken * BATCH / WAVE for taken in alternated(ROUNDS, raw, ours))
    return ratio(
        f"sweep per {BATCH} of {crowd.COUNT:,}, {place.name}",
        (sweep_s, f"{sweep_s * 1000:,.0f} ms"),
        (by_hand_s, f"{by_hand_s * 1000:,.0f} ms, the same by SQL and store calls alone"),
        LIMIT,
    )


def idle(service: Service, place: Place) -> Figure:
    """A look for what is due where nothing is: from this a schedule that looks often gets its price."""

    def looked() -> float:
        with service.database.read() as connection:
            started = time.perf_counter()
            found = catalogue.due_ids(connection, service.clock(), BATCH)
            taken = time.perf_counter() - started
        assert not found
        return taken

    (taken,) = alternated(101, looked)
    told = f"{crowd.COUNT:,} recordings, none due"
    return Figure(f"a look for what is due, {place.name}", f"{taken * 1000:.2f} ms", told, taken * 1000, 1.0)


def by_hand(service: Service) -> None:
    """Make the changes that a sweep makes, but check nothing twice, hash nothing and tell nobody."""
    now = crowd.micros(service.clock())
    with service.database.write() as connection:
        hand = Hand(connection)
        ids = hand.column(
            "SELECT id FROM recordings WHERE state = 'stored' AND holds = 0 AND expires_at <= ? "
            f"ORDER BY expires_at LIMIT {BATCH}",
            [now],
        )
        calls = hand.column(f"SELECT call_id FROM recordings WHERE id IN {hand.marks(ids)}", ids)
        hand.run(
            "UPDATE recordings SET state = 'erasing', dek = NULL, sealed = NULL, key_id = NULL, next_try_at = ?, "
            f"erasing_since = ?, erase_reason = 'expired', erase_ordered_by = 'system' WHERE id IN {hand.marks(ids)}",
            [now, now, *ids],
        )
        for table in ("marks", "listenings", "spans"):
            hand.run(f"DELETE FROM {table} WHERE recording_id IN {hand.marks(ids)}", ids)
        hand.run(
            "UPDATE calls SET state = 'blank', ref = NULL, started_at = NULL, ended_at = NULL, key_id = NULL, "
            f"call_key = NULL, sealed = NULL, opened_at = ? WHERE id IN {hand.marks(calls)}",
            [now, *calls],
        )
        for table in ("consents", "parties", "spans", "legs"):
            hand.run(f"DELETE FROM {table} WHERE call_id IN {hand.marks(calls)}", calls)
        hand.insert("seen (mark, kind, seen_at)", [(f"call {one}".encode(), "call", now) for one in calls])
        _log(hand, ids, "recording.erasing", now)
    with service.database.read() as connection:
        hand = Hand(connection)
        keys = hand.column(f"SELECT object_key FROM attempts WHERE recording_id IN {hand.marks(ids)}", ids)
    service.vault.objects.delete_many(keys)  # looks for itself that nothing is left
    with service.database.write() as connection:
        hand = Hand(connection)
        hand.insert("seen (mark, kind, seen_at)", [(one.encode(), "recording", now) for one in ids])
        for table in ("holds", "attempts", "key_uses"):
            hand.run(f"DELETE FROM {table} WHERE recording_id IN {hand.marks(ids)}", ids)
        hand.run(f"DELETE FROM recordings WHERE id IN {hand.marks(ids)}", ids)
        stones = [(one, f"crt_{one}", "private_inbound", "expired", "system", now, now, now, now, 2) for one in ids]
        hand.insert(
            "tombstones (recording_id, certificate_id, segment, reason, ordered_by, due_at, key_destroyed_at, "
            "erased_at, verified_at, objects_deleted)",
            stones,
        )
        _log(hand, ids, "recording.erased", now)
    service.database.forget()


class Hand:
    """Statements as they are handed to the driver."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._mark = "?" if connection.dialect.name == "sqlite" else "%s"

    def run(self, statement: str, values: Sequence[object]) -> None:
        self._connection.exec_driver_sql(statement.replace("?", self._mark), tuple(values))

    def column(self, statement: str, values: Sequence[object]) -> list[str]:
        return list(self._connection.exec_driver_sql(statement.replace("?", self._mark), tuple(values)).scalars())

    def insert(self, into: str, rows: Sequence[tuple[object, ...]]) -> None:
        row = f"({', '.join('?' * len(rows[0]))})"
        self.run(f"INSERT INTO {into} VALUES {', '.join([row] * len(rows))}", [one for each in rows for one in each])

    def marks(self, values: Sequence[object]) -> str:
        return f"({', '.join('?' * len(values))})"


def _log(hand: Hand, ids: Sequence[str], kind: str, now: int) -> None:
    hand.run("UPDATE audit_head SET size = size + ?, latest_at = ? WHERE id = 1", [len(ids), now])
    (last,) = hand.column("SELECT size FROM audit_head WHERE id = 1", [])
    first = int(last) - len(ids) + 1
    hand.insert(
        "audit (seq, at, type, actor, subject, body, leaf)",
        [(first + at, now, kind, "system", one, "{}", bytes(32)) for at, one in enumerate(ids)],
    )


def _put(service: Service, place: Place, wave: Sequence[str]) -> None:
    """Two objects for each, sound and peaks, as capture leaves them."""
    with service.database.write() as connection:
        hand = Hand(connection)
        rows = [(f"{one}p", one, 1, "peaks", f"{_key(one)}p", "kept", 0) for one in wave]
        hand.insert("attempts (id, recording_id, number, rendition, object_key, state, created_at)", rows)
    keys = [key for one in wave for key in (_key(one), f"{_key(one)}p")]
    if place.gateway is None:
        root = Path(service.settings.data_dir, "objects")
        (root / _key(wave[0])).parent.mkdir(parents=True, exist_ok=True)
        for key in keys:
            (root / key).write_bytes(OBJECT)
    else:
        client, bucket = place.gateway.client(), place.bucket
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: client.put_object(Bucket=bucket, Key=f"objects/{key}", Body=OBJECT), keys))


def _key(recording_id: str) -> str:
    return f"private_inbound/20990101/{recording_id.removeprefix('rec_')}"


def _make_due(service: Service, wave: Sequence[str]) -> None:
    """Let them expire together with their keys: erased before its last key, each would need a note in the key ring."""
    due = service.clock() - timedelta(minutes=5)
    with service.database.write() as connection:
        hand = Hand(connection)
        hand.run(f"UPDATE recordings SET expires_at = ? WHERE id IN {hand.marks(wave)}", [crowd.micros(due), *wave])
        hand.run(f"UPDATE key_uses SET day = ? WHERE recording_id IN {hand.marks(wave)}", [f"{due:%Y%m%d}", *wave])
    if service.database.sqlite:
        os.sync()
