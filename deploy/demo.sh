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
results="$demo/results"

say "Generating a study in ${demo#"$root"/}"
rm -rf -- "$demo"
"$consilium" demo --out "$demo"

# Every YAML file but the study's is a site's cohort file; it says itself which site's.
sites=()
while IFS= read -r cohort; do
  site="$(sed -n 's/^site:[[:space:]]*//p' "$cohort" | head -n 1)"
  [[ -n "$site" ]] && sites+=(--site "$site=$cohort")
done < <(find "$demo" -name '*.yaml' ! -name study.yaml | sort)
((${#sites[@]})) || fail "the demo wrote no cohort files to $demo."

say "Running it: one coordinator and $((${#sites[@]} / 2)) hospitals in one process"
"$consilium" simulate "$demo/study.yaml" "${sites[@]}" --data "$demo" --out "$results"

say "Done"
[[ -s "$results/report.html" ]] || fail "the study ran, but $results/report.html was not written."
node="$(command -v node || command -v nodejs)"
"$node" -e '
  const { verdict } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
  console.log(`Verdict: ${verdict.word}. ${verdict.sentence}`);
' "$results/report.json"
echo "Report:  $results/report.html"
echo "Open it in any browser. Your own study: README.md, \"Your own study\"."
