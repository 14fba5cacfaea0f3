"""What clients send and get as JSON, as types. Handlers read and write by them and `/openapi.json`
is made from them, so that the two cannot differ.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from api.fields import (
    Cursor,
    EndMoment,
    HoldKind,
    Id,
    Line,
    Method,
    Moment,
    Phone,
    Purpose,
    Reason,
    Refused,
    Rendition,
    RequestKind,
    Segment,
    State,
    Time,
    WhyLonger,
)
from recorder import cursors, finding, subject_requests
from recorder.erasure.certificates import Certificate

__all__ = ["Certificate"]  # the domain's own is shown as it is

LONGEST_WORDS = 1000


class Taken(BaseModel):
    """What a client sends. Unknown fields are refused: a mistyped name must not widen a search or drop a wish."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Given(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(frozen=True)


# -- what clients send


class Onward(Taken):
    """How many items of a list to read, and from where."""

    cursor: Cursor | None = Field(None, description="`next` of the page before; it continues this very search only")
    limit: Annotated[int, Field(ge=1, le=cursors.LARGEST_PAGE, strict=False)] = cursors.PAGE


class Listing(Onward):
    """What recordings can be listed by, in fields that may stand in an address."""

    agent: Line | None = None
    queue: Line | None = None
    segment: Segment | None = None
    state: State | None = None
    started_from: Moment | None = Field(None, alias="from", description="the call started then or later")
    started_to: EndMoment | None = Field(None, alias="to", description="the call started before; a day counts whole")

    def query(self) -> finding.Query:
        """The search this asks for."""
        wanted = {name: getattr(self, name) for name in type(self).model_fields if name not in {"cursor", "limit"}}
        return finding.Query(**wanted)


class Search(Listing):
    """What recordings can be found by; all that is given must match. Numbers never stand in an address."""

    phone: Phone | None = Field(None, description="in any usual spelling; for `dpo`")
    account: Line | None = Field(None, description="for `dpo`")
    case: Line | None = None
    limit: Annotated[int, Field(ge=1, le=cursors.LARGEST_PAGE)] = cursors.PAGE


class Hearing(Taken):
    purpose: Purpose
    rendition: Rendition = "playback"


class Pushing(Taken):
    started_at: Moment | None = Field(None, description="needed where no `recording.started` came before")


class Erasure(Taken):
    reason: Reason
    text: Annotated[str, StringConstraints(max_length=LONGEST_WORDS)] | None = Field(
        None, description="may be said and is not kept: free words would outlive the person they name"
    )


class NewHold(Taken):
    kind: HoldKind
    reason: Annotated[Line, StringConstraints(max_length=100)] = Field(
        description="a code or case reference, never a person"
    )
    review_at: Moment | None = Field(None, description="within 90 days, which is also the default")


class NewRequest(Taken):
    """About exactly one of `phone`, `account` and `call`."""

    kind: RequestKind
    phone: Phone | None = None
    account: Line | None = None
    call: Line | None = Field(None, description="the platform's id of the call")
    received_at: Moment | None = Field(None, description="what the deadline counts from; by default now")


class Identity(Taken):
    method: Method


class Approval(Taken):
    recordings: Annotated[list[Id], Field(min_length=1, max_length=subject_requests.MOST_APPROVED)]
    identity: Identity


class Refusal(Taken):
    reason: Refused = "other"
    text: Annotated[str, StringConstraints(min_length=1, max_length=subject_requests.LONGEST_EXPLANATION)] | None = (
        Field(None, description="said to the person in place of the reason's own words; needed for `other`")
    )


class Extension(Taken):
    reason: WhyLonger = "complex"


class IdentityStep(Taken):
    step: Literal["ask", "answered"] = Field(
        description="`ask` writes to the address on file, and the deadline stands still; `answered` lets it go on"
    )


class Bounce(Taken):
    message_id: Line = Field(description="the Message-ID of the mail that came back, or the `msg_…` in it")


class Press(Taken):
    script: Annotated[Line, StringConstraints(max_length=100)] | None = Field(None, description="name@version")


class Token(BaseModel):
    """A form of the customer's pages: further fields are ignored."""

    token: str = Field("", description="from the link's `#`, or the whole link pasted")


class Way(BaseModel):
    by: Literal["sms", "call"] = "sms"


class Code(BaseModel):
    code: str = ""


class Choice(BaseModel):
    choice: Literal["copy_first", "delete_now"] | None = None


# -- what clients get


class Problem(Given):
    """RFC 9457. Match `code`: it never changes its meaning, the words may."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    hint: str | None = None


class Consent(Given):
    method: str | None
    decision: str
    at: Time | None
    digit: str | None
    script: str | None
    purposes: list[str]


class Hold(Given):
    id: str
    recording_id: str
    kind: str
    reason: str | None
    request_id: str | None
    placed_at: Time
    review_at: Time


class Recording(Given):
    """`started_at` and `ended_at` are the call's, `sha256` is of the audio that is kept."""

    id: str
    state: str
    segment: str | None
    platform: str
    platform_call_id: str | None
    platform_recording_id: str | None
    direction: str | None
    agent: str | None
    queue: str | None
    case: str | None
    started_at: Time | None
    ended_at: Time | None
    expires_at: Time | None
    stored_at: Time | None
    duration_ms: int | None
    size_bytes: int | None
    sha256: str | None
    channels: int | None
    channel_map: dict[str, str] | None = Field(description="who is on which channel, where the platform said so")
    content_type: str | None
    consent: Consent | None
    holds: list[Hold]
    links: dict[Literal["audio"], str] = Field(description="`audio` only while it is stored")


class Recordings(Given):
    items: list[Recording]
    next: str | None = Field(description="`cursor` of the next page; null on the last")


class Erasing(Given):
    state: Literal["erasing"] = "erasing"
    certificate_id: str | None


class SubjectRequest(Given):
    id: str
    kind: str
    state: str
    received_at: Time
    due_at: Time
    matches: list[str]


class SubjectRequests(Given):
    items: list[SubjectRequest]
    next: str | None = Field(description="`cursor` of the next page; null on the last")


class Bounced(Given):
    outcome: str = Field(description="`stopped`: the link opens nothing any more; `nothing`: it was known already")


class Call(Given):
    call_id: str = Field(description="ours, not the platform's")


class Pushed(Given):
    state: Literal["stored"] = "stored"


class Alive(Given):
    status: Literal["ok"] = "ok"


class Ready(Given):
    status: Literal["ready", "not_ready", "draining"]
    checks: dict[str, Literal["ok", "failed"]]


# -- what subscribers are told


class StoredData(Given):
    recording_id: str


class ErasedData(Given):
    recording_id: str
    certificate_id: str


class AnsweredData(Given):
    request_id: str
