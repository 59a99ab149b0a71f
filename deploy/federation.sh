#!/usr/bin/env bash
# A whole federation on this machine: one coordinator and one agent a hospital, as separate processes.
#
#   deploy/federation.sh -d DATA -o OUT STUDY.yaml COHORT.yaml...
#
# Enrols everybody with the real commands, submits the study, shows its progress, fetches the report
# to OUT/report, audits it, and stops everything. A cohort file is named after its site; its tables
# are found under DATA. Programs are taken from build/release/bin, or from CONSILIUM_BIN. Everything
# is written below OUT, which is made anew. Exit code: that of the study (consilium study watch).
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
bin="${CONSILIUM_BIN:-$root/build/release/bin}"
usage() { sed -n '4,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
fail() { printf '\nerror: %s\n' "$1" >&2; exit 1; }
source "$root/deploy/lib/drive.sh"

data='' out=''
while getopts 'd:o:h' option; do
  case "$option" in
    d) data="$(cd "$OPTARG" && pwd)" ;;
    o) out="$OPTARG" ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
[[ -n "$data" && -n "$out" && $# -ge 2 ]] || usage
study="$(realpath "$1")"
shift
rm -rf -- "$out"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
logs="$out"

processes=()
stop_all() {
  trap - EXIT INT TERM
  ((${#processes[@]})) && kill "${processes[@]}" 2>/dev/null
  wait 2>/dev/null || true
}
trap stop_all EXIT
trap 'exit 130' INT TERM

# A port on which nobody listens now.
free_port() {
  local port
  for _ in {1..100}; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  fail "no free port between 20000 and 32000"
}
is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }

work="$(free_port)" enrol="$(free_port)"
export CONSILIUM_HOME="$out/lead"

echo "coordinator on ports $work and $enrol"
lead_token="$("$bin/consilium-coordinator" --json --folder "$out/coordinator" init --name Federation \
  --host 127.0.0.1 --port "$work" --enrol-port "$enrol" --lead lead | value token)"
"$bin/consilium-coordinator" --folder "$out/coordinator" serve --listen 127.0.0.1 \
  >"$out/coordinator.log" 2>&1 &
processes+=($!)
wait_for "the coordinator's start" is_open "$enrol"
"$bin/consilium" key enroll "$lead_token" >"$out/lead.log"
lead_key="$("$bin/consilium" --json key show | value key)"

for cohort in "$@"; do
  site="$(basename "$cohort" .yaml)"
  mkdir -p "$out/sites/$site"
  # One machine, one policy: what this lead signs is approved, leave-one-center-out and public data too.
  cat >"$out/sites/$site/site.yaml" <<EOF
site: $site
state: state
cohorts:
  - {file: "$(realpath "$cohort")", data: "$data"}
policy:
  approve: lead
  leads: [$lead_key]
  allow_leave_one_center_out: true
  allow_public_data: true
network: {proxy: none}
EOF
  token="$("$bin/consilium" --json site invite "$site" | value token)"
  "$bin/consilium-site" --config "$out/sites/$site/site.yaml" enroll "$token" >"$out/sites/$site/enroll.log"
  "$bin/consilium-site" --config "$out/sites/$site/site.yaml" run >"$out/sites/$site/agent.log" 2>&1 &
  processes+=($!)
done
connected() { (($("$bin/consilium" --json site list | grep -o '"connected":true' | wc -l) >= $1)); }
wait_for "the connection of $# agents" connected $#
echo "$# agents enrolled and started, each a process of its own; mutual TLS 1.3"

id="$("$bin/consilium" --json study submit "$study" --yes | value study)"
[[ -n "$id" ]] || id="$("$bin/consilium" --json study list | value study)"
status=0
"$bin/consilium" study watch "$id" || status=$?
if ((status == 0)); then
  "$bin/consilium" audit fetch "$id" --out "$out/report" >/dev/null
  "$bin/consilium" audit replay "$out/report"
  for cohort in "$@"; do
    "$bin/consilium-site" --config "$out/sites/$(basename "$cohort" .yaml)/site.yaml" ledger --verify | head -n 1
  done
  "$bin/consilium" report "$id" --out "$out/report"
else
  tail -n 5 "$out/coordinator.log" "$out"/sites/*/agent.log >&2
fi
exit "$status"
