#!/usr/bin/env bash
# Installs what is missing, builds everything, runs the tests that every change must pass.
#
# Exit code: ctest's (0: all passed). The tests' programs and ctest's log stay in build/release.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

require_disk
install_packages
configure_and_build

say "Testing"
shared="$(sed -n 's/^CONSILIUM_SHARED_DIR:PATH=//p' "$build/CMakeCache.txt")"
[[ -d "$shared" ]] ||
  echo "Published reference numbers are not at $shared: the tests that need them will be skipped."
exec ctest --test-dir "$build" -L '^ci$' -j 2 --output-on-failure --no-tests=error
