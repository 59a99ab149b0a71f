#!/usr/bin/env bash
# Builds under a sanitizer, runs the tests, and lists everything that it found, also in programs
# that a test killed before they could end.
#
#   tests/sanitizers/run.sh tsan|asan-ubsan [-d BUILD] [CTEST-ARGUMENT...]
#
# The presets of these names; BUILD (build/PRESET) is where they are built. CTEST-ARGUMENTs choose
# tests: -R network_test. Every report is a file in BUILD/reports, by program and process. What is
# suppressed stands in tests/sanitizers/*.supp with its reason. Exit code: 0, or 1 if a test failed
# or something was reported.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/lib/setup.sh"

usage() { sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
preset="${1:-}"
[[ "$preset" == tsan || "$preset" == asan-ubsan ]] || usage
shift
build="$root/build/$preset"
if [[ "${1:-}" == -d ]]; then
  (($# >= 2)) || usage
  build="$(realpath -m "$2")"
  shift 2
fi

require_disk
install_packages
say "Building $build"
cd "$root"
cmake --preset "$preset" -B "$build"
cmake --build "$build" --parallel "$(job_count)"

reports="$build/reports"
rm -rf "$reports"
mkdir -p "$reports"
here="$root/tests/sanitizers"
if [[ "$preset" == tsan ]]; then
  export TSAN_OPTIONS="suppressions=$here/tsan.supp:print_suppressions=0:second_deadlock_stack=1:ignore_noninstrumented_modules=1"
  TSAN_OPTIONS+=":log_path=$reports/tsan:log_exe_name=1"
else
  export ASAN_OPTIONS="log_path=$reports/asan:log_exe_name=1"
  export UBSAN_OPTIONS="print_stacktrace=1:log_path=$reports/ubsan:log_exe_name=1"
  export LSAN_OPTIONS="suppressions=$here/lsan.supp:print_suppressions=0"
fi

say "Testing"
status=0
ctest --test-dir "$build" -L '^ci$' --output-on-failure --no-tests=error "$@" || status=1

say "Reports"
mapfile -t found < <(find "$reports" -type f -size +0 | sort)
if ((${#found[@]})); then
  grep -hE '^SUMMARY|runtime error' "${found[@]}" | sort | uniq -c | sort -rn || true
  fail "${#found[@]} processes reported something; read $reports"
fi
echo "none"
exit "$status"
