"""Documents that are made from the program: `python -m tests.documents` writes them, a test compares them."""

from __future__ import annotations

from pathlib import Path

from recorder.settings import described

ROOT = Path(__file__).parent.parent

SETTINGS_HEAD = """\
# Settings

Made from the program by `python -m tests.documents`. Order, last wins: defaults, the TOML file named by
`RECORDER_CONFIG` (sections as tables), files named by `…_FILE` (any setting may be given that way; meant for secrets),
environment. Lists are comma-separated or JSON. Unknown or bad settings stop the start, all named at once.

Every outside party has a declared country; undeclared or outside the EU/EEA is no start. What stays on this machine
(loopback, files) is exempt; Twilio's country follows from its region.

| variable | default | meaning |
|---|---|---|
"""


def settings_page() -> str:
    rows = (
        f"| `{variable}` | {f'`{default}`' if default else ''} | {meaning} |"
        for variable, default, meaning in described()
    )
    return SETTINGS_HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "settings.md").write_text(settings_page(), "utf-8")
