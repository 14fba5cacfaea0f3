"""What single values look like, in JSON and in addresses: each kind is defined once, with its check and its schema."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema

from api import inputs
from recorder import finding, holds, listening, segments, subject_requests
from recorder.erasure import REASONS
from recorder.errors import InvalidInputError
from storage.clock import rfc3339

SOUND = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"  # one line that is not blank
ID = r"^[A-Za-z0-9_-]{1,64}$"


def _among(options: tuple[str, ...]) -> Callable[[str], str]:
    """One of a closed set that the domain names."""

    def known(value: str) -> str:
        if value not in options:
            raise ValueError("is not one of " + ", ".join(options))
        return value

    return known


def _shown(options: tuple[str, ...]) -> Any:
    return Field(json_schema_extra={"enum": list(options)})


def _read(moment: Callable[[str], datetime]) -> BeforeValidator:
    def read(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError("is not an RFC 3339 time")  # noqa: TRY004 -- what pydantic reports
        try:
            return moment(value)
        except InvalidInputError as exc:
            raise ValueError(str(exc)) from exc

    return BeforeValidator(read)


_TIME_OR_DAY = WithJsonSchema({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]})
_one_line = StringConstraints(min_length=1, max_length=finding.LONGEST_VALUE, pattern=SOUND)

Line = Annotated[str, _one_line, AfterValidator(str.strip)]
Id = Annotated[str, StringConstraints(pattern=ID)]
Phone = Annotated[Line, Field(json_schema_extra={"format": "phone"})]
Cursor = Annotated[Line, Field(json_schema_extra={"format": "cursor"})]
Moment = Annotated[datetime, _read(inputs.start), _TIME_OR_DAY]
EndMoment = Annotated[datetime, _read(inputs.end), _TIME_OR_DAY]
Time = Annotated[
    datetime, PlainSerializer(rfc3339, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]

Segment = Annotated[str, AfterValidator(_among(segments.SEGMENTS)), _shown(segments.SEGMENTS)]
State = Annotated[str, AfterValidator(_among(finding.STATES)), _shown(finding.STATES)]
Purpose = Annotated[str, AfterValidator(_among(listening.PURPOSES)), _shown(listening.PURPOSES)]
Rendition = Annotated[str, AfterValidator(_among(listening.RENDITIONS)), _shown(listening.RENDITIONS)]
Reason = Annotated[str, AfterValidator(_among(REASONS)), _shown(REASONS)]
HoldKind = Annotated[str, AfterValidator(_among(holds.KINDS)), _shown(holds.KINDS)]
RequestKind = Annotated[str, AfterValidator(_among(subject_requests.KINDS)), _shown(subject_requests.KINDS)]
Method = Annotated[
    str, AfterValidator(_among(subject_requests.IDENTITY_METHODS)), _shown(subject_requests.IDENTITY_METHODS)
]
Refused = Annotated[str, AfterValidator(_among(subject_requests.REFUSALS)), _shown(subject_requests.REFUSALS)]
WhyLonger = Annotated[str, AfterValidator(_among(subject_requests.EXTENSIONS)), _shown(subject_requests.EXTENSIONS)]
