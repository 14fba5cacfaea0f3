"""Everything that can be found, by its stable code: how bad it is, what it means, what to do about it.

docs/doctor.md is made of this.
A finding `blocks` where going on would break a promise: `recorder serve` does not start then.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Kind:
    level: Level
    part: str
    text: str  # a template, filled in by `found`
    advice: str = ""
    blocks: str = ""  # the promise it would break


@dataclass(frozen=True)
class Finding:
    code: str
    level: Level
    part: str
    text: str
    advice: str
    blocks: bool

    def document(self) -> dict[str, object]:
        return asdict(self)


def found(code: str, **details: object) -> Finding:
    kind = KINDS[code]
    return Finding(code, kind.level, kind.part, kind.text.format(**details), kind.advice, bool(kind.blocks))


KINDS: dict[str, Kind] = {
    "start_refused": Kind("fault", "start", "the service does not start: {why} [{error}]", "mend that, then ask again"),
    "part_failed": Kind("fault", "{part}", "asking failed: {why} [{error}]", "mend that, then ask again"),
    # clock
    "clock_ok": Kind("ok", "clock", "{now} UTC"),
    "clock_behind": Kind(
        "fault", "clock", "time is behind the last audit entry", "set the clock by NTP; the sweep waits for it"
    ),
    "clock_differs": Kind(
        "fault",
        "clock",
        "the clock of the {whose} disagrees by more than 5 minutes",
        "set both by NTP; the sweep waits for it",
    ),
    # data folder, disk, process
    "folder_ok": Kind("ok", "data folder", "only this user may look into it"),
    "folder_open": Kind("fault", "data folder", "others may look into it ({mode})", "chmod 700"),
    "folder_on_network": Kind(
        "fault",
        "data folder",
        "SQLite lies on a network file system ({kind}), whose locks do not hold",
        "move the folder to a local disk, or use PostgreSQL",
        blocks="P6",
    ),
    "disk_ok": Kind("ok", "disk", "{free} are free"),
    "disk_low": Kind("warning", "disk", "only {free} are free in the data folder", "free space or enlarge the volume"),
    "disk_full": Kind(
        "fault",
        "disk",
        "only {free} are free in the data folder: webhooks will be refused, callers connected unrecorded",
        "free space or enlarge the volume",
    ),
    "process_ok": Kind("ok", "process", "{files} files may be open; no core is dumped; nothing is swapped"),
    "files_few": Kind(
        "warning",
        "process",
        "only {files} files may be open: every listener and connection needs one",
        "LimitNOFILE=65536 in the unit, or ulimit -n",
    ),
    "core_dumped": Kind(
        "fault",
        "process",
        "a crash would write memory, with audio and keys, to a disk",
        "set the core limit to 0",
        "P2",
    ),
    "core_piped": Kind(
        "warning",
        "process",
        "the kernel hands crashes to {program}, which is not bound by our limit of 0",
        "make sure that it keeps nothing, or set kernel.core_pattern to a file name",
    ),
    "swap_on": Kind(
        "warning",
        "process",
        "memory may be swapped to {devices}: audio and keys could reach a disk in clear",
        "encrypt the swap, or do without it",
    ),
    # database
    "database_ok": Kind("ok", "database", "{what}; takes transactions; its schema is this version's ({schema})"),
    "database_not_durable": Kind(
        "fault",
        "database",
        "{setting} is {value}: what was acknowledged may be gone after a power failure",
        "turn it on in the server, for this database, and for this role",
        blocks="P6",
    ),
    "database_hasty": Kind(
        "warning",
        "database",
        "{setting} is {value}: good enough for trying out, and refused with a public address",
        "turn it on in the server before customers come",
    ),
    "database_standby": Kind(
        "fault",
        "database",
        "this is a standby: it takes no writes",
        "point RECORDER_DATABASE__URL at the primary",
        "P6",
    ),
    "database_old": Kind("warning", "database", "PostgreSQL {version} is no longer maintained", "upgrade the server"),
    "database_superuser": Kind(
        "warning",
        "database",
        "we sign in as a superuser",
        "give the service a role of its own that owns its database and nothing else",
    ),
    "database_plain": Kind(
        "warning",
        "database",
        "the connection to the server is not encrypted",
        "add ?sslmode=verify-full to RECORDER_DATABASE__URL; rows are sealed, but not everything about them",
    ),
    # keys
    "keys_ok": Kind("ok", "key ring", "{days} day keys are ready, and the root key fits"),
    "keys_no_mirror": Kind(
        "warning",
        "key ring",
        "there is no mirror: losing the ring loses every recording",
        "set RECORDER_KEYS__MIRROR_URL to a second place",
    ),
    "keys_beside_data": Kind(
        "warning",
        "key ring",
        "the ring lies in the folder of database and recordings: a snapshot of the whole folder stays readable",
        "move the ring (docs/operating.md says how), or keep 'keys' out of every backup",
    ),
    "keys_beside_recordings": Kind(
        "warning",
        "key ring",
        "the ring lies in the bucket of the recordings: a copy of that bucket opens them",
        "give the ring a bucket of its own, with credentials of its own",
    ),
    "keys_place_faulty": Kind(
        "fault",
        "key ring",
        "{place} must not keep keys: {why}",
        "use a bucket or folder that never had versions, locks or replicas",
        blocks="P3",
    ),
    "root_key_open": Kind(
        "fault", "key ring", "others may read the root key ({mode})", "chmod 600, then `recorder keys rotate`", "P2"
    ),
    # store
    "store_ok": Kind("ok", "store", "writes, reads ranges, keeps tags, and deletes for good"),
    "store_faulty": Kind("fault", "store", "must not keep recordings: {why}", "mend it, or use another store", "P3"),
    "store_doubtful": Kind("warning", "store", "{why}", 'see docs/operating.md, "Recordings and keys in S3"'),
    # mail, SMS, calls
    "mail_ok": Kind("ok", "mail", "{host} takes it under TLS{login}; from {sender}"),
    "mail_files": Kind("ok", "mail", "written to files, for trying out"),
    "mail_away": Kind("fault", "mail", "{why}", "check RECORDER_MAIL__URL, its certificate and its password"),
    "mail_sender": Kind("fault", "mail", "the sender is no address: {sender}", "set RECORDER_MAIL__SENDER"),
    "sms_ok": Kind("ok", "sms", "{what} answers; codes go to {prefixes}{calls}"),
    "sms_files": Kind("ok", "sms", "written to files, for trying out"),
    "sms_away": Kind("fault", "sms", "{why}", "check RECORDER_SMS__URL and the account"),
    # outside
    "outside_ok": Kind("ok", "outside", "{parties}"),
    "public_url_ok": Kind("ok", "public url", "{url} answers"),
    "public_url_local": Kind("ok", "public url", "{url} is for trying out: only this machine reaches it"),
    "public_url_away": Kind(
        "warning",
        "public url",
        "{url} cannot be reached from here ({why})",
        "if `recorder serve` is running, check name, certificate and proxy; some networks do not reach themselves",
    ),
    "organisation_ok": Kind("ok", "organisation", "{name} speaks to customers"),
    "organisation_example": Kind(
        "warning",
        "organisation",
        "still the example's: {settings}",
        "set them: customers read them, and who calls a number that is not in lines.toml is put through to the phone",
    ),
    "platforms_ok": Kind("ok", "platforms", "{names}"),
    "platforms_none": Kind(
        "warning", "platforms", "none has a secret: every webhook is refused", "see docs/platforms.md"
    ),
    "platform_secret_weak": Kind(
        "fault",
        "platforms",
        "{setting}: {why}; who guesses it can say yes in a customer's place",
        "take the platform's own, or make one of 32 random bytes",
    ),
    "directory_ok": Kind("ok", "directory", "answers"),
    "directory_none": Kind(
        "warning",
        "directory",
        "nobody is in it: no customer can be sent a link",
        "write directory.csv, or set RECORDER_DIRECTORY__URL",
    ),
    "lines_ok": Kind("ok", "lines", "{count} lines"),
    "lines_none": Kind("warning", "lines", "no line is known: nothing is recorded", "write lines.toml"),
    "lines_faulty": Kind("fault", "lines", "{why}", "recorder lines check"),
    "ffmpeg_ok": Kind("ok", "ffmpeg", "{version}; flac, mp3 and opus"),
    "ffmpeg_codecs": Kind(
        "fault", "ffmpeg", "{version} lacks {missing}", "install Debian's ffmpeg, or leave the choice to us"
    ),
    "ffmpeg_missing": Kind(
        "fault", "ffmpeg", "it cannot be run: recordings with a yes would fail", "install Debian's ffmpeg"
    ),
}
