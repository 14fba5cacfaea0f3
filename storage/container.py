"""The sealed form of one rendition: a Cobblestone-256 message (docs/format.md, "Container").

Sealing is the library's. Reading is ours, because the library reads only from the front: the public specification
(c2sp.org/chunked-encryption) fixes where every chunk lies, so a range costs only the chunks it touches.
Handles plaintext audio and data keys.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Iterable, Iterator

from cryptography.cobblestone import Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from storage.errors import IntegrityError

CHUNK = 16_384  # plaintext bytes in every chunk but the last, which is always shorter
TAG = 16
SEALED_CHUNK = CHUNK + TAG
SALT = 24
HEAD = 56  # salt and key commitment
FEED = 16 * CHUNK  # most plaintext one Sealer.update takes: smaller ones cost calls, larger ones cache misses
INFO = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"


Block = bytes | bytearray | memoryview


def context(recording_id: str, rendition: str) -> bytes:
    """What a message is bound to: moved under another id or rendition, it does not open."""
    names = (recording_id.encode(), rendition.encode())
    return b"recorder/audio/v1" + b"".join(struct.pack(">H", len(name)) + name for name in names)


def sealed_size(plain: int) -> int:
    return HEAD + plain + (plain // CHUNK + 1) * TAG


def plain_size(sealed: int) -> int:
    """Raises `IntegrityError` for a length no message has."""
    full, last = divmod(sealed - HEAD, SEALED_CHUNK)
    if sealed < HEAD or last < TAG:
        raise IntegrityError("no container has this length")
    return full * CHUNK + last - TAG


class Sealer:
    """Seals one stream. After a crash it is started over, never continued: its state is not meant to be kept."""

    def __init__(self, dek: bytes, ctx: bytes) -> None:
        self._encryptor = Cobblestone256Encryptor(dek, ctx)
        self._buffer = bytearray()

    def update(self, data: bytes | bytearray | memoryview) -> memoryview:
        """Seal up to `FEED` bytes. The result lies in a reused buffer: use it before the next call."""
        most = HEAD + (len(data) // CHUNK + 2) * SEALED_CHUNK
        if most > len(self._buffer):
            self._buffer = bytearray(most)  # no longer than that: clearing it can take longer than sealing
        return memoryview(self._buffer)[: self._encryptor.update_into(data, self._buffer)]

    def finalize(self) -> bytes:
        return self._encryptor.finalize()


class Opener:
    """Reads any range of one message, given its first 56 bytes and its length.

    Raises `IntegrityError` at once where key, context or head do not belong together.
    """

    def __init__(self, dek: bytes, ctx: bytes, head: bytes, size: int) -> None:
        self._size = size
        self.plain_size = plain_size(size)
        salt, commitment = head[:SALT], head[SALT:]
        derived = HKDFExpand(hashes.SHA512(), 76, INFO + salt + ctx).derive(dek)
        if not hmac.compare_digest(derived[44:], commitment):
            raise IntegrityError("the container is not sealed by this key for this recording")
        self._aead = AESGCM(derived[:32])
        self._base_nonce = int.from_bytes(derived[32:44], "big")

    def covering(self, start: int, stop: int) -> tuple[int, int]:
        """The sealed range that holds plaintext `start`..`stop`.

        A range that reaches the end takes the last chunk along even when no byte of it is asked for: only that chunk
        proves that nothing was cut off.
        """
        if not 0 <= start <= stop <= self.plain_size:
            raise ValueError("range outside the recording")
        first, behind = start // CHUNK, -(-stop // CHUNK)
        sealed_stop = self._size if stop == self.plain_size else min(self._size, HEAD + behind * SEALED_CHUNK)
        return HEAD + first * SEALED_CHUNK, sealed_stop

    def opening(self, start: int, stop: int) -> Opening:
        """An `Opening` for the bytes of `covering(start, stop)`."""
        sealed_start, sealed_stop = self.covering(start, stop)
        return Opening(self, start, stop, sealed_stop - sealed_start)

    def open(self, start: int, stop: int, sealed: Iterable[Block]) -> Iterator[memoryview]:
        """Plaintext `start`..`stop` from the bytes of `covering(start, stop)`, each block's in a fresh buffer.

        Every byte yielded is authentic; raises `IntegrityError` at the first that is not, or when bytes are missing.
        """
        opening = self.opening(start, stop)
        for block in sealed:
            if plain := opening.feed(block):
                yield plain
        opening.finish()

    def decrypt(self, index: int, chunk: Block, into: memoryview) -> None:
        """Decrypt chunk `index`. Raises `InvalidTag`, or `ValueError` for a chunk whose length does not fit `into`."""
        nonce = (self._base_nonce ^ index).to_bytes(12, "big")
        self._aead.decrypt_into(nonce, chunk, None, into)


class Opening:
    """One range being opened from front to back: sealed blocks of any length in, plaintext out.

    It never waits for anything: 256 KiB take some 60 µs, less than switching threads does.
    """

    def __init__(self, opener: Opener, start: int, stop: int, sealed_bytes: int) -> None:
        self._opener = opener
        self._index = start // CHUNK
        self._skip = start % CHUNK
        self._wanted = stop - start
        self._left = sealed_bytes
        self._rest = b""
        self._buffer = memoryview(bytearray())

    def feed(self, block: Block, *, reuse: bool = False) -> memoryview:
        """The plaintext of the chunks that end in this block; with `reuse`, it overwrites the plaintext given before.

        Raises `IntegrityError` at the first byte that is not authentic, and for bytes past the end.
        """
        data = memoryview(self._rest + bytes(block) if self._rest else block)
        self._left -= len(block)
        if self._left < 0:
            raise IntegrityError("the object is longer than its container")
        whole = len(data) if self._left == 0 else len(data) - len(data) % SEALED_CHUNK
        self._rest = bytes(data[whole:])
        plain = self._decrypt(data[:whole], reuse=reuse)
        clipped = plain[self._skip : self._skip + self._wanted]
        self._skip = max(0, self._skip - len(plain))
        self._wanted -= len(clipped)
        return clipped

    def finish(self) -> None:
        """Raises `IntegrityError` where bytes are missing."""
        if self._left:
            raise IntegrityError("the object is not as long as its container")

    def _decrypt(self, batch: memoryview, *, reuse: bool) -> memoryview:
        count = -(-len(batch) // SEALED_CHUNK)
        size = max(0, len(batch) - count * TAG)
        if not reuse or len(self._buffer) < size:
            self._buffer = memoryview(bytearray(size))
        plain = self._buffer[:size]
        try:
            for i in range(count):
                chunk = batch[i * SEALED_CHUNK : (i + 1) * SEALED_CHUNK]
                self._opener.decrypt(self._index + i, chunk, plain[i * CHUNK : (i + 1) * CHUNK])
        except (InvalidTag, ValueError) as exc:
            raise IntegrityError("a chunk of the container is not authentic") from exc
        self._index += count
        return plain
