#!/usr/bin/env bash
# Runs as root in the booted tree of test.sh: a day of a federation from the packages, with the commands
# of the documents. Ends with /test/passed, or with the line that did not hold.
set -euo pipefail
cd /test
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root
began=$SECONDS
say() { printf '\n== %s (%d s)\n' "$*" $((SECONDS - began)); }
fail() { echo "FAILED: $*"; exit 1; }
trap 'code=$?; ((code)) && { echo "FAILED at line $LINENO: $BASH_COMMAND"; journalctl --no-pager -q -n 40 -u 'consilium*'; }' EXIT
source /test/drive.sh
as() { local user="$1"; shift; runuser -u "$user" -- "$@"; }
health() {
  (exec 3<>/dev/tcp/127.0.0.1/8445 && printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3 && grep -x ok <&3) 2>/dev/null
}
connected() { (($(lead --json site list | grep -o '"connected":true' | wc -l) == $1)); }
lead() { as lead env HOME=/srv/lead consilium "$@"; }

say "install"
apt-get install -qq -y --no-install-recommends /test/debs/*.deb >apt-install 2>&1 ||
  { tail -n 20 apt-install; fail "apt-get install"; }
grep -h 'next:' apt-install
for unit in consilium-coordinator consilium-site; do
  systemctl is-enabled --quiet "$unit" || fail "$unit is not enabled"
  [[ "$(systemctl is-active "$unit")" == inactive ]] || fail "$unit runs before it can"
  [[ "$(systemctl show -P Result "$unit")" == success ]] || fail "$unit failed at installing"
  [[ "$(stat -c '%U %a' "/var/lib/$unit")" == "$unit 700" ]] || fail "/var/lib/$unit: $(stat -c '%U %a' /var/lib/$unit)"
  getent passwd "$unit" | grep -q ':/usr/sbin/nologin$' || fail "$unit may log in"
  systemd-analyze verify --man=no "/lib/systemd/system/$unit.service" || fail "systemd-analyze verify $unit"
  systemd-analyze security --no-pager "$unit" >"security-$unit" || true
  tail -n 1 "security-$unit"
  # What systemd itself calls OK ends at 2.0.
  systemd-analyze security --no-pager --threshold=20 "$unit" >/dev/null || fail "$unit is exposed"
done
[[ -z "$(find /etc/consilium -mindepth 1)" ]] || fail "/etc/consilium is not empty"

say "a coordinator"
as consilium-coordinator consilium-coordinator --json init --name Tree --host coordinator.example.org --lead lead >init
systemctl start consilium-coordinator
wait_for "/healthz saying ok" health
useradd --home-dir /srv/lead --create-home lead
lead key enroll "$(value token <init)"
lead_key="$(lead --json key show | value key)"

say "four hospitals: the package's own service, and three copies of it"
consilium demo --out /srv/research >/dev/null
awk '/^```yaml first.yaml/ {on = 1; next} /^```/ {on = 0} on' /usr/share/doc/consilium/first_study.md >/srv/lead/first.yaml
[[ -s /srv/lead/first.yaml ]] || fail "first_study.md has no study in it"
sites=(Aalst Bergen Coimbra Delft)
declare -A unit=([Aalst]=consilium-site)
for site in "${sites[@]:1}"; do
  name="consilium-${site,,}"
  unit[$site]="$name"
  for file in /lib/systemd/system/consilium-site.service /usr/lib/sysusers.d/consilium-site.conf /usr/lib/tmpfiles.d/consilium-site.conf; do
    sed -e "s/consilium-site/$name/g; s,/usr/bin/$name,/usr/bin/consilium-site --config /etc/$name/site.yaml,; s,/etc/consilium/,/etc/$name/,g" \
      "$file" >"${file/consilium-site/$name}"
  done
  systemd-sysusers "$name.conf"
  systemd-tmpfiles --create "$name.conf"
done
systemctl daemon-reload
for site in "${sites[@]}"; do
  name="${unit[$site]}"
  etc="/etc/$name"
  [[ $site == Aalst ]] && etc=/etc/consilium
  install -d "$etc"
  policy="{approve: lead, leads: [$lead_key]}"
  if [[ $site == Aalst ]]; then
    # The package's own example, with nothing changed but the data.
    sed 's|file: Aalst.yaml|file: /srv/research/Aalst.yaml|' /usr/share/doc/consilium-site/examples/site.yaml >"$etc/site.yaml"
  else
    cat >"$etc/site.yaml" <<END
site: $site
state: /var/lib/$name
cohorts: [{file: /srv/research/$site.yaml, data: /srv/research}]
policy: $policy
END
  fi
  as "$name" consilium-site --config "$etc/site.yaml" enroll "$(lead --json site invite "$site" | value token)" >"enroll-$site"
  systemctl start "$name"
done
wait_for "the connection of four sites" connected 4
as consilium-site consilium-site check

say "what the kernel holds the services to"
for name in consilium-coordinator consilium-site; do
  pid="$(systemctl show -P MainPID "$name")"
  ((pid > 0)) || fail "$name has no process"
  status="/proc/$pid/status"
  grep -E '^(NoNewPrivs|Seccomp|CapEff|CapBnd|CapAmb):' "$status" | tr '\n' ' '
  echo "$name"
  [[ "$(stat -c %U "/proc/$pid")" == "$name" ]] || fail "$name is not its user's process"
  grep -q '^NoNewPrivs:.1$' "$status" || fail "$name may gain privileges"
  grep -q '^Seccomp:.2$' "$status" || fail "$name has no system call filter"
  grep -q '^CapEff:.0*$' "$status" || fail "$name has capabilities"
  # In the service's own view: everything is read-only but its folder and its private /tmp.
  in=(nsenter --target "$pid" --mount --)
  "${in[@]}" touch "/var/lib/$name/.probe" && "${in[@]}" rm "/var/lib/$name/.probe" || fail "$name cannot write its folder"
  for place in /etc /usr /var/lib /srv; do
    ! "${in[@]}" touch "$place/.probe" 2>/dev/null || fail "$name sees $place writable"
  done
  [[ -z "$("${in[@]}" ls -A /home)" ]] || fail "$name sees /home"
done

say "a study"
lead study submit /srv/lead/first.yaml --yes
wait_for "the study at Aalst" as consilium-site consilium-site studies first
as consilium-site consilium-site studies first
as consilium-site consilium-site approve first
lead study watch first
lead report first --out /srv/lead/report
lead audit fetch first --out /srv/lead/audit
lead audit verify /srv/lead/audit
lead audit replay /srv/lead/audit
arguments=()
for site in "${sites[@]}"; do arguments+=(--site "$site=/srv/research/$site.yaml"); done
consilium simulate /srv/lead/first.yaml "${arguments[@]}" --data /srv/research --out simulated >/dev/null 2>&1
for file in report.json coefficients.csv; do
  cmp "simulated/$file" "/srv/lead/audit/$file" || fail "$file differs from the simulation's"
done
as consilium-site consilium-site ledger --verify

say "a killed coordinator is started again by systemd"
before="$(systemctl show -P MainPID consilium-coordinator)"
kill -9 "$before"
again() { local now; now="$(systemctl show -P MainPID consilium-coordinator)"; ((now > 0 && now != before)); }
wait_for "its restart" again
wait_for "the connection of four sites" connected 4

say "backup and restore of the coordinator"
install -d -m 0700 -o consilium-coordinator /var/backups/consilium
as consilium-coordinator consilium-coordinator backup /var/backups/consilium/now
systemctl stop consilium-coordinator
mv /var/lib/consilium-coordinator /var/lib/lost
systemd-tmpfiles --create consilium-coordinator.conf
as consilium-coordinator consilium-coordinator restore /var/backups/consilium/now
systemctl start consilium-coordinator
wait_for "the connection of four sites" connected 4
lead audit fetch first --out /srv/lead/after
cmp /srv/lead/audit/log.consilium /srv/lead/after/log.consilium || fail "the log differs after a restore"
cmp /srv/lead/audit/report.json /srv/lead/after/report.json || fail "the report differs after a restore"

say "a study of images: each agent, as its service holds it, starts consilium-extract"
printf 'imageType: {Original: {}}\nsetting: {binWidth: 10}\n' >/srv/research/params.yaml
{ sed 's/^name: first/name: second/' /srv/lead/first.yaml
  consilium-extract phantom --settings /srv/research/params.yaml; } >/srv/research/second.yaml
# The tables as if consilium-extract had written them.
engine="$(consilium-extract --version)" digest="$(sha256sum </srv/research/params.yaml | cut -d ' ' -f 1)"
for site in "${sites[@]}"; do
  table="/srv/research/$(sed -n 's/^radiomics: //p' "/srv/research/$site.yaml")"
  comma=','
  grep -q '^separator: ";"' "/srv/research/$site.yaml" && comma=';'
  sed -i "1s/\$/${comma}engine${comma}settings_sha256/; 2,\$s/\$/$comma$engine$comma$digest/" "$table"
done
as consilium-site consilium-site check --study /srv/research/second.yaml | tee checked
grep -q '^good *extraction .* are reproduced$' checked || fail "check does not reproduce the phantom"
lead study submit /srv/research/second.yaml --yes >/dev/null
wait_for "the study at Aalst" as consilium-site consilium-site studies second
as consilium-site consilium-site approve second >/dev/null
lead study watch second | tail -n 1
for site in "${sites[@]}"; do
  journalctl --no-pager -u "${unit[$site]}" | grep -o 'study second: .* features of the digital phantom are reproduced' ||
    fail "$site did not reproduce the phantom"
done

say "backup and restore of a site"
systemctl stop consilium-site
cp -a /var/lib/consilium-site /var/backups/consilium-site
rm -r /var/lib/consilium-site
cp -a /var/backups/consilium-site /var/lib/consilium-site
systemctl start consilium-site
wait_for "the connection of four sites" connected 4
as consilium-site consilium-site ledger --verify | head -n 1

say "an upgrade: the same packages again"
sed -i 's/8445/8446/' /etc/default/consilium-coordinator
before="$(systemctl show -P MainPID consilium-coordinator)"
site_before="$(systemctl show -P MainPID consilium-site)"
apt-get install -qq -y --reinstall /test/debs/*.deb >apt-again 2>&1 || { tail -n 20 apt-again; fail "apt-get install --reinstall"; }
again
(($(systemctl show -P MainPID consilium-site) != site_before)) || fail "the agent was not started again"
grep -q 8446 /etc/default/consilium-coordinator || fail "a changed conffile was lost"
wait_for "the connection of four sites" connected 4
systemctl stop consilium-site
apt-get install -qq -y --reinstall /test/debs/consilium-site_*.deb >apt-again 2>&1
[[ "$(systemctl is-active consilium-site)" == inactive ]] || fail "an upgrade started what was stopped"

say "remove"
apt-get remove -qq -y consilium-site consilium-coordinator consilium consilium-extract >apt-remove 2>&1
for name in consilium-site consilium-coordinator; do
  [[ "$(systemctl is-active "$name")" != active ]] || fail "$name still runs"
  ! command -v "$name" || fail "$name is still there"
done
[[ -e /var/lib/consilium-site/ledger.bin && -e /etc/consilium/site.yaml && -e /etc/default/consilium-coordinator ]] ||
  fail "remove took what it must not"

say "purge"
apt-get purge -qq -y consilium-site consilium-coordinator >apt-purge 2>&1 || { cat apt-purge; fail "apt-get purge"; }
grep -h '^consilium-\|^  ' apt-purge
for file in /var/lib/consilium-site/keys.json /var/lib/consilium-site/ledger.bin /var/lib/consilium-coordinator/store.db \
  /var/lib/consilium-coordinator/authority.key /etc/consilium/site.yaml; do
  [[ -e $file ]] || fail "purge took $file"
done
[[ ! -e /etc/default/consilium-coordinator ]] || fail "purge left the conffile"
# Left: the folders above, nothing else of these packages.
left="$(find / -xdev \( -path /proc -o -path /test -o -path /sys -o -path /run -o -path /srv -o -path /home \) -prune -o \
  -name '*consilium*' -print | grep -v -e bergen -e coimbra -e delft -e '^/var/log/' -e '^/var/backups/' |
  grep -v -x -e /var/lib/consilium-site -e /var/lib/consilium-coordinator -e /etc/consilium || true)"
[[ -z "$left" ]] || fail "left behind: $left"
say "all of it held"
touch /test/passed
