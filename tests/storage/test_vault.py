"""The vault: what goes in comes out, any range of it; what was cut, swapped, moved or destroyed does not."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.container import FEED, HEAD, Block, sealed_size
from storage.database import Database
from storage.errors import ConflictError, IntegrityError, KeyDestroyedError, ObjectNotFoundError, StoreFullError
from storage.keyring import KeyRing
from storage.keys import Key
from storage.objects import Cached
from storage.objects_folder import FolderStore
from storage.objects_folder import store as folder_store
from storage.objects_folder.store import CachedFile
from storage.vault import Sealed, SealedReader, Vault

NOW = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
EXPIRY = date(2026, 12, 2)
DEK = bytes(range(32))
PLAIN = os.urandom(3 * FEED + 1234)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


@pytest.fixture
def vault(database: Database, store: FolderStore, tmp_path: Path) -> Vault:
    keyring = KeyRing(database, FolderStore(tmp_path / "keys"), bytes(32))
    keyring.open(NOW)
    keyring.ensure(NOW)
    return Vault(keyring, store)


def seal(
    vault: Vault, plain: bytes, key: str = "private_inbound/20261202/a", recording: str = "rec_a", step: int = FEED
) -> Sealed:
    writer = vault.writer(
        recording_id=recording, rendition="original", dek=DEK, object_key=key, tags={"segment": "private_inbound"}
    )
    for at in range(0, len(plain), step):
        writer.write(plain[at : at + step])
    return writer.commit()


def reader(
    vault: Vault,
    sealed: Sealed,
    key: str = "private_inbound/20261202/a",
    *,
    recording: str = "rec_a",
    rendition: str = "original",
    dek: bytes = DEK,
) -> SealedReader:
    return vault.reader(
        recording_id=recording,
        rendition=rendition,
        dek=dek,
        object_key=key,
        head=sealed.head,
        sealed_bytes=sealed.sealed_bytes,
    )


def everything(source: SealedReader) -> bytes:
    return b"".join(source.read(0, source.size))


class Elsewhere(FolderStore):
    """A folder of which this machine has nothing in memory, as of a bucket."""

    def cached(self, key: str) -> None:
        return None


class Remembered(FolderStore):
    """A folder of which this machine has everything in memory."""

    def cached(self, key: str) -> Cached | None:
        return CachedFile(self.path / key)


class Forgetful(FolderStore):
    """A folder the machine has forgotten from some place on."""

    def cached(self, key: str) -> Cached | None:
        return HalfCached(self.path / key)


class HalfCached(CachedFile):
    def read(self, at: int, size: int) -> memoryview | None:
        return super().read(at, min(size, 1_000)) if at < 600_000 else None


class Remembering(FolderStore):
    """A folder the machine has forgotten from some place on, until it is asked: Linux reads ahead by then."""

    asked = False

    def cached(self, key: str) -> Cached | None:
        return ReadAhead(self.path / key, self)


class ReadAhead(CachedFile):
    def __init__(self, path: Path, folder: Remembering) -> None:
        super().__init__(path)
        self._folder = folder

    def read(self, at: int, size: int) -> memoryview | None:
        if at > 300_000 and not self._folder.asked:
            self._folder.asked = True
            return None
        return super().read(at, min(size, 100_000))


def streamed(source: SealedReader, start: int, stop: int, *, reuse: bool) -> bytes:
    """As an event loop reads: what is at hand, then what it has to wait for, the next being fetched meanwhile."""
    stream, got = source.stream(start, stop), bytearray()

    def take(blocks: Iterable[Block]) -> None:
        for block in blocks:
            got.extend(stream.open(block, reuse=reuse))

    take(stream.fetch(1))
    while block := stream.at_hand():
        take([block])
    blocks = stream.fetch(300_000)
    while blocks:
        ahead = stream.fetch(300_000)
        take(blocks)
        blocks = ahead
    stream.close()
    stream.close()
    return bytes(got)


@pytest.mark.parametrize("size", [0, 1, 16_384, len(PLAIN)])
@pytest.mark.parametrize("step", [777, FEED, 10 * FEED])
def test_what_goes_in_comes_out(vault: Vault, size: int, step: int) -> None:
    sealed = seal(vault, PLAIN[:size], step=step)

    assert (sealed.plain_bytes, sealed.sealed_bytes, len(sealed.head)) == (size, sealed_size(size), HEAD)
    assert reader(vault, sealed).size == size
    assert everything(reader(vault, sealed)) == PLAIN[:size]


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_range(vault: Vault, data: st.DataObject) -> None:
    name = vault.object_key("private_inbound", EXPIRY)
    sealed = seal(vault, PLAIN, name)
    start, stop = sorted((data.draw(st.integers(0, len(PLAIN))), data.draw(st.integers(0, len(PLAIN)))))

    assert b"".join(reader(vault, sealed, name).read(start, stop)) == PLAIN[start:stop]


@pytest.mark.parametrize("kind", [FolderStore, Elsewhere, Remembered, Forgetful, Remembering])
@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("span", [(0, len(PLAIN)), (0, 0), (5, 16_385), (300_000, 300_001), (16_384, 700_000)])
def test_a_stream_gives_what_a_reader_gives(
    vault: Vault,
    store: FolderStore,
    kind: type[FolderStore],
    reuse: bool,
    span: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sealed = seal(vault, PLAIN)
    vault.objects = kind(store.path)
    if kind is not FolderStore:
        monkeypatch.setattr(folder_store, "NOWAIT", 0)  # not every file system can tell what is in memory

    assert streamed(reader(vault, sealed), *span, reuse=reuse) == PLAIN[slice(*span)]


@pytest.mark.parametrize("kind", [FolderStore, Elsewhere])
def test_p2_a_stream_refuses_what_a_reader_refuses(vault: Vault, store: FolderStore, kind: type[FolderStore]) -> None:
    sealed = seal(vault, PLAIN)
    path = store.path / "private_inbound/20261202/a"
    data = path.read_bytes()
    vault.objects = kind(store.path)

    for bad in (data[:-1], data[:600_000], data[:700_000] + b"\0" + data[700_001:]):
        path.write_bytes(bad)
        with pytest.raises(IntegrityError):
            streamed(reader(vault, sealed), 0, len(PLAIN), reuse=True)
    path.unlink()
    with pytest.raises(ObjectNotFoundError):
        streamed(reader(vault, sealed), 0, len(PLAIN), reuse=True)


def test_p2_nothing_readable_lies_on_the_disk(vault: Vault, store: FolderStore) -> None:
    plain = b"RIFF....WAVEfmt " * 20_000
    seal(vault, plain)

    for path in store.path.rglob("*"):
        if path.is_file():
            assert b"WAVEfmt" not in path.read_bytes()


def test_p2_nothing_readable_lies_on_the_disk_while_it_is_written(vault: Vault, store: FolderStore) -> None:
    writer = vault.writer(recording_id="rec_a", rendition="original", dek=DEK, object_key="a/20261202/b", tags={})
    writer.write(b"RIFF....WAVEfmt " * 20_000)

    [part] = store.path.glob("a/20261202/.b.*.part")
    assert part.stat().st_size > FEED
    assert b"WAVEfmt" not in part.read_bytes()
    assert writer.upload_id in part.name
    writer.abort()
    assert vault.objects.remaining("a/20261202/b") == 0


def test_p2_an_object_moved_under_another_id_is_refused(vault: Vault, store: FolderStore) -> None:
    one, other = seal(vault, PLAIN), seal(vault, PLAIN[::-1], "private_inbound/20261202/b", recording="rec_b")

    with pytest.raises(IntegrityError):
        reader(vault, one, recording="rec_b")
    with pytest.raises(IntegrityError):
        reader(vault, one, rendition="playback")
    with pytest.raises(IntegrityError):
        reader(vault, one, dek=bytes(32))
    swapped = reader(vault, one, "private_inbound/20261202/b")
    with pytest.raises(IntegrityError):
        everything(swapped)
    with pytest.raises(IntegrityError):
        everything(reader(vault, other, recording="rec_b", key="private_inbound/20261202/a"))


@pytest.mark.parametrize("cut", [1, 16, 5000, 16_400])
def test_p2_a_truncated_object_is_refused_when_its_end_is_read(vault: Vault, store: FolderStore, cut: int) -> None:
    sealed = seal(vault, PLAIN)
    os.truncate(store.path / "private_inbound/20261202/a", sealed.sealed_bytes - cut)

    source = reader(vault, sealed)
    with pytest.raises(IntegrityError):
        list(source.read(source.size - 10, source.size))
    with pytest.raises(IntegrityError):
        everything(source)


def test_p2_a_flipped_bit_stops_the_stream_at_its_chunk(vault: Vault, store: FolderStore) -> None:
    sealed = seal(vault, PLAIN)
    path = store.path / "private_inbound/20261202/a"
    data = bytearray(path.read_bytes())
    data[2 * 262_400 + 100] ^= 1
    path.write_bytes(data)

    got: list[memoryview] = []
    with pytest.raises(IntegrityError):
        got.extend(reader(vault, sealed).read(0, len(PLAIN)))
    assert b"".join(got) == PLAIN[: 2 * FEED]


def test_p2_swapped_chunks_are_refused(vault: Vault, store: FolderStore) -> None:
    sealed = seal(vault, PLAIN)
    path = store.path / "private_inbound/20261202/a"
    data = path.read_bytes()
    path.write_bytes(data[:56] + data[16_456:32_856] + data[56:16_456] + data[32_856:])

    with pytest.raises(IntegrityError):
        everything(reader(vault, sealed))


def test_p6_a_second_writer_of_a_key_loses(vault: Vault) -> None:
    sealed = seal(vault, b"first")

    with pytest.raises(ConflictError):
        seal(vault, b"second")
    assert everything(reader(vault, sealed)) == b"first"


def test_p6_a_full_disk_leaves_nothing_behind(vault: Vault) -> None:
    writer = vault.writer(recording_id="rec_a", rendition="original", dek=DEK, object_key="a/20261202/b", tags={})
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("no /dev/full here")
    with device.open("wb") as full:
        os.dup2(full.fileno(), writer._upload._fd)  # type: ignore[attr-defined] -- the folder's upload

    with pytest.raises(StoreFullError):
        writer.write(PLAIN)
    assert vault.objects.remaining("a/20261202/b") == 0
    writer.abort()


def test_p3_an_erased_object_is_gone(vault: Vault) -> None:
    sealed = seal(vault, PLAIN)
    unfinished = vault.writer(
        recording_id="rec_a", rendition="original", dek=DEK, object_key="private_inbound/20261202/a", tags={}
    )

    assert vault.erase_object("private_inbound/20261202/a") == 2
    assert vault.objects.remaining("private_inbound/20261202/a") == 0
    assert vault.erase_object("private_inbound/20261202/a") == 0
    with pytest.raises(ObjectNotFoundError):
        everything(reader(vault, sealed))
    unfinished.abort()


def test_object_keys_tell_class_and_day_and_nothing_else(vault: Vault) -> None:
    one, other = (vault.object_key("private_inbound", EXPIRY) for _ in range(2))

    assert one != other
    assert one.rpartition("/")[0] == "private_inbound/20261202"
    assert len(one.rpartition("/")[2]) == 32


# -- data keys


@pytest.fixture
def day_key(vault: Vault) -> Key:
    return vault.keyring.day_key(EXPIRY, NOW)


def test_a_data_key_comes_back_only_for_its_recording(vault: Vault, day_key: Key) -> None:
    dek = vault.new_dek()
    wrapped = vault.wrap_dek(dek, "rec_a", day_key)

    assert vault.unwrap_dek("rec_a", day_key.id, wrapped, NOW) == dek
    with pytest.raises(IntegrityError):
        vault.unwrap_dek("rec_b", day_key.id, wrapped, NOW)
    other = vault.keyring.day_key(date(2026, 12, 3), NOW)
    with pytest.raises(IntegrityError):
        vault.unwrap_dek("rec_a", other.id, wrapped, NOW)
    assert len({vault.new_dek() for _ in range(10)}) == 10


def test_p3_a_data_key_is_remembered_for_seconds(vault: Vault, day_key: Key) -> None:
    wrapped = vault.wrap_dek(DEK, "rec_a", day_key)
    vault.unwrap_dek("rec_a", day_key.id, wrapped, NOW)
    vault.keyring.destroy(day_key.id, NOW)

    assert vault.unwrap_dek("rec_a", day_key.id, wrapped, NOW + timedelta(seconds=19)) == DEK
    for later in (timedelta(seconds=20), timedelta(seconds=-1)):
        with pytest.raises(KeyDestroyedError):
            vault.unwrap_dek("rec_a", day_key.id, wrapped, NOW + later)


def test_p3_a_forgotten_data_key_needs_its_day_key_again(vault: Vault, day_key: Key) -> None:
    wrapped = vault.wrap_dek(DEK, "rec_a", day_key)
    vault.unwrap_dek("rec_a", day_key.id, wrapped, NOW)
    vault.keyring.destroy(day_key.id, NOW)

    vault.forget("rec_b")
    assert vault.unwrap_dek("rec_a", day_key.id, wrapped, NOW) == DEK
    vault.forget("rec_a")
    with pytest.raises(KeyDestroyedError):
        vault.unwrap_dek("rec_a", day_key.id, wrapped, NOW)


def test_many_readers_of_one_object(vault: Vault) -> None:
    sealed = seal(vault, PLAIN)
    source = reader(vault, sealed)
    wrong: list[int] = []

    def listen(number: int) -> None:
        start = number * 50_000
        if b"".join(source.read(start, len(PLAIN))) != PLAIN[start:]:
            wrong.append(number)

    threads = [threading.Thread(target=listen, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
