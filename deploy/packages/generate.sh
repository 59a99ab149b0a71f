#!/usr/bin/env bash
# What the packages hold that is made from the programs: manual pages, completions; and the changelog.
#
#   CONSILIUM_PACKAGE_CONTACT='Name <address>' generate.sh BIN OUT VERSION
#
# Needs help2man. Dates are those of the last commit (or SOURCE_DATE_EPOCH), so that the same sources
# make the same files.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
bin="$(cd "$1" && pwd)" version="$3"
mkdir -p "$2"
out="$(cd "$2" && pwd)"
command -v help2man >/dev/null || {
  echo "error: help2man was not found; it makes the manual pages. apt-get install help2man" >&2
  exit 1
}
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2>/dev/null || date +%s)}"
export LC_ALL=C

declare -A about=(
  [consilium]="console of leads and auditors of federated radiomics studies"
  [consilium-extract]="radiomics features of medical images"
  [consilium-site]="hospital's agent of federated radiomics studies"
  [consilium-coordinator]="coordinator of federated radiomics studies"
)
for program in "${!about[@]}"; do
  # Started by its name alone, so that the page does not show where it was built.
  PATH="$bin:$PATH" help2man --no-info --section 1 --name "${about[$program]}" \
    --version-string "$program $version" --include "$here/$program.h2m" "$program" |
    gzip -9n >"$out/$program.1.gz"
done
"$bin/consilium" completion bash >"$out/consilium.bash"
"$bin/consilium" completion zsh >"$out/_consilium"
"$bin/consilium" completion fish >"$out/consilium.fish"
gzip -9n >"$out/changelog.gz" <<END
consilium ($version) bookworm; urgency=medium

  * Changes: CHANGELOG.md of the sources.

 -- $CONSILIUM_PACKAGE_CONTACT  $(date -R -u -d "@$SOURCE_DATE_EPOCH")
END
