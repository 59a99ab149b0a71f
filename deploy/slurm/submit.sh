#!/usr/bin/env bash
# Features of a list of cases on a Slurm cluster: an array of shards, then their merge.
#
#   deploy/slurm/submit.sh -n SHARDS CASES SETTINGS OUT [SBATCH OPTIONS FOR THE ARRAY]
#
# OUT is on a folder that all nodes see; OUT/features.csv is there when both jobs are done. Prints
# the two job numbers. What went wrong, or was stopped, goes on by the same command.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
usage() { sed -n '4s/^# *//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
shards=0
while getopts 'n:h' option; do
  case "$option" in
    n) shards="$OPTARG" ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
[[ "$shards" =~ ^[1-9][0-9]*$ ]] && (($# >= 3)) || usage
cases="$(realpath -e -- "$1")" settings="$(realpath -e -- "$2")"
mkdir -p -- "$3"
out="$(realpath -- "$3")"
shift 3

array="$(sbatch --parsable --array="1-$shards" --chdir="$out" "$@" \
  "$here/extract.sbatch" "$shards" "$cases" "$settings" "$out")"
array="${array%%;*}"  # "job;cluster" where there are several clusters
merge="$(sbatch --parsable --dependency="afterok:$array" --kill-on-invalid-dep=yes --chdir="$out" \
  "$here/merge.sbatch" "$shards" "$out")"
echo "extract $array"
echo "merge ${merge%%;*}"
