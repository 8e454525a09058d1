#!/usr/bin/env bash
# The life of the packages in a clean root, run in there by deb_test.sh. There is no systemd: what it would do with the
# unit is not seen here, what the packages say to it is.
set -euo pipefail

fail() {
    echo "FAILED: $*"
    exit 1
}

# until LIMIT COMMAND…: asks again and again, at most LIMIT seconds long.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "not within its time: $*"
        read -r -t 0.1 <> <(:) || true
    done
}

supervisor_pid() {
    clusterctl status --json | sed -n 's/.*"supervisor_pid": *\([0-9]*\).*/\1/p'
}

wanted=/etc/systemd/system/multi-user.target.wants/clusterd.service

echo "== install"
apt-get install --quiet --quiet --yes --no-install-recommends /packages/1/*.deb
[ -L $wanted ] || fail "the service is not enabled"
[ -z "$(ls /var/lib/clusterd /var/log/clusterd 2>/dev/null)" ] || fail "state before the first start"
grep -q '^ExecStart=/usr/bin/clusterd$' /lib/systemd/system/clusterd.service || fail "the unit names another program"
clusterctl version
clusterctl validate /usr/share/doc/clusterd/examples/*.toml
for page in man1/clusterctl.1 man5/clusterd.toml.5 man8/clusterd.8; do
    gzip -t "/usr/share/man/$page.gz" || fail "no page $page"
done
[ -s /usr/share/clusterd/clusterd.schema.json ] || fail "no schema"

echo "== run"
cat >/srv/cluster.toml <<'TOML'
[worker.w]
command = "echo started; exec tail -f /dev/null"
shell = true
user = "nobody"
TOML
clusterctl start /srv/cluster.toml
pid=$(clusterctl pid w)
[ "$(cat /var/log/clusterd/w.0.out.log)" = started ] || fail "no log in /var/log/clusterd"
[ "$(stat -c %U "/proc/$pid")" = nobody ] || fail "w runs as somebody else"

echo "== upgrade"
dpkg --install /packages/2/*.deb
dpkg-query --show --showformat '${Version}\n' clusterd | grep -q -- '-2$' || fail "not upgraded"
[ "$(clusterctl pid w)" = "$pid" ] || fail "the upgrade restarted a worker"
# The keeper goes on; its next supervisor is the new program.
kill -KILL "$(supervisor_pid)"
until_true 20 clusterctl pid w
[ "$(clusterctl pid w)" = "$pid" ] || fail "a new supervisor restarted a worker"
readlink "/proc/$(supervisor_pid)/exe" | grep -qx /usr/libexec/clusterd/cluster-supervisor ||
    fail "the old supervisor was started again"

echo "== library"
/usr/local/bin/counts || fail "a program that was built with libcluster-dev does not run"
python3 -c 'import clusterd' || fail "the Python module does not load"

echo "== remove"
clusterctl shutdown
dpkg --remove python3-clusterd libcluster-dev libcluster0 clusterd
[ ! -e /usr/bin/clusterd ] || fail "clusterd is still there"
[ -d /var/lib/clusterd ] && [ -d /var/log/clusterd ] || fail "a removal took state or logs"

echo "== purge"
dpkg --purge clusterd
left=$(find / -xdev \( -path /packages -o -path /proc \) -prune -o \( -name '*clusterd*' -o -name 'libcluster*' \) -print |
    grep -v '^/srv/\|^/run/' || true)
[ -z "$left" ] || fail "left behind: $left"
echo "== done"
