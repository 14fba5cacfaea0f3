"""What is asked of the machine we run on. Needs no service: it is asked, too, where the service does not start."""

from __future__ import annotations

import resource
import shutil
import stat
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from recorder.audio import ffmpeg
from recorder.checkup.findings import Finding, found
from recorder.settings import Settings

GIGABYTE = 1_000_000_000
DISK_LOW = 2 * GIGABYTE
DISK_FULL = GIGABYTE // 5
FILES = 4096
NETWORK = frozenset(["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.s3fs", "ceph", "glusterfs"])
CODECS = {"flac": "-encoders", "libmp3lame": "-encoders", "opus": "-decoders", "mp3": "-decoders"}
FFMPEG_SECONDS = 20


def folder(settings: Settings, _now: datetime) -> Iterator[Finding]:
    mode = stat.S_IMODE(settings.data_dir.stat().st_mode)
    yield found("folder_open", mode=f"{mode:o}") if mode & 0o077 else found("folder_ok")
    kind = file_system(settings.data_dir, Path("/proc/self/mounts"))
    if settings.database_url.startswith("sqlite:") and kind in NETWORK:
        yield found("folder_on_network", kind=kind)


def disk(settings: Settings, _now: datetime) -> Iterator[Finding]:
    yield room(shutil.disk_usage(settings.data_dir).free)


def room(free: int) -> Finding:
    code = "disk_full" if free < DISK_FULL else "disk_low" if free < DISK_LOW else "disk_ok"
    return found(code, free=f"{free / GIGABYTE:.1f} GB")


def process(_settings: Settings, _now: datetime) -> Iterator[Finding]:
    pattern, swaps = (_text(Path(name)) for name in ("/proc/sys/kernel/core_pattern", "/proc/swaps"))
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield from limits(files=files, core=resource.getrlimit(resource.RLIMIT_CORE)[0], pattern=pattern, swaps=swaps)


def limits(*, files: int, core: int, pattern: str, swaps: str) -> Iterator[Finding]:
    """Judge what the kernel says of us; -1 is without a limit."""
    doubts = []
    if 0 <= files < FILES:
        doubts.append(found("files_few", files=files))
    if core != 0:
        doubts.append(found("core_dumped"))
    if pattern.startswith("|"):
        doubts.append(found("core_piped", program=Path(pattern[1:].split(maxsplit=1)[0]).name))
    devices = [line.split()[0] for line in swaps.splitlines()[1:] if line and "/zram" not in line]
    if devices:
        doubts.append(found("swap_on", devices=", ".join(devices)))
    yield from doubts or [found("process_ok", files=files if files >= 0 else "any number of")]


def root_key(settings: Settings, _now: datetime) -> Iterator[Finding]:
    """Silent where the key is not in a file."""
    if settings.keys.root_key is None and settings.root_key_path.exists():
        mode = stat.S_IMODE(settings.root_key_path.stat().st_mode)
        if mode & 0o077:
            yield found("root_key_open", mode=f"{mode:o}")


def ffmpeg_works(_settings: Settings, _now: datetime) -> Iterator[Finding]:
    try:
        version = " ".join(_ffmpeg("-version").split()[:3])
        listed = {option: _ffmpeg("-hide_banner", option) for option in set(CODECS.values())}
    except (OSError, subprocess.SubprocessError):
        yield found("ffmpeg_missing")
        return
    missing = [name for name, option in CODECS.items() if f" {name} " not in listed[option]]
    if missing:
        yield found("ffmpeg_codecs", version=version, missing=", ".join(missing))
    else:
        yield found("ffmpeg_ok", version=version)


def file_system(path: Path, mounts: Path) -> str:
    """The kind of file system a path lies on; "" where that is not told."""
    real = path.resolve()
    best, kind = Path("/"), ""
    for line in _text(mounts).splitlines():
        where, what = line.split()[1:3]
        mount = Path(where.encode().decode("unicode_escape"))
        if real.is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, what
    return kind


def _ffmpeg(*arguments: str) -> str:
    ran = subprocess.run(  # noqa: S603 -- our own choice of program
        [ffmpeg(), *arguments], capture_output=True, text=True, timeout=FFMPEG_SECONDS, check=True, env={}
    )
    return ran.stdout


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:  # not every kernel tells
        return ""
