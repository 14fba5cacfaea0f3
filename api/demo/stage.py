"""Where the demo plays: a data folder of its own, settings for it, and a clock that can be set."""

from __future__ import annotations

import fcntl
import shutil
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from recorder.errors import ConfigurationError
from recorder.settings import Settings, Standard, Twilio

MARKER = "this-is-a-demo"
ANNA = "+4520123456"
BENT = "+4520123457"
LINE = "+4570123456"

LINES = f"""\
# What happens on each number. `recorder lines check` reads it.
[[line]]
number = "{LINE}"
brand = "flexii"
customer_type = "private"
call_kind = "service"
language = "da"
script = "inbound-da"
consent = "ask"
then.dial = "+4570000000"
"""

DIRECTORY = f"""\
phone,account,email,mobile,customer_type,language
{ANNA},A-1001,anna@example.com,{ANNA},private,da
{BENT},A-1002,bent@example.com,{BENT},private,en
"""


class DemoClock:
    """The real clock, set back by as much as the story says. Calls take time on this clock only."""

    def __init__(self) -> None:
        self.back = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) - self.back

    def pass_by(self, seconds: float) -> None:
        self.back -= timedelta(seconds=seconds)


def prepare(data_dir: Path) -> TextIO:
    """Empty the demo's own folder, or make it. Never touches a folder that holds anything else.

    The file given keeps other demos out until it is closed. Raises `ConfigurationError` for a folder that is not a
    demo's, in which one is running, or which may not be written to.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(data_dir.iterdir()) and not (data_dir / MARKER).exists():
            raise ConfigurationError(f"{data_dir} holds something that is not a demo; set RECORDER_DATA_DIR to another")
        marker = _only_demo(data_dir)
        for path in data_dir.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != MARKER:
                path.unlink()
        (data_dir / "lines.toml").write_text(LINES, "utf-8")
        (data_dir / "directory.csv").write_text(DIRECTORY, "utf-8")
    except OSError as exc:
        raise ConfigurationError(
            f"{data_dir} cannot be used: {exc.strerror}; set RECORDER_DATA_DIR to a folder of yours"
        ) from exc
    return marker


def _only_demo(data_dir: Path) -> TextIO:
    marker = (data_dir / MARKER).open("a+")
    try:
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        marker.close()
        raise ConfigurationError(
            f"a demo is running in {data_dir}; end it first, or set RECORDER_DATA_DIR to another"
        ) from None
    marker.truncate(0)
    marker.write("made by `recorder demo`; emptied by the next one\n")
    marker.flush()
    return marker


def staged(settings: Settings, *, account_sid: str, auth_token: str, rest_url: str) -> Settings:
    """The given settings, with the stand-in exchange as Twilio and a free port where the wanted one is taken."""
    port = settings.http.port if _free(settings.http.host, settings.http.port) else _any_port(settings.http.host)
    http = settings.http
    if port != http.port:
        http = http.model_copy(update={"port": port, "public_url": f"http://{http.host}:{port}"})
    twilio = Twilio.model_validate({"account_sid": account_sid, "auth_tokens": [auth_token], "api_url": rest_url})
    platforms = settings.platforms.model_copy(update={"twilio": twilio, "standard": Standard()})
    return settings.model_copy(update={"http": http, "platforms": platforms})


def _free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return port != 0


def _any_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
