#!/usr/bin/env bash
# Installs the packages in a clean Debian 12 and lets a federation live there: a booted tree with its
# own systemd, apt and network (loopback only), thrown away afterwards.
#
#   deploy/packages/test.sh
#
# Needs root, debootstrap and systemd-nspawn (apt-get install debootstrap systemd-container), and apt's
# mirror for the packages that ours depend on. The packages are built (build.sh), or taken from
# CONSILIUM_DEBS=DIR. The clean tree is made once in CONSILIUM_TREE (default build/packages/tree).
# Trees are booted beside it.
# What happens inside is inside.sh. Exit code: 0, 1 if something did not hold, 77 if it cannot be run here.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
base="${CONSILIUM_TREE:-$root/build/packages/tree}"
limit_s="${CONSILIUM_LIMIT_S:-600}"
say() { printf '\n== %s\n' "$*"; }

((EUID == 0)) || { echo "skipped: only root can boot a tree of its own" >&2; exit 77; }
for tool in debootstrap systemd-nspawn; do
  command -v "$tool" >/dev/null || { echo "skipped: $tool was not found" >&2; exit 77; }
done

debs="${CONSILIUM_DEBS:-}"
if [[ -z "$debs" ]]; then
  say "Building the packages"
  mkdir -p "$(dirname "$base")"
  "$here/build.sh" "$(dirname "$base")/debs"
  debs="$(dirname "$base")/debs"
fi
if command -v lintian >/dev/null; then
  say "lintian"
  lintian --allow-root --fail-on error "$debs"/consilium*.deb
else
  say "lintian was not found: its checks are not made"
fi

if [[ ! -e "$base/etc/debian_version" ]]; then
  say "Making a clean Debian 12"
  rm -rf -- "$base"
  mkdir -p "$base"
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates bookworm "$base"
fi

tree="$(mktemp -d "$(dirname "$base")/booted.XXXXXX")"
trap 'rm -rf --one-file-system -- "$tree"' EXIT
cp -a "$base/." "$tree"
mkdir -p "$tree/test/debs"
cp "$debs"/consilium*.deb "$tree/test/debs"
cp "$here/inside.sh" "$root/deploy/lib/drive.sh" "$tree/test"
echo packages >"$tree/etc/hostname"
echo "127.0.0.1 localhost packages coordinator.example.org" >"$tree/etc/hosts"
cat >"$tree/etc/systemd/system/packages-test.service" <<'END'
[Unit]
Description=The test of the packages
After=multi-user.target dbus.service
Wants=dbus.service
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
ExecStart=/bin/bash /test/inside.sh
StandardOutput=file:/test/said
StandardError=inherit
[Install]
WantedBy=default.target
END
ln -s /etc/systemd/system/packages-test.service "$tree/etc/systemd/system/multi-user.target.wants/"
# Nothing of the machine outside is to be waited for.
ln -sf /dev/null "$tree/etc/systemd/system/systemd-resolved.service"

say "Fetching what the packages depend on"
nspawn=(systemd-nspawn --quiet --directory="$tree" --register=no --keep-unit --link-journal=no)
"${nspawn[@]}" --pipe --as-pid2 --resolv-conf=copy-host /bin/sh -c \
  'apt-get update -qq && apt-get install -qq -y --no-install-recommends --download-only /test/debs/*.deb' \
  >"$tree/test/apt" 2>&1 </dev/null || { tail -n 20 "$tree/test/apt" >&2; exit 1; }

say "Booting it, with a network of its own"
status=0
timeout --signal=TERM --kill-after=20 "$limit_s" \
  "${nspawn[@]}" --boot --private-network --console=passive </dev/null >"$tree/test/console" 2>&1 || status=$?
cat "$tree/test/said" 2>/dev/null || tail -n 40 "$tree/test/console"
if [[ ! -e "$tree/test/passed" ]]; then
  echo "error: it did not come to its end (systemd-nspawn: $status)" >&2
  exit 1
fi
