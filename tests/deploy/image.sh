#!/usr/bin/env bash
# Builds the image and runs it as it is meant to run: not as root, on a read-only root, as process 1.
# Needs root, buildah and debootstrap; no Docker engine and no registry. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/../.."

BASE=debian:trixie-slim
export BUILDAH_ISOLATION=chroot
work=$(mktemp -d "${TMPDIR:-/var/tmp}/recorder-image.XXXXXX")
driver=overlay # vfs copies everything for every layer, and works everywhere
b() { buildah --storage-driver "$driver" --root "$work/storage" --runroot "$work/run" "$@"; }
fail() { echo "image: FAILED: $*" >&2; exit 1; }
say() { echo "image: $* (${SECONDS} s)" >&2; }

[ "$(id -u)" = 0 ] || fail "must run as root"
for program in buildah debootstrap unshare setpriv; do
    command -v "$program" >/dev/null || fail "needs $program"
done
unshare --mount --pid --fork true || fail "this machine does not let root make namespaces"

server=
tidy() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    b umount --all >/dev/null 2>&1 || true
    rm -rf --one-file-system "$work"
}
trap tidy EXIT

# -- build

b info >/dev/null 2>&1 || { driver=vfs && rm -rf "$work/storage" "$work/run"; }

debootstrap --variant=minbase --exclude=e2fsprogs trixie "$work/base" >"$work/log" 2>&1 || { tail "$work/log"; fail "debootstrap"; }
say "base made"
echo 'FROM scratch
COPY base /' | b bud --quiet --tag "docker.io/library/$BASE" --file - "$work" >/dev/null
rm -rf --one-file-system "$work/base"

# Where this machine's pip finds packages, for the build alone: the lock decides which, so no constraint of the machine's.
places='index-url|extra-index-url|find-links|no-index|trusted-host|proxy|timeout|retries'
python3 -m pip config list | sed -nE "s/^global\.($places)='(.*)'$/\1 = \2/p" >"$work/options"
{ echo '[global]'; cat "$work/options"; } >"$work/pip.conf"
mounts=()
certificates=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}
if [ -f "$certificates" ]; then
    cp "$certificates" "$work/ca.crt"
    echo "cert = /run/ca.crt" >>"$work/pip.conf"
    mounts+=(--volume "$work/ca.crt:/run/ca.crt:ro")
fi
for folder in $(grep -oE '(^|[ =]|file://)/[A-Za-z0-9_./-]+' "$work/options" | sed -E 's#^[^/]*(//)?/#/#; s#/simple/?$##' | sort -u); do
    [ ! -d "$folder" ] || mounts+=(--volume "$folder:$folder:ro")
done
b bud --pull=never --format docker --secret "id=pip.conf,src=$work/pip.conf" "${mounts[@]}" --tag recorder . >"$work/log" 2>&1 ||
    { tail -40 "$work/log"; fail "build"; }
say "built, $(b images --format '{{.Size}}' recorder)"

# -- what it is

config=$(b inspect --type image recorder)
python3 - "$config" <<'PYTHON' || fail "its configuration"
import json, sys
config = json.loads(sys.argv[1])["Docker"]["config"]
assert config["User"] == "10001:10001", config["User"]
assert config["StopSignal"] == "SIGTERM", config
assert config["Healthcheck"]["Test"] == ["CMD", "recorder", "health"], config
assert config["Entrypoint"] == ["recorder"] and config["Cmd"] == ["serve"], config
assert list(config["Volumes"]) == ["/data"], config
secret = [line for line in config["Env"] if any(word in line.upper() for word in ("SECRET", "TOKEN", "PIP_", "KEY="))]
assert not secret, secret
PYTHON
container=$(b from --pull-never recorder)
root=$(b mount "$container")
left=$(find "$root" -xdev \( -path '*/bin/pip*' -o -path '*/bin/gcc*' -o -path '*/site-packages/pip' -o -name 'pip.conf' -o -name '.git' \) | head)
[ -z "$left" ] || fail "it holds what it does not need: $left"

# -- that it runs

data="$work/data"
install -d -o 10001 -g 10001 -m 700 "$data"
cat >"$work/enter" <<'ENTER'
#!/bin/sh
# As a container engine would: own mounts, everything read-only but /data and /tmp, no way back to root.
set -e
root=$1 data=$2
shift 2
mount --bind "$root" "$root"
for file in null zero urandom random; do
    : >"$root/dev/$file"
    mount --bind "/dev/$file" "$root/dev/$file"
