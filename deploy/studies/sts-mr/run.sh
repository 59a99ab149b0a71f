#!/usr/bin/env bash
# The study from its images to its report: the list of cases, their features, then a coordinator and
# three makers' agents over mutual TLS, each of which reproduces the study's phantom before it answers.
#
#   deploy/studies/sts-mr/run.sh DATA OUT
#
# DATA is what prepare.sh reads. Features come to OUT/features, what the processes write to
# OUT/network, the report to OUT/network/report. Programs are taken from build/release/bin, or from
# CONSILIUM_BIN. Exit code: that of the step that failed, or of the study.
set -euo pipefail

(($# == 2)) || { sed -n '5s/^# *//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
bin="${CONSILIUM_BIN:-$root/build/release/bin}"
mkdir -p -- "$2"
out="$(cd "$2" && pwd)"

"$here/prepare.sh" "$1" >"$out/cases.csv"
"$bin/consilium-extract" "$out/cases.csv" --settings "$here/params.yaml" --out "$out/features"
"$root/deploy/federation.sh" -d "$out/features" -o "$out/network" "$here/study.yaml" \
  "$here"/{GE,Philips,Siemens}.yaml
