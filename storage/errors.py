"""Every error this service raises on purpose descends from `RecorderError`; storage adds its own leaves.

`code` is what clients, logs and tests match. Messages are lower-case, name ids only, and never carry
personal data, tokens or keys. HTTP statuses live in `api/problems.py`, exit codes in `api/cli`.
"""

from __future__ import annotations

from typing import ClassVar


class RecorderError(Exception):
    """Something was refused or failed, and here is what to do about it."""

    code: ClassVar[str] = "internal"
    hint: ClassVar[str | None] = None
    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or self.code).strip().splitlines()[0].rstrip(".").lower())


class ConfigurationError(RecorderError):
    """A setting is missing or wrong."""

    code = "configuration"


class KeyRingMissingError(ConfigurationError):
    """The key ring holds no key, though the database names keys of it."""

    code = "key_ring_missing"
    hint = (
        "mount its volume, or mend RECORDER_KEYS__URL; where the ring is lost and a mirror has its keys, name the "
        "mirror as RECORDER_KEYS__URL and a new place as RECORDER_KEYS__MIRROR_URL"
    )


class NotFoundError(RecorderError):
    """There is no such thing."""

    code = "not_found"


class ConflictError(RecorderError):
    """It was already done, or done by someone else meanwhile."""

    code = "conflict"


class StorageError(RecorderError):
    """Bytes or rows could not be kept or read."""

    code = "storage"


class StoreUnavailableError(StorageError):
    """The object store did not answer."""

    code = "store_unavailable"
    retryable = True


class StoreMissingError(StoreUnavailableError):
    """The folder that was the store is not there."""

    hint = "mount its volume; it is never made anew"


class StoreFullError(StoreUnavailableError):
    """The object store has no room left."""

    code = "store_full"
    hint = "free space or enlarge the volume; work resumes by itself"


class StoreRefusedError(StoreUnavailableError):
    """The object store refused."""

    code = "store_refused"
    hint = "look at credentials and bucket policy; for a deletion also at object lock and legal holds in the store"


class StoreClockError(StoreUnavailableError):
    """The object store refuses every request because its clock and ours disagree."""

    code = "store_clock"
    hint = "set both clocks by NTP; work resumes by itself"


class DatabaseUnavailableError(StorageError):
    """The database did not answer."""

    code = "database_unavailable"
    hint = "is it up, and does it take RECORDER_DATABASE__URL's name, password and certificate? a server's log says"
    retryable = True


class DatabaseUnusableError(DatabaseUnavailableError):
    """The database lets us in and has not what we need, or not for us."""

    hint = "let `recorder migrate` run as the tables' owner; docs/operating.md has the rights"


class DatabaseFullError(DatabaseUnavailableError):
    """The database has no room left."""

    code = "database_full"
    hint = "free space or enlarge the volume; work resumes by itself"


class DatabaseBusyError(StorageError):
    """Others were at the same rows, or all connections were in use."""

    code = "database_busy"
    retryable = True


class InboxFullError(StorageError):
    """More is arriving than can be made durable."""

    code = "inbox_full"
    retryable = True


class ObjectNotFoundError(StorageError):
    """The store holds no such object."""

    code = "object_not_found"


class IntegrityError(StorageError):
    """What was read is not what was sealed."""

    code = "integrity"
    hint = "do not use this recording; keep the object and tell the DPO"


class KeyDestroyedError(StorageError):
    """The key is gone, and with it all that it sealed."""

    code = "key_destroyed"


class KeyUnavailableError(StorageError):
    """The key ring could not give the key."""

    code = "key_unavailable"
    retryable = True
