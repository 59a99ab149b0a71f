# What scripts that drive the programs do alike. To be sourced; `fail MESSAGE` is the script's own.

# value NAME: the text of a field in JSON on standard input.
value() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

# wait_for WHAT COMMAND...: until the command succeeds, at most 30 s.
wait_for() {
  local what="$1"
  shift
  for _ in {1..600}; do
    "$@" >/dev/null 2>&1 && return
    sleep 0.05
  done
  fail "$what did not happen within 30 s${logs:+; the logs are in $logs}"
}
