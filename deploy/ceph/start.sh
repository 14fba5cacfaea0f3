#!/bin/sh
# Monitor, one object store in a file, gateway. Makes what is missing in /ceph, and one user: S3_ACCESS_KEY_FILE and
# S3_SECRET_KEY_FILE name the files of their keys.
set -eu
home=${CEPH_HOME:-/ceph} port=${S3_PORT:-7480} mon=${MON_PORT:-3300}
export CEPH_CONF="$home/ceph.conf" CEPH_ARGS="--cluster ceph"
mkdir -p "$home/mon" "$home/osd" "$home/rgw" "$home/run"
[ -f "$home/fsid" ] || cat /proc/sys/kernel/random/uuid >"$home/fsid"
cat >"$CEPH_CONF" <<CONF
[global]
fsid = $(cat "$home/fsid")
mon_host = [v2:127.0.0.1:$mon]
public_addr = 127.0.0.1
keyring = $home/keyring
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
mon_data_avail_crit = 0
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
bluestore_block_create = true
bluestore_block_size = 21474836480
osd_memory_target = 1073741824
run_dir = $home/run
admin_socket = $home/run/\$name.asok
pid_file = $home/run/\$name.pid
log_file = /dev/null
mon_data = $home/mon
osd_data = $home/osd
[client.rgw]
rgw_data = $home/rgw
rgw_frontends = beast endpoint=0.0.0.0:$port
rgw_crypt_require_ssl = false
CONF
said() { timeout 60 ceph "$@" >/dev/null; }

if [ ! -f "$home/keyring" ]; then
    ceph-authtool --create-keyring "$home/keyring.new" --gen-key -n mon. --cap mon 'allow *' >/dev/null
    ceph-authtool "$home/keyring.new" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >/dev/null
    mv "$home/keyring.new" "$home/keyring"
    monmaptool --create --fsid "$(cat "$home/fsid")" --addv a "[v2:127.0.0.1:$mon]" "$home/monmap" >/dev/null
    ceph-mon -i a --mkfs --monmap "$home/monmap" --keyring "$home/keyring"
fi
ceph-mon -f -i a &
if [ ! -f "$home/osd/ready" ]; then
    osd=$(cat /proc/sys/kernel/random/uuid)
    said osd new "$osd"
    timeout 60 ceph auth get-or-create osd.0 mon 'allow profile osd' osd 'allow *' >>"$home/keyring"
    timeout 60 ceph auth get-or-create client.rgw mon 'allow rw' osd 'allow rwx' >>"$home/keyring"
    ceph-osd -i 0 --mkfs --osd-uuid "$osd"
    echo "$osd" >"$home/osd/ready"
fi
ceph-osd -f -i 0 --osd-uuid "$(cat "$home/osd/ready")" &
radosgw -f -n client.rgw &
gateway=$!
key=$(cat "${S3_ACCESS_KEY_FILE:?}") secret=$(cat "${S3_SECRET_KEY_FILE:?}")
until timeout 60 radosgw-admin user info --uid=recorder >/dev/null 2>&1 ||
    timeout 60 radosgw-admin user create --uid=recorder --display-name=recorder --access-key="$key" --secret="$secret" >/dev/null 2>&1; do
    sleep 1
done
echo "an S3 server on port $port"
trap 'kill $(jobs -p)' TERM INT
wait "$gateway"
