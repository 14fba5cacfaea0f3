"""The schema. Table classes stay inside `storage`; everybody else gets frozen dataclasses.

Columns named `sealed` hold canonical JSON of everything personal about the row, encrypted under the key the row
names (`storage/columns.py`); a `ref` is an HMAC of a platform's own id; a `mark` is a blind-index entry that dies
with its day key. Nothing here may hold a number, an account, an address or a token in clear.
"""

from __future__ import annotations

from storage.tables.base import metadata
from storage.tables.calls import (
    CallRow,
    ConsentRow,
    InboxRow,
    InquiryRow,
    LegRow,
    PartyRow,
    SeenRow,
    SourceDeletionRow,
    SpanRow,
)
from storage.tables.house import (
    AuditHeadRow,
    AuditRow,
    BulletinRow,
    CanaryRow,
    CompatibilityRow,
    IdempotencyRow,
    KeyRow,
    LeaseRow,
    ScriptRow,
    TaskRow,
    TokenRow,
)
from storage.tables.recordings import (
    AttemptRow,
    ForecastRow,
    HoldRow,
    KeyUseRow,
    ListeningRow,
    MarkRow,
    RecordingRow,
    TombstoneRow,
)
from storage.tables.requests import (
    CodeRow,
    LinkRow,
    MatchRow,
    OutboxRow,
    RequestRow,
    SessionRow,
)

__all__ = [
    "AttemptRow",
    "AuditHeadRow",
    "AuditRow",
    "BulletinRow",
    "CallRow",
    "CanaryRow",
    "CodeRow",
    "CompatibilityRow",
    "ConsentRow",
    "ForecastRow",
    "HoldRow",
    "IdempotencyRow",
    "InboxRow",
    "InquiryRow",
    "KeyRow",
    "KeyUseRow",
    "LeaseRow",
    "LegRow",
    "LinkRow",
    "ListeningRow",
    "MarkRow",
    "MatchRow",
    "OutboxRow",
    "PartyRow",
    "RecordingRow",
    "RequestRow",
    "ScriptRow",
    "SeenRow",
    "SessionRow",
    "SourceDeletionRow",
    "SpanRow",
    "TaskRow",
    "TokenRow",
    "TombstoneRow",
    "metadata",
]
