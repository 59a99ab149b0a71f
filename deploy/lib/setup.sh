# What demo.sh and test.sh share: words, packages, configuration, building. Sourced, not run.
#
# Debian 12, amd64. Everything is written below build/ of this checkout; only apt-get writes
# elsewhere. A compiler cache or npm cache that the environment names (CCACHE_DIR,
# npm_config_cache) is used where it is.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
build="$root/build/release"

export CCACHE_DIR="${CCACHE_DIR:-$root/build/ccache}"
export CCACHE_BASEDIR="${CCACHE_BASEDIR:-$root}"
export npm_config_cache="${npm_config_cache:-$root/build/npm-cache}"

# One list for both commands, so that build/release is the same directory for both, and
# `cmake --preset release && cmake --build --preset release` works after either.
packages=(
  g++ cmake ninja-build ccache pkg-config ca-certificates curl openssl
  libeigen3-dev libqhull-dev libfmt-dev libexpected-dev libyaml-cpp-dev nlohmann-json3-dev libcli11-dev
  libssl-dev libsodium-dev libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc
  libsqlitecpp-dev libsqlite3-dev libspdlog-dev libinsighttoolkit5-dev libgdcm-dev zlib1g-dev
  libgtest-dev librapidcheck-dev libbenchmark-dev libdcmtk-dev
)
node_major_min=18          # web/package.json, "engines"
disk_free_mb_min=2000      # a whole release build with its tests and caches takes about half of it
packages_free_mb_min=1500  # what apt-get needs on a bare machine

say() { printf '\n== %s\n' "$*"; }
fail() {
  printf '\nerror: %s\n' "$1" >&2
  shift
  (($#)) && printf '       %s\n' "$@" >&2
  exit 1
}

# free_mb PATH: megabytes that may still be written there.
free_mb() { df -Pm "$1" | awk 'NR == 2 {print $4}'; }

require_disk() {
  local free
  free="$(free_mb "$root")"
  if ((free < disk_free_mb_min)); then
    fail "$root has ${free} MB free; building needs ${disk_free_mb_min} MB." \
      "Free some space, or move the checkout to a larger disk, and run this again."
  fi
}

node_is_there() {
  local node
  node="$(command -v node || command -v nodejs || true)"
  [[ -n "$node" ]] && command -v npm >/dev/null || return 1
  (("$("$node" -p 'process.versions.node.split(".")[0]')" >= node_major_min))
}

# Packages of the list that are not installed, one a line.
missing_packages() {
  local installed package
  installed="$(dpkg-query -W -f '|${Package} ${db:Status-Status}|' "${packages[@]}" 2>/dev/null ||
    true)"
  for package in "${packages[@]}"; do
    [[ "$installed" == *"|$package installed|"* ]] || printf '%s\n' "$package"
  done
  # Node.js from elsewhere brings its own npm and must not be replaced by Debian's.
  if ! node_is_there; then
    if [[ -z "$(command -v node || command -v nodejs || true)" ]]; then printf 'nodejs\n'; fi
    if ! command -v npm >/dev/null; then printf 'npm\n'; fi
  fi
}

# Runs apt-get as root, with sudo if we are somebody else.
apt_get() {
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      fail "packages must be installed, and this is neither root nor is there sudo." \
        "Ask an administrator to run:" "  apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "$@"
}

install_packages() {
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
    fail "this is no Debian: dpkg-query or apt-get was not found." \
      "Install the libraries of cmake/dependencies.cmake by hand, then:" \
      "  cmake --preset release && cmake --build --preset release"
  local missing=()
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]})); then
    local free
    free="$(free_mb /usr)"
    if ((free < packages_free_mb_min)); then
      fail "/usr has ${free} MB free; the packages need up to ${packages_free_mb_min} MB." \
        "Free some space and run this again."
    fi
    say "Installing ${#missing[@]} Debian packages: ${missing[*]}"
    apt_get update ||
      fail "apt-get update failed: is there a network, and do apt's sources name a mirror?" \
        "Without a network, install these from a medium: ${missing[*]}"
    apt_get install -y --no-install-recommends "${missing[@]}" ||
      fail "apt-get install failed (its words stand above)." \
        "Debian 12 (bookworm) has all of: ${missing[*]}"
  fi
  node_is_there ||
    fail "Node.js ${node_major_min} or later with npm is needed to bundle the report's plots." \
      "Found node $(node --version 2>/dev/null || echo none)," \
      "npm $(npm --version 2>/dev/null || echo none)." \
      "Remove the old one, and run this again."
}

# Compilers that fit into this machine: one a core, and 1.2 GB of memory each.
job_count() {
  local cores memory_mb
  cores="$(nproc)"
  memory_mb="$(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo)"
  local fit=$((memory_mb / 1200))
  ((fit < 1)) && fit=1
  echo $((cores < fit ? cores : fit))
}

# configure_and_build [TARGET...]: the release preset; everything, if no target is named.
configure_and_build() {
  say "Configuring ${build#"$root"/}"
  (cd "$root" && cmake --preset release) ||
    fail "configuring failed (cmake's words stand above)." \
      "If the checkout was moved or a compiler replaced, remove ${build#"$root"/}" \
      "and run this again."
  say "Building ${*:-everything} with $(job_count) jobs"
  local target=()
  (($#)) && target=(--target "$@")
  if ! (cd "$root" && cmake --build --preset release --parallel "$(job_count)" "${target[@]}"); then
    if [[ ! -e "$build/web/npm.stamp" ]]; then
      fail "building failed. The report's plotting packages are not there yet: if npm's words" \
        "stand above, it did not reach its registry. Check the network, and run this again."
    fi
    fail "building failed (the first error stands above)." \
      "If a compiler was killed, there was too little memory: close other programs," \
      "and run this again."
  fi
}
