"""What the audit log holds by now."""

from __future__ import annotations

import json
from typing import Any

from recorder.ports import Service
from storage import audit


def logged(service: Service, kind: str) -> list[dict[str, Any]]:
    """The entries of this type, oldest first."""
    entries = [json.loads(line)["entry"] for line in audit.export(service.database)]
    return [one for one in entries if one["type"] == kind]
