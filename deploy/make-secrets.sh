#!/bin/sh
# Writes the passwords and keys of compose.yaml into deploy/secrets, once: what is there is kept.
# Back up secrets/optiinfra_master_key apart from the database: without it no stored credential can be read.
set -eu
umask 077
mkdir -p "$(dirname "$0")/secrets"
cd "$(dirname "$0")/secrets"

random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
# Processes of several users read them in containers, where each is mounted alone; on this machine the folder admits its owner only.
write() { [ -e "$1" ] || { printf '%s\n' "$2" >"$1.new" && chmod 0644 "$1.new" && mv "$1.new" "$1"; }; }

write postgres_password "$(random 24)"
write optiinfra_postgres_url "postgresql://optiinfra:$(cat postgres_password)@postgres:5432/optiinfra"
write clickhouse_password "$(random 24)"
write optiinfra_clickhouse_url "http://optiinfra:$(cat clickhouse_password)@clickhouse:8123/default"
digest=$(tr -d '\n' <clickhouse_password | sha256sum | cut -d ' ' -f 1)
write clickhouse_users.xml "<clickhouse><users><default remove=\"remove\"/><optiinfra><password_sha256_hex>$digest</password_sha256_hex>
  <networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota><access_management>1</access_management></optiinfra></users></clickhouse>"
write optiinfra_master_key "$(head -c 32 /dev/urandom | base64)"
for name in dagster_token link_key metrics_token; do write "optiinfra_$name" "$(random 32)"; done
