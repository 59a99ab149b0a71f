#!/usr/bin/env bash
# From a bare Debian 12 to a finished study: installs, builds, makes five hospitals' images, extracts
# features at each, runs the study, reports.
#
#   ./deploy/demo.sh                a coordinator and five hospitals' agents as processes of their own,
#                                   enrolled with the real commands (deploy/federation.sh)
#   ./deploy/demo.sh --one-process  the same study, simulated in one process: the same bytes
#
# May be run again at any time: what is there is used, the demo itself is made anew in build/demo.
# Ends with the verdict and the path of report.html. Exit code: 0, or that of the step that failed.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

network=1
case "${1:-}" in
  '') ;;
  --one-process) network=0 ;;
  *)
    echo "error: '$1' is not known here; expected nothing or --one-process" >&2
    sed -n '5,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac

require_disk
install_packages
if ((network)); then
  configure_and_build consilium-extract consilium consilium-coordinator consilium-site
else
  configure_and_build consilium-extract consilium
fi

consilium="$build/bin/consilium"
extract="$build/bin/consilium-extract"
demo="$root/build/demo"

say "Making five hospitals' images in ${demo#"$root"/}"
rm -rf -- "$demo"
"$extract" demo --out "$demo" >/dev/null
# The study says how features are extracted; each hospital reproduces the phantom's before it answers.
"$extract" phantom --settings "$demo/params.yaml" >>"$demo/study.yaml"

sites=() cohorts=()
for list in "$demo"/cases-*.csv; do
  site="$(basename "${list#"$demo"/cases-}" .csv)"
  say "Extracting features at $site"
  "$extract" "$list" --settings "$demo/params.yaml" --out "$demo/features/$site"
  sites+=(--site "$site=$demo/$site.yaml")
  cohorts+=("$demo/$site.yaml")
done

if ((network)); then
  say "Running it over the network, below ${demo#"$root"/}/network"
  report="$demo/network/report"
  "$root/deploy/federation.sh" -d "$demo" -o "$demo/network" "$demo/study.yaml" "${cohorts[@]}"
else
  say "Running it: a coordinator and ${#cohorts[@]} hospitals in one process"
  report="$demo/report"
  "$consilium" simulate "$demo/study.yaml" "${sites[@]}" --data "$demo" --out "$report"
fi
[[ -s "$report/report.html" ]] || fail "the study ran, but $report/report.html was not written."
echo "Open it in any browser. Your own study next: README.md, \"Your own study\"."
