#!/usr/bin/env bash
# Makes the four Debian packages and prints where they are.
#
#   deploy/packages/build.sh [OUT]       default OUT: build/packages/debs
#
# Builds build/packages by the preset `packages` (release, hardened, without tests). A build that
# stands already is packed as it is: CONSILIUM_BUILD=DIR. Needs what deploy/test.sh installs, and
# help2man, dpkg-dev, file.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
build="${CONSILIUM_BUILD:-$root/build/packages}"
out="${1:-$root/build/packages/debs}"
for tool in help2man:help2man dpkg-shlibdeps:dpkg-dev file:file; do
  command -v "${tool%%:*}" >/dev/null || {
    echo "error: ${tool%%:*} was not found. apt-get install ${tool##*:}" >&2
    exit 1
  }
done
if [[ -z "${CONSILIUM_BUILD:-}" ]]; then
  (cd "$root" && cmake --preset packages && cmake --build --preset packages)
fi
cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
CONSILIUM_PACKAGE_CONTACT="$(cached CONSILIUM_PACKAGE_CONTACT)" "$root/deploy/packages/generate.sh" \
  "$build/bin" "$build/package_files" "$(cached CMAKE_PROJECT_VERSION)"
mkdir -p "$out"
rm -f -- "$out"/consilium*.deb
# Files of a package are for everybody to read, whoever builds it.
(umask 022 && cd "$build" && cpack -G DEB -B "$out" >"$out/cpack.log") || {
  cat "$out/cpack.log" >&2
  exit 1
}
rm -rf -- "$out/_CPack_Packages"
ls "$out"/consilium*.deb