done
mkdir -p "$root/dev/shm" "$root/proc" "$root/tmp"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777,size=64m tmpfs "$root/tmp"
mount -t tmpfs -o mode=1777,size=64m tmpfs "$root/dev/shm"
mount --bind "$data" "$root/data"
mount -t proc proc "$root/proc"
cd /
exec setpriv --no-new-privs chroot --userspec=10001:10001 "$root" /usr/bin/env -i PATH=/app/bin:/usr/bin:/bin HOME=/data \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 RECORDER_DATA_DIR=/data RECORDER_HTTP__HOST=0.0.0.0 $RUN_WITH "$@"
ENTER
chmod +x "$work/enter"
into=(unshare --mount --pid --fork --kill-child "$work/enter" "$root" "$data")
inside() { "${into[@]}" "$@"; }

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
secret="whsec_$(head -c 24 /dev/urandom | base64)"
export RUN_WITH="RECORDER_HTTP__PORT=$port RECORDER_PLATFORMS__STANDARD__SECRETS=$secret"

inside /bin/sh -c 'test "$(id -u)" = 10001 && ! touch /app/x 2>/dev/null && ! touch /etc/x 2>/dev/null && touch /data/x /tmp/x && rm /data/x' ||
    fail "it is root, or its root can be written to"
[ "$(inside recorder version)" = "$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' recorder/__init__.py)" ] || fail "recorder version"
inside ffmpeg -version >/dev/null || fail "ffmpeg"
inside recorder doctor >"$work/log" || true # it finds what a first start lacks: lines, directory, a mirror
cat "$work/log"
for code in clock_ok database_ok keys_ok store_ok folder_ok ffmpeg_ok; do
    grep -qF "[$code]" "$work/log" || fail "doctor: no $code"
done
say "doctor"
RUN_WITH="RECORDER_DATA_DIR=/data/demo RECORDER_HTTP__PORT=0" inside recorder demo --once >"$work/log" 2>&1 || { cat "$work/log"; fail "recorder demo"; }
grep -q "all in order" "$work/log" || { cat "$work/log"; fail "recorder demo"; }
say "the demo's story, ffmpeg and all"

printf '[[line]]\nnumber = "+4570123456"\nbrand = "flexii"\ncustomer_type = "private"\ncall_kind = "service"\nlanguage = "da"\nscript = "inbound-da"\nconsent = "ask"\nthen.dial = "+4570000000"\n' >"$data/lines.toml"
echo 'phone,account,email,mobile,customer_type,language' >"$data/directory.csv"
chown 10001:10001 "$data"/*.toml "$data"/*.csv
"${into[@]}" recorder serve >"$work/serve.log" 2>&1 &
server=$!
for _ in $(seq 240); do
    inside recorder health --ready >/dev/null 2>&1 && break
    kill -0 "$server" 2>/dev/null || { cat "$work/serve.log"; fail "recorder serve ended"; }
    sleep 0.5
done
[ "$(inside recorder health --ready)" = ready ] || { cat "$work/serve.log"; fail "not ready"; }
python3 - "$port" "$secret" <<'PYTHON' || { cat "$work/serve.log"; fail "a webhook"; }
import base64, hashlib, hmac, json, sys, time, urllib.error, urllib.request
port, secret = sys.argv[1:]
body = json.dumps({"type": "call.started", "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                   "data": {"call_id": "image-1", "direction": "inbound", "from": "+4520123456", "to": "+4570123456"}}).encode()
def post(signed):
    name, at = "msg_image", str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mark = base64.b64encode(hmac.digest(key, f"{name}.{at}.".encode() + signed, "sha256")).decode()
    headers = {"webhook-id": name, "webhook-timestamp": at, "webhook-signature": f"v1,{mark}", "Content-Type": "application/json"}
    try:
        return urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/webhooks/events", body, headers), timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
assert post(body) == 204, "a signed webhook"
assert post(b"another body") == 401, "a forged one"
PYTHON
kill -TERM "$(pgrep -P "$server")" # process 1 of its namespace: nothing but its own handler may end it
for _ in $(seq 120); do
    kill -0 "$server" 2>/dev/null || break
    sleep 0.5
done
kill -KILL "$server" 2>/dev/null || true # 137, should it still be there
wait "$server" && ended=0 || ended=$?
server=
[ "$ended" = 0 ] || { cat "$work/serve.log"; fail "SIGTERM: exit $ended"; }
if grep -q '20123456' "$work/serve.log"; then fail "a number in its log"; fi
say "served, healthy, took a webhook, stopped"
