#!/usr/bin/env bash
# Fuzzes the readers of untrusted bytes; builds the preset `fuzz` (clang, ASan, UBSan) first.
#
#   tests/fuzz/run.sh [-s SECONDS] [TARGET...]
#
# SECONDS (300) are processor seconds a target: a busy machine fuzzes as much as an idle one. Seeds
# come from tests/fuzz/corpus/TARGET and deploy/studies; what the fuzzer learns is kept in
# build/fuzz/corpus/TARGET and used again; an input that breaks something is left in
# build/fuzz/findings, named after its target. Exit code: 0, or 1 if a target found something.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/lib/setup.sh"

seconds=300
usage() { sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
while getopts 's:h' option; do
  case "$option" in
    s) seconds="$OPTARG" ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
[[ "$seconds" =~ ^[1-9][0-9]*$ ]] || usage

folder="$root/tests/fuzz"
build="$root/build/fuzz"
mapfile -t known < <(sed -n 's/^consilium_fuzz(\([a-z0-9_]*\).*/\1/p' "$folder/CMakeLists.txt")
targets=("$@")
((${#targets[@]})) || targets=("${known[@]}")
for target in "${targets[@]}"; do
  [[ " ${known[*]} " == *" $target "* ]] ||
    fail "there is no fuzz target $target; there are: ${known[*]}"
done

packages+=(clang libclang-rt-14-dev)
require_disk
install_packages
say "Building ${#targets[@]} targets in ${build#"$root"/}"
(
  cd "$root"
  cmake --preset fuzz
  cmake --build --preset fuzz --parallel "$(job_count)" --target "${targets[@]}"
)

mkdir -p "$build/findings"
TIMEFORMAT='%U %S'
found=()
for target in "${targets[@]}"; do
  learned="$build/corpus/$target"
  log="$build/$target.log"
  mkdir -p "$learned"
  seeds=("$root/deploy/studies")
  [[ -d "$folder/corpus/$target" ]] && seeds+=("$folder/corpus/$target")
  dictionary=()
  [[ -f "$folder/$target.dict" ]] && dictionary=("-dict=$folder/$target.dict")

  say "$target: ${seconds} s, log in ${log#"$root"/}"
  : >"$log"
  spent=0
  status=0
  # libFuzzer counts the clock on the wall; what a busy machine took from us is run again.
  while ((spent * 20 < seconds * 19 && status == 0)); do
    times="$({ time "$build/bin/$target" -max_total_time=$((seconds - spent)) -timeout=20 \
      -rss_limit_mb=3000 -max_len=16384 -artifact_prefix="$build/findings/$target-" \
      "${dictionary[@]}" "$learned" "${seeds[@]}" >>"$log" 2>&1; } 2>&1)" || status=$?
    spent="$(awk -v spent="$spent" '{print int(spent + $1 + $2 + 0.999)}' <<<"$times")"
  done
  awk -v spent="$spent" '/^#[0-9]+[ \t]+DONE/ {runs += substr($1, 2); last = $0}
    END {sub(/.*cov:/, "cov:", last); print runs + 0 " inputs in " spent " s; " last}' "$log"
  if ((status)); then
    found+=("$target")
    grep -E '^SUMMARY|^==[0-9]+== *ERROR|Test unit written' "$log" | head -n 5 || tail -n 20 "$log"
  fi
done

if ((${#found[@]})); then
  fail "found something: ${found[*]}" \
    "Run a finding again: build/fuzz/bin/TARGET build/fuzz/findings/FILE"
fi
say "Nothing found by ${targets[*]}"
