"""What an operator can set. Names, defaults and meaning are fixed in docs/settings.md; a test holds the two together.

Order, last wins: defaults, TOML named by RECORDER_CONFIG, files named by `…_FILE`, environment.
"""

from recorder.settings.house import Settings
from recorder.settings.loading import described, load
from recorder.settings.places import is_confidential, is_loopback
from recorder.settings.sections import (
    BulletinType,
    Capture,
    Http,
    Network,
    Organisation,
    Retention,
    Standard,
    Twilio,
)

__all__ = [
    "BulletinType",
    "Capture",
    "Http",
    "Network",
    "Organisation",
    "Retention",
    "Settings",
    "Standard",
    "Twilio",
    "described",
    "is_confidential",
    "is_loopback",
    "load",
]
