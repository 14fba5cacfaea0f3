#!/bin/sh
# Makes the secrets compose.yaml names, once, in deploy/compose/secrets (never committed). Existing ones stay.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets
random() { head -c "$1" /dev/urandom | base64 | tr -d '\n'; }
plain() { random 60 | tr -d '+/=' | cut -c "1-$1"; }
[ -f root_key ] || random 32 >root_key
[ -f webhook_secret ] || echo "whsec_$(random 24)" >webhook_secret
[ -f s3_access_key ] || plain 20 >s3_access_key
[ -f s3_secret_key ] || plain 40 >s3_secret_key
[ -f database_password ] || plain 32 >database_password
echo "postgresql+psycopg://recorder:$(cat database_password)@database/recorder" >database_url
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$(cat s3_access_key)" "$(cat s3_secret_key)" >s3_credentials
chmod 0644 ./* # file secrets are bound into containers as they are; the folder above keeps others out
chmod 0700 .
