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
BATCH = 16  # chunks decrypted into one buffer: smaller ones cost calls, larger ones cache misses
FEED = BATCH * CHUNK  # most plaintext one Sealer.update takes
INFO = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"


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
    """Seals one stream. A crashed one is started over, never continued: state is not for keeping."""

    def __init__(self, dek: bytes, ctx: bytes) -> None:
        self._encryptor = Cobblestone256Encryptor(dek, ctx)
        self._buffer = bytearray()

    def update(self, data: bytes | bytearray | memoryview) -> memoryview:
        """Seal up to `FEED` bytes. The result lies in a reused buffer: use it before the next call."""
        most = HEAD + (len(data) // CHUNK + 2) * SEALED_CHUNK
        if most > len(self._buffer):
            self._buffer = bytearray(most)  # clearing it takes longer than sealing, where there is little to seal
        return memoryview(self._buffer)[: self._encryptor.update_into(data, self._buffer)]

    def finalize(self) -> bytes:
        return self._encryptor.finalize()


class Opener:
    """Reads any range of one message, given its first 56 bytes and its length.

    Raises `IntegrityError` at once where key, context or head do not belong together.
    """

    def __init__(self, dek: bytes, ctx: bytes, head: bytes, size: int) -> None:
        if len(head) != HEAD:
            raise IntegrityError("the container has no whole head")
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

    def open(self, start: int, stop: int, sealed: Iterable[bytes]) -> Iterator[bytearray]:
        """Plaintext `start`..`stop` from the bytes of `covering(start, stop)`, in fresh buffers of up to 256 KiB.

        Every byte yielded is authentic; raises `IntegrityError` at the first that is not, or when bytes are missing.
        """
        sealed_start, sealed_stop = self.covering(start, stop)
        index = start // CHUNK
        left = sealed_stop - sealed_start
        for batch in _batches(sealed):
            left -= len(batch)
            plain = self._decrypt(index, batch, last=left == 0 and sealed_stop == self._size)
            at = index * CHUNK
            index += BATCH
            if at < start or at + len(plain) > stop:
                plain = plain[max(0, start - at) : stop - at]
            if plain:
                yield plain
        if left != 0:
            raise IntegrityError("the object is not as long as its container")

    def _decrypt(self, index: int, batch: memoryview, *, last: bool) -> bytearray:
        count = -(-len(batch) // SEALED_CHUNK)
        if not last and len(batch) != count * SEALED_CHUNK:
            raise IntegrityError("the object is not as long as its container")
        plain = bytearray(max(0, len(batch) - count * TAG))
        view = memoryview(plain)
        try:
            for i in range(count):
                nonce = (self._base_nonce ^ (index + i)).to_bytes(12, "big")
                chunk = batch[i * SEALED_CHUNK : (i + 1) * SEALED_CHUNK]
                self._aead.decrypt_into(nonce, chunk, None, view[i * CHUNK : (i + 1) * CHUNK])
        except (InvalidTag, ValueError) as exc:
            raise IntegrityError("a chunk of the container is not authentic") from exc
        return plain


def _batches(sealed: Iterable[bytes]) -> Iterator[memoryview]:
    """Regroup to `BATCH` whole chunks; only the last may be shorter. Blocks of that very size pass uncopied."""
    step = BATCH * SEALED_CHUNK
    rest = b""
    for block in sealed:
        data = rest + block if rest else block
        view = memoryview(data)
        whole = len(data) - len(data) % step
        for at in range(0, whole, step):
            yield view[at : at + step]
        rest = bytes(view[whole:])
    if rest:
        yield memoryview(rest)
