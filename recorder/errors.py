"""Rules that say no, and the far sides that fail. The root is `storage.errors.RecorderError`."""

from __future__ import annotations

from storage.errors import ConfigurationError, ConflictError, NotFoundError, RecorderError

__all__ = ["ConfigurationError", "ConflictError", "NotFoundError", "RecorderError"]


class RefusedError(RecorderError):
    """A rule said no."""

    code = "refused"


class UnsafeError(ConfigurationError):
    """Starting would break a promise."""

    code = "unsafe"
    hint = "`recorder doctor` says what to do"


class ForbiddenError(RefusedError):
    """This role may not do that."""

    code = "forbidden"


class UnauthenticatedError(RefusedError):
    """Nobody is signed in: send a valid token, or sign in again."""

    code = "unauthenticated"


class CrossSiteError(RefusedError):
    """The request was made by another site's page."""

    code = "cross_site"


class InvalidInputError(RecorderError):
    """The request is not what this address takes."""

    code = "invalid_input"


class InvalidEventError(InvalidInputError):
    """The event is malformed."""

    code = "invalid_event"


class SignatureError(RefusedError):
    """The signature is missing, wrong or too old."""

    code = "signature"


class CursorError(InvalidInputError):
    """The cursor is not one of ours, or continues another search."""

    code = "cursor_invalid"


class KeyReusedError(InvalidInputError):
    """This Idempotency-Key was used for another request."""

    code = "idempotency_reused"


class TooManyError(RefusedError):
    """Too many requests from this address; wait a little."""

    code = "too_many"
    retryable = True


class TooLargeError(InvalidInputError):
    """More bytes than this address takes."""

    code = "too_large"


class RecordingNotFoundError(NotFoundError):
    """There is no such recording, or it is gone."""

    code = "recording_not_found"


class RequestNotFoundError(NotFoundError):
    """There is no such request."""

    code = "request_not_found"


class CallNotFoundError(NotFoundError):
    """There is no such call."""

    code = "call_not_found"


class LinkError(RefusedError):
    """The link opens nothing: unknown, expired, revoked or used up; callers never learn which."""

    code = "link_invalid"


class ConsentPendingError(ConflictError):
    """The call goes on, or its consent question is not answered yet; ask again."""

    code = "consent_pending"
    retryable = True


class ConsentMissingError(ConflictError):
    """Nobody consented to this recording; nothing was kept."""

    code = "consent_missing"


class LeaseLostError(ConflictError):
    """Somebody else works on this by now."""

    code = "lease_lost"
    retryable = True


class KeyInUseError(ConflictError):
    """A request with this Idempotency-Key is being carried out; ask again."""

    code = "idempotency_in_use"
    retryable = True


class HeldError(ConflictError):
    """A hold forbids this until it is released."""

    code = "held"


class ChoiceNeededError(ConflictError):
    """An open request asks for a copy: the person says whether that comes first."""

    code = "choice_needed"


class ErasingError(ConflictError):
    """The recording is being erased."""

    code = "erasing"


class PlatformError(RecorderError):
    """The telephony platform failed or refused."""

    code = "platform"
    retryable = True


class PlatformUnreachableError(PlatformError):
    """The far side could not be connected to: it was told nothing."""

    code = "platform_unreachable"


class MediaRefusedError(PlatformError):
    """This address is not one audio may be fetched from."""

    code = "media_refused"
    retryable = False


class MediaTooLargeError(PlatformError):
    """The audio is larger than what is taken."""

    code = "media_too_large"
    retryable = False


class AudioError(RecorderError):
    """What arrived is not audio that can be kept."""

    code = "audio_invalid"


class AudioUnsupportedError(AudioError):
    """The audio is of a kind this service does not read; wav, mp3, ogg and flac are read."""

    code = "audio_unsupported"


class AudioNotReadyError(AudioError):
    """What came is an error page or nothing: the audio is not there yet."""

    code = "audio_not_ready"
    retryable = True


class AudioEmptyError(AudioError):
    """The file holds no sound."""

    code = "audio_empty"
    retryable = True


class AudioTruncatedError(AudioError):
    """The audio ends before its end."""

    code = "audio_truncated"
    retryable = True


class AudioTooLongError(AudioError):
    """The recording is longer than what is kept."""

    code = "audio_too_long"


class AudioTimeoutError(AudioError):
    """The audio took longer to arrive and convert than is allowed."""

    code = "audio_timeout"
    retryable = True


class DeliveryError(RecorderError):
    """The mail or SMS was not handed over."""

    code = "delivery"
    retryable = True


class DeliveryUnknownError(DeliveryError):
    """Whether the message was taken is not known: the answer was lost."""

    code = "delivery_unknown"


class DeliveryRefusedError(DeliveryError):
    """The message was refused for good."""

    code = "delivery_refused"
    retryable = False


class DirectoryUnavailableError(RecorderError):
    """The customer directory did not answer."""

    code = "directory_unavailable"
    retryable = True


class BrakeError(RefusedError):
    """The sweep stopped itself, because what it found is not what was foreseen."""

    code = "sweep_brake"
