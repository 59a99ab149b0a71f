#!/usr/bin/env bash
# From a bare Debian 12 to a finished study: installs, builds, generates hospitals, runs, reports.
#
# May be run again at any time: what is there is used, the demo itself is made anew in build/demo.
# Ends with the verdict and the path of report.html. Exit code: 0, or that of the step that failed.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

require_disk
install_packages
configure_and_build consilium

consilium="$build/bin/consilium"
demo="$root/build/demo"
report="$demo/report"

say "Generating a study in ${demo#"$root"/}"
rm -rf -- "$demo"
"$consilium" demo --out "$demo" >/dev/null

sites=()
for cohort in "$demo"/*.yaml; do
  site="$(basename "$cohort" .yaml)"
  [[ "$site" == study ]] || sites+=(--site "$site=$cohort")
done
((${#sites[@]})) || fail "the demo wrote no cohort files to $demo."

say "Running it: a coordinator and $((${#sites[@]} / 2)) hospitals in one process"
"$consilium" simulate "$demo/study.yaml" "${sites[@]}" --data "$demo" --out "$report"
[[ -s "$report/report.html" ]] || fail "the study ran, but $report/report.html was not written."
echo "Open it in any browser. Your own study next: README.md, \"Your own study\"."
